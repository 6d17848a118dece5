"""Tasks of Celery, with a real broker."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path

from tests.servers.fixtures import program
from tests.servers.redis import RedisServer
from tests.ways.way import Stage, Way
from tests.ways.web import need

_GROUP = "Celery"
_HOOK = "import pumpkit.contrib.celery"

_TASKS = """
import celery
from recording import record
{hook}

app = celery.Celery(broker="{url}", backend="{url}")

@app.task
def task(number):
    record(f"task-{{number}}", kept={kept})
"""

#: Starts tasks and waits for their ends.
_CLIENT = """
import tasks
results = [tasks.task.delay(number) for number in range(20)]
for result in results:
    result.get(timeout=30)
"""


def _worked(*options: str, hook: str = "", kept: bool = True) -> Callable[[Stage], None]:
    """Tasks record and end, then SIGTERM ends the worker."""

    def run(stage: Stage) -> None:
        need("celery")
        broker = RedisServer(program()).start()
        stage.cleanup.callback(broker.stop)
        url = f"redis://127.0.0.1:{broker.port}/0"
        tasks = _TASKS.format(url=url, hook=hook, kept=kept)
        (stage.program.folder / "tasks.py").write_text(tasks)
        celery = str(Path(sys.executable).with_name("celery"))
        command = [celery, "-A", "tasks", "worker", "-c", "2", "--without-gossip", "--without-mingle"]
        worker = stage.program.spawn([*command, *options])
        stage.run(_CLIENT)
        stage.ending()
        worker.send_signal(signal.SIGTERM)
        stage.end(worker)

    return run


WAYS = [
    Way(
        "celery-none",
        _GROUP,
        "prefork: SIGTERM",
        "processes of the pool end by `os._exit`",
        _worked(kept=False),
        conditions=("fine",),
    ),
    Way(
        "celery",
        _GROUP,
        "prefork, with `pumpkit.contrib.celery`: SIGTERM",
        "it sends what waits when a process ends, within `exit_timeout`",
        _worked(hook=_HOOK),
        f"`{_HOOK}`",
        conditions=("fine", "refusing"),
    ),
    Way(
        "celery-recycled",
        _GROUP,
        "prefork, with `pumpkit.contrib.celery`: `--max-tasks-per-child`",
        "the same",
        _worked("--max-tasks-per-child", "4", hook=_HOOK),
        f"`{_HOOK}`",
        conditions=("fine",),
    ),
    Way(
        "celery-threads",
        _GROUP,
        "threads: SIGTERM",
        "the worker, which runs tasks itself, ends in order",
        _worked("-P", "threads"),
        conditions=("fine",),
    ),
    Way("celery-solo", _GROUP, "solo: SIGTERM", "the same", _worked("-P", "solo"), conditions=("fine",)),
]
