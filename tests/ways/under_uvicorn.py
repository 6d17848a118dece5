"""Processes of uvicorn."""

import signal
import sys
from collections.abc import Callable

from tests.ways.way import Stage, Way
from tests.ways.web import ASGI, Server, need

_GROUP = "uvicorn"


def _serve(stage: Stage, *options: str, application: str = ASGI) -> Server:
    need("uvicorn")
    command = [sys.executable, "-m", "uvicorn", "--uds", "web.sock", "--log-level", "info", "--no-access-log"]
    return Server(stage, [*command, *options, "webapp:app"], application)


def _stopped(*options: str, status: int = 0, application: str = ASGI) -> Callable[[Stage], None]:
    def run(stage: Stage) -> None:
        server = _serve(stage, *options, application=application)
        if "--workers" not in options:
            server.workers.add("")
        server.stop_under_load(status=status)

    return run


WAYS = [
    Way("uvicorn", _GROUP, "one", "x", _stopped(status=-signal.SIGTERM)),
    Way("uvicorn-workers", _GROUP, "workers", "x", _stopped("--workers", "2")),
]
