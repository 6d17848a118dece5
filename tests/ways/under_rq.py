"""Jobs of RQ, with a real Redis."""

import sys
from collections.abc import Callable
from pathlib import Path

from tests.servers.fixtures import program
from tests.servers.redis import RedisServer
from tests.ways.way import Stage, Way
from tests.ways.web import need

_GROUP = "RQ"
_SENDS = "it sends what waits after the job, within `exit_timeout`"

_JOBS = """
from recording import record

def job(number):
    record(f"job-{{number}}", kept={kept})
    if number == 1:
        raise ValueError("a job that fails")
"""


def _worked(worker: str, kept: bool = True) -> Callable[[Stage], None]:
    """Jobs record and end, one of them by an error."""

    def run(stage: Stage) -> None:
        need("rq")
        import redis
        import rq

        (stage.program.folder / "jobs.py").write_text(_JOBS.format(kept=kept))
        stage.program.environment["PYTHONPATH"] = str(stage.program.folder)
        broker = RedisServer(program()).start()
        stage.cleanup.callback(broker.stop)
        with redis.Redis(port=broker.port) as connection:
            queue = rq.Queue(connection=connection)
            for number in range(3):
                queue.enqueue("jobs.job", number)
            url = f"redis://127.0.0.1:{broker.port}"
            command = [str(Path(sys.executable).with_name("rq")), "worker", "--burst", "-w", worker, "--url", url]
            stage.end(stage.program.spawn(command))
            assert (queue.finished_job_registry.count, queue.failed_job_registry.count) == (2, 1)

    return run


WAYS = [
    Way(
        "rq-none",
        _GROUP,
        "`rq.Worker`",
        "the process of a job ends by `os._exit`",
        _worked("rq.Worker", kept=False),
        conditions=("fine",),
    ),
    Way(
        "rq",
        _GROUP,
        "the worker of `pumpkit.contrib.rq`",
        _SENDS,
        _worked("pumpkit.contrib.rq.Worker"),
        "`-w pumpkit.contrib.rq.Worker`",
        conditions=("fine", "nowhere"),
    ),
    Way(
        "rq-spawn",
        _GROUP,
        "its worker that starts interpreters",
        _SENDS,
        _worked("pumpkit.contrib.rq.SpawnWorker"),
        "`-w pumpkit.contrib.rq.SpawnWorker`",
        conditions=("fine",),
    ),
    Way(
        "rq-simple",
        _GROUP,
        "`rq.SimpleWorker`",
        "the worker, which runs jobs itself, ends in order",
        _worked("rq.SimpleWorker"),
    ),
]
