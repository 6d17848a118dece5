"""Workers of gunicorn."""

import sys
from collections.abc import Callable

from tests.ways.way import Stage, Way
from tests.ways.web import ASGI, MIDDLEWARE, USE_MIDDLEWARE, WSGI, Server, need

_GROUP = "gunicorn"
_THREADS = ("-k", "gthread", "--threads", "4")
_UVICORN = ("-k", "uvicorn_worker.UvicornWorker")
_HOOK = ("-c", "python:pumpkit.contrib.gunicorn")
_USE_HOOK = "`-c python:pumpkit.contrib.gunicorn`"


def _serve(stage: Stage, *options: str, application: str = WSGI) -> Server:
    need("gunicorn")
    if options[:2] == _UVICORN:
        need("uvicorn_worker")
    command = [sys.executable, "-m", "gunicorn", "-w", "2", "-b", "unix:web.sock", "--no-control-socket"]
    return Server(stage, [*command, *options, "webapp:app"], application)


def _stopped(*options: str, application: str = WSGI) -> Callable[[Stage], None]:
    """SIGTERM in the middle of the load; with `--preload`, something was recorded before the fork too."""

    def run(stage: Stage) -> None:
        _serve(stage, *options, application=application).stop_under_load()

    return run


def _stopped_at_once(*options: str, application: str) -> Callable[[Stage], None]:
    """The same, where nobody can say what waits."""

    def run(stage: Stage) -> None:
        stage.program.environment["RISKED"] = "yes"
        _serve(stage, *options, application=application).stop_under_load()

    return run


def _recycled(*options: str) -> Callable[[Stage], None]:
    def run(stage: Stage) -> None:
        server = _serve(stage, "--max-requests", "20", *options)
        server.ask_all(4)
        server.stop()

    return run


def _hanging(request: str, *options: str, seconds: float, kept: bool = True) -> Callable[[Stage], None]:
    """Every worker has records when a request hangs in one of them, which gunicorn then kills."""

    def run(stage: Stage) -> None:
        stage.program.environment["RISKED"] = "" if kept else "yes"
        server = _serve(stage, *options)
        server.ask_all()
        assert not server.ask(f"{request}/0", timeout=seconds)
        server.stop()

    return run


def _graceful(name: str, id_: str, *options: str, application: str = WSGI, conditions: tuple[str, ...]) -> Way:
    happens = "a worker answers what it has begun, and ends in order"
    run = _stopped(*options, application=application)
    return Way(id_, _GROUP, f"{name}: SIGTERM under load", happens, run, conditions=conditions)


_ALL = ("fine", "away", "refusing", "nowhere")
_FINE = ("fine",)
_BOTH = ("fine", "away")

WAYS = [
    _graceful("sync workers", "gunicorn-sync", conditions=_ALL),
    _graceful("sync workers, `--preload`", "gunicorn-sync-preload", "--preload", conditions=_FINE),
    _graceful("gthread workers", "gunicorn-gthread", *_THREADS, conditions=_FINE),
    _graceful("gthread workers, `--preload`", "gunicorn-gthread-preload", *_THREADS, "--preload", conditions=_BOTH),
    _graceful("gevent workers", "gunicorn-gevent", "-k", "gevent", conditions=("fine", "refusing")),
    _graceful("gevent workers, `--preload`", "gunicorn-gevent-preload", "-k", "gevent", "--preload", conditions=_BOTH),
    _graceful("asgi workers", "gunicorn-asgi", "-k", "asgi", application=ASGI, conditions=_BOTH),
    Way(
        "gunicorn-uvicorn",
        _GROUP,
        "`-k uvicorn_worker.UvicornWorker`: SIGTERM under load",
        "after the last answer a worker ends itself by SIGTERM, without exit handlers",
        _stopped_at_once(*_UVICORN, application=ASGI),
        conditions=_FINE,
    ),
    Way(
        "gunicorn-uvicorn-lifespan",
        _GROUP,
        "`-k uvicorn_worker.UvicornWorker`, with the middleware: SIGTERM under load",
        "a worker sends what waits when the lifespan ends, within `exit_timeout`",
        _stopped(*_UVICORN, application=MIDDLEWARE),
        USE_MIDDLEWARE,
        conditions=_BOTH,
    ),
    Way(
        "gunicorn-recycled",
        _GROUP,
        "sync workers: `--max-requests`",
        "a worker ends in order, another begins",
        _recycled(),
        conditions=_FINE,
    ),
    Way(
        "gunicorn-recycled-gthread",
        _GROUP,
        "gthread workers: `--max-requests`",
        "a worker ends in order, another begins",
        _recycled(*_THREADS),
        conditions=_FINE,
    ),
    Way(
        "gunicorn-timeout",
        _GROUP,
        "sync workers: a request hangs beyond `--timeout`",
        "SIGABRT raises `SystemExit` in the request, and the worker ends in order; a second later SIGKILL",
        _hanging("hang", "--timeout", "1", seconds=20),
        conditions=_FINE,
    ),
    Way(
        "gunicorn-stuck",
        _GROUP,
        "sync workers: a request hangs, and catches what SIGABRT raises",
        "SIGKILL ends the worker",
        _hanging("stuck", "--timeout", "1", seconds=20, kept=False),
        conditions=_FINE,
    ),
    Way(
        "gunicorn-stuck-hook",
        _GROUP,
        "sync workers: the same, with `pumpkit.contrib.gunicorn`",
        "the hook sends what waits, within 0.5 s",
        _hanging("stuck", "--timeout", "1", *_HOOK, seconds=20),
        _USE_HOOK,
    ),
    Way(
        "gunicorn-hanging-thread",
        _GROUP,
        "gthread workers: SIGTERM while a request hangs",
        "Python waits for the thread before it runs exit handlers; after `--graceful-timeout`, SIGKILL",
        _hanging("hang", "--graceful-timeout", "1", *_THREADS, seconds=0.2, kept=False),
        conditions=_FINE,
    ),
]
