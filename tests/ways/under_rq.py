"""Jobs of RQ."""

import sys
from collections.abc import Callable
from pathlib import Path

from tests.servers.fixtures import program
from tests.servers.redis import RedisServer
from tests.ways.way import Stage, Way
from tests.ways.web import need

_GROUP = "RQ"

_JOBS = """
from recording import record

def job(number):
    record(f"job-{number}")
"""


def _worked(kind: str, kept: bool = True) -> Callable[[Stage], None]:
    def run(stage: Stage) -> None:
        need("rq")
        import redis
        import rq

        jobs = _JOBS if kept else _JOBS.replace('")', '", kept=False)')
        (stage.program.folder / "jobs.py").write_text(jobs)
        broker = RedisServer(program()).start()
        try:
            queue = rq.Queue(connection=redis.Redis(port=broker.port))
            for number in range(4):
                queue.enqueue("jobs.job", number)
            stage.program.environment["PYTHONPATH"] = str(stage.program.folder)
            url = f"redis://127.0.0.1:{broker.port}"
            command = [str(Path(sys.executable).with_name("rq")), "worker", "--burst", "-w", kind, "--url", url]
            stage.end(stage.program.spawn(command))
            assert not queue.failed_job_registry.count
        finally:
            broker.stop()

    return run


WAYS = [
    Way("rq-hook", _GROUP, "a", "b", _worked("pumpkit.contrib.rq.Worker")),
    Way("rq-spawn", _GROUP, "a", "b", _worked("pumpkit.contrib.rq.SpawnWorker")),
    Way("rq-simple", _GROUP, "a", "b", _worked("rq.SimpleWorker")),
    Way("rq-none", _GROUP, "a", "b", _worked("rq.Worker", kept=False)),
]
