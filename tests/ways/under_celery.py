"""Tasks of Celery."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path

from tests.servers.fixtures import program
from tests.servers.redis import RedisServer
from tests.ways.way import Stage, Way
from tests.ways.web import need

_GROUP = "Celery"

_TASKS = """
import celery
{imported}
from recording import record

app = celery.Celery(broker="{url}", backend="{url}")
app.conf.broker_connection_retry_on_startup = True

@app.task
def task(number):
    record(f"task-{{number}}", kept={kept})
"""


def _worked(*options: str, hook: bool = True) -> Callable[[Stage], None]:
    def run(stage: Stage) -> None:
        need("celery")

        broker = RedisServer(program()).start()
        try:
            url = f"redis://127.0.0.1:{broker.port}/0"
            imported = "import pumpkit.contrib.celery" if hook else ""
            (stage.program.folder / "tasks.py").write_text(_TASKS.format(url=url, imported=imported, kept=hook))
            command = [str(Path(sys.executable).with_name("celery")), "-A", "tasks", "worker", "-c", "2", "-l", "INFO"]
            worker = stage.program.spawn([*command, "--without-gossip", "--without-mingle", *options])
            stage.run(
                """
                import tasks
                for result in [tasks.task.delay(number) for number in range(20)]:
                    result.get(timeout=30)
                """
            )
            stage.ending()
            worker.send_signal(signal.SIGTERM)
            stage.end(worker)
        finally:
            broker.stop()

    return run


WAYS = [
    Way("celery", _GROUP, "a", "b", _worked()),
    Way("celery-recycled", _GROUP, "a", "b", _worked("--max-tasks-per-child", "4")),
    Way("celery-none", _GROUP, "a", "b", _worked(hook=False)),
    Way("celery-threads", _GROUP, "a", "b", _worked("-P", "threads", hook=False)),
    Way("celery-gevent", _GROUP, "a", "b", _worked("-P", "gevent", hook=False)),
    Way("celery-solo", _GROUP, "a", "b", _worked("-P", "solo", hook=False)),
]
