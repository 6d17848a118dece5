"""Workers of uWSGI, which forks in C and ends in signal handlers."""

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.programs import wait_until
from tests.ways.way import Stage, Way
from tests.ways.web import WSGI, Server, need

_GROUP = "uWSGI"
_DIE = "--die-on-term"


def _serve(stage: Stage, *options: str, application: str = WSGI) -> Server:
    need("pyuwsgi")
    stage.program.environment["PYTHONPATH"] = str(stage.program.folder)
    uwsgi = str(Path(sys.executable).with_name("uwsgi"))
    command = [uwsgi, "--http-socket", "web.sock", "--master", "--processes", "2", "--disable-logging", "--need-app"]
    return Server(stage, [*command, *options, "--module", "webapp:app"], application)


def _quit(stage: Stage) -> None:
    """Ask for an end in order: SIGTERM with `--die-on-term` ends a worker that is not done with a request at once."""
    (stage.program.folder / "fifo").write_text("q")


def _graceful(*options: str) -> Callable[[Stage], None]:
    def run(stage: Stage) -> None:
        server = _serve(stage, "--master-fifo", "fifo", *options)
        server.stop_under_load(partial(_quit, stage))

    return run


def _idle(application: str = WSGI) -> Callable[[Stage], None]:
    def run(stage: Stage) -> None:
        server = _serve(stage, _DIE, application=application)
        server.ask_all()
        time.sleep(0.5)  # a worker that has answered may not be done with the request, and nothing tells
        server.stop()

    return run


def _busy(stage: Stage) -> None:
    stage.program.environment["RISKED"] = "yes"
    server = _serve(stage, _DIE)
    server.ask_all()
    assert not server.ask("hang/0", timeout=0.2)
    server.stop()


def _recycled(stage: Stage) -> None:
    server = _serve(stage, "--master-fifo", "fifo", "--max-requests", "50", "--min-worker-lifetime", "0")
    server.ask_all(4)
    server.stop(partial(_quit, stage))


def _reloaded(stage: Stage) -> None:
    server = _serve(stage, "--master-fifo", "fifo")
    server.ask_all()
    old = set(server.workers)
    (stage.program.folder / "fifo").write_text("w")
    wait_until(lambda: server.ask_all() or not server.workers & old, "other workers")
    server.stop(partial(_quit, stage))


WAYS = [
    Way(
        "uwsgi-q",
        _GROUP,
        "`q` to the `--master-fifo`, under load",
        "workers answer what they have begun, and end in order; the first sends what was recorded at import",
        _graceful(),
    ),
    Way(
        "uwsgi-lazy-q",
        _GROUP,
        "`--lazy-apps`: `q` to the `--master-fifo`, under load",
        "workers answer what they have begun, and end in order",
        _graceful("--lazy-apps"),
        conditions=("fine",),
    ),
    Way(
        "uwsgi-idle",
        _GROUP,
        "SIGTERM with `--die-on-term`, between requests",
        "workers end at once, but run exit handlers",
        _idle(),
        conditions=("fine", "away", "refusing"),
    ),
    Way(
        "uwsgi-decorators",
        _GROUP,
        "the same, where `uwsgidecorators` is imported after pumpkit",
        "its hook takes the place of pumpkit's; the first record of a worker notices the fork",
        _idle(WSGI + "\nimport uwsgidecorators\n"),
        conditions=("fine",),
    ),
    Way(
        "uwsgi-busy",
        _GROUP,
        "SIGTERM with `--die-on-term`, during a request",
        "uWSGI runs no exit handlers in a busy worker",
        _busy,
        conditions=("fine",),
    ),
    Way(
        "uwsgi-recycled",
        _GROUP,
        "`--max-requests` of uWSGI",
        "a worker ends in order, another begins",
        _recycled,
        conditions=("fine",),
    ),
    Way(
        "uwsgi-reload",
        _GROUP,
        "`w` to the `--master-fifo`",
        "all workers end in order, others begin",
        _reloaded,
        conditions=("fine",),
    ),
]
