"""Workers of gunicorn."""

import sys
from collections.abc import Callable

from tests.ways.way import Stage, Way
from tests.ways.web import ASGI, WSGI, Server, need

_GROUP = "gunicorn"


def _serve(stage: Stage, *options: str, application: str = WSGI) -> Server:
    need("gunicorn")
    command = [sys.executable, "-m", "gunicorn", "-w", "2", "-b", "unix:web.sock", "--graceful-timeout", "60"]
    return Server(stage, [*command, *options, "webapp:app"], application)


def _stopped(*options: str, application: str = WSGI) -> Callable[[Stage], None]:
    def run(stage: Stage) -> None:
        if "--preload" in options:
            stage.program.environment["RECORD_AT_IMPORT"] = "yes"
        _serve(stage, *options, application=application).stop_under_load()

    return run


WAYS = [
    Way("gunicorn-sync", _GROUP, "sync, SIGTERM", "x", _stopped()),
    Way("gunicorn-sync-preload", _GROUP, "sync, SIGTERM", "x", _stopped("--preload")),
    Way("gunicorn-gthread", _GROUP, "gth", "x", _stopped("-k", "gthread", "--threads", "4")),
    Way("gunicorn-gthread-preload", _GROUP, "gth", "x", _stopped("-k", "gthread", "--threads", "4", "--preload")),
    Way("gunicorn-gevent", _GROUP, "gev", "x", _stopped("-k", "gevent")),
    Way("gunicorn-gevent-preload", _GROUP, "gev", "x", _stopped("-k", "gevent", "--preload")),
    Way("gunicorn-asgi", _GROUP, "asgi", "x", _stopped("-k", "asgi", application=ASGI)),
]
