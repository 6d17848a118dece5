"""Web servers that leave signals to Python, or begin processes of their own: waitress, `flask run`, hypercorn."""

import signal
import sys
from collections.abc import Callable

from tests.ways.way import Stage, Way
from tests.ways.web import ASGI, WSGI, Server, need

_GROUP = "Other web servers"

_HANDLED = "\nimport pumpkit\npumpkit.stop_on_sigterm()\n"
_CALL = "call {py:func}`pumpkit.stop_on_sigterm` in the module of the application"

#: `flask run` takes nothing but an application of Flask.
_FLASK = """
import flask

answer, app = app, flask.Flask(__name__)
app.wsgi_app = answer
"""


def _waitress(stage: Stage, application: str) -> Server:
    need("waitress")
    return Server(stage, [sys.executable, "-m", "waitress", "--unix-socket=web.sock", "webapp:app"], application)


def _flask(stage: Stage, application: str) -> Server:
    need("flask")
    command = [sys.executable, "-m", "flask", "--app", "webapp", "run", "--host", "unix://web.sock"]
    return Server(stage, command, application + _FLASK)


def _hypercorn(stage: Stage, application: str, *options: str) -> Server:
    need("hypercorn")
    command = [sys.executable, "-m", "hypercorn", "--bind", "unix:web.sock", *options, "webapp:app"]
    return Server(stage, command, application)


def _ended(serve: Callable[[Stage, str], Server], application: str = WSGI) -> Callable[[Stage], None]:
    """SIGTERM ends the server at once, so nobody can say what waits."""

    def run(stage: Stage) -> None:
        stage.program.environment["RISKED"] = "yes"
        serve(stage, application).stop_under_load(status=-signal.SIGTERM, workers=1)

    return run


def _handled(serve: Callable[[Stage, str], Server], status: int) -> Callable[[Stage], None]:
    def run(stage: Stage) -> None:
        serve(stage, WSGI + _HANDLED).stop_under_load(status=status, workers=1)

    return run


def _one_worker(stage: Stage) -> None:
    _hypercorn(stage, ASGI).stop_under_load(workers=1)


def _workers(stage: Stage) -> None:
    _hypercorn(stage, ASGI + _HANDLED, "--workers", "2").stop_under_load()


_AT_ONCE = "the system ends the process at once: the server leaves the signal to Python, and Python to the system"

WAYS = [
    Way("waitress", _GROUP, "waitress: SIGTERM under load", _AT_ONCE, _ended(_waitress), _CALL, conditions=("fine",)),
    Way(
        "waitress-handled",
        _GROUP,
        "waitress with `pumpkit.stop_on_sigterm()`: SIGTERM under load",
        "the server answers what it has begun, and ends in order",
        _handled(_waitress, 0),
    ),
    Way("flask-run", _GROUP, "`flask run`: SIGTERM under load", _AT_ONCE, _ended(_flask), _CALL, conditions=("fine",)),
    Way(
        "flask-run-handled",
        _GROUP,
        "`flask run` with `pumpkit.stop_on_sigterm()`: SIGTERM under load",
        "the program ends as by `sys.exit(143)`; what waits is sent, for `exit_timeout` at most",
        _handled(_flask, 143),
    ),
    Way(
        "hypercorn",
        _GROUP,
        "hypercorn: SIGTERM under load",
        "the worker answers what it has begun, and ends in order",
        _one_worker,
    ),
    Way(
        "hypercorn-workers",
        _GROUP,
        "hypercorn, `--workers 2`, with `pumpkit.stop_on_sigterm()`: SIGTERM under load",
        "the first worker that has ended makes hypercorn send SIGTERM to the others, which may be sending still",
        _workers,
        _CALL,
    ),
]
