"""Workers of uWSGI."""

import sys
from collections.abc import Callable
from pathlib import Path

from tests.ways.way import Stage, Way
from tests.ways.web import WSGI, Server, join, need

_GROUP = "uWSGI"


def _serve(stage: Stage, *options: str, application: str = WSGI) -> Server:
    need("pyuwsgi")
    command = [
        str(Path(sys.executable).with_name("uwsgi")),
        "--http-socket",
        "web.sock",
        "--master",
        "--processes",
        "2",
        "--die-on-term",
        "--disable-logging",
    ]
    stage.program.environment["PYTHONPATH"] = str(stage.program.folder)
    return Server(stage, [*command, *options, "--module", "webapp:app"], application)


def _stopped(*options: str, application: str = WSGI) -> Callable[[Stage], None]:
    def run(stage: Stage) -> None:
        _serve(stage, *options, application=application).stop_under_load()

    return run


def _graceful(*options: str) -> Callable[[Stage], None]:
    def run(stage: Stage) -> None:
        stage.program.environment["RECORD_AT_IMPORT"] = "yes"
        server = _serve(stage, "--master-fifo", "fifo", *options)
        server.stop_under_load(lambda: (stage.program.folder / "fifo").write_text("q"))

    return run


def _idle(*options: str) -> Callable[[Stage], None]:
    def run(stage: Stage) -> None:
        stage.program.environment["RECORD_AT_IMPORT"] = "yes"
        server = _serve(stage, *options)
        join(server.load(4, 50))
        server.stop()

    return run


WAYS = [
    Way("uwsgi-q", _GROUP, "one", "x", _graceful()),
    Way("uwsgi-lazy-q", _GROUP, "one", "x", _graceful("--lazy-apps")),
    Way("uwsgi-idle", _GROUP, "one", "x", _idle()),
    Way("uwsgi-lazy-idle", _GROUP, "workers", "x", _idle("--lazy-apps")),
    Way("uwsgi-deco-idle", _GROUP, "workers", "x", _idle("--import", "uwsgidecorators")),
]
