"""Processes of uvicorn, which ends them by the signal that stopped it."""

import signal
import sys
from collections.abc import Callable

from tests.ways.way import Stage, Way
from tests.ways.web import ASGI, MIDDLEWARE, USE_MIDDLEWARE, Server, need

_GROUP = "uvicorn"


def _serve(stage: Stage, application: str, *options: str) -> Server:
    need("uvicorn")
    command = [sys.executable, "-m", "uvicorn", "--uds", "web.sock", "--no-access-log"]
    return Server(stage, [*command, *options, "webapp:app"], application)


def _alone(application: str, kept: bool = True) -> Callable[[Stage], None]:
    def run(stage: Stage) -> None:
        stage.program.environment["RISKED"] = "" if kept else "yes"
        _serve(stage, application).stop_under_load(status=-signal.SIGTERM, workers=1)

    return run


def _workers(stage: Stage) -> None:
    _serve(stage, MIDDLEWARE, "--workers", "2").stop_under_load()


def _recycled(stage: Stage) -> None:
    server = _serve(stage, MIDDLEWARE, "--workers", "2", "--limit-max-requests", "50")
    server.ask_all(4)
    server.stop()


WAYS = [
    Way(
        "uvicorn",
        _GROUP,
        "one process: SIGTERM under load",
        "after the last answer the process ends itself by SIGTERM, without exit handlers",
        _alone(ASGI, kept=False),
        conditions=("fine",),
    ),
    Way(
        "uvicorn-lifespan",
        _GROUP,
        "one process, with the middleware: SIGTERM under load",
        "it sends what waits when the lifespan ends, within `exit_timeout`",
        _alone(MIDDLEWARE),
        USE_MIDDLEWARE,
        conditions=("fine", "away", "refusing"),
    ),
    Way(
        "uvicorn-workers",
        _GROUP,
        "`--workers 2`, with the middleware: SIGTERM under load",
        "so it does in each worker",
        _workers,
        USE_MIDDLEWARE,
    ),
    Way(
        "uvicorn-recycled",
        _GROUP,
        "`--workers 2`, with the middleware: `--limit-max-requests`",
        "a worker ends in order, another begins",
        _recycled,
        USE_MIDDLEWARE,
        conditions=("fine",),
    ),
]
