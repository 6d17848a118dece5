"""The end of ASGI applications: what waits is sent before the server is told of it, whatever an application speaks."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

import pumpkit
from pumpkit.contrib import asgi
from pumpkit.contrib.asgi import RecordRequests


def live(app, tmp_path, *, stop=True):
    """Let an application start and stop as uvicorn does.

    Return what the server was told, each with what the reporter had waiting then, and what was raised.
    """
    told, raised = [], []

    async def main(reporter):
        inbox, started, stopped = asyncio.Queue(), asyncio.Event(), asyncio.Event()

        async def send(message):
            told.append((message["type"], reporter.stats().pending))
            (started if "startup" in message["type"] else stopped).set()

        async def lifespan():
            try:
                await app({"type": "lifespan", "state": {}}, inbox.get, send)
            except Exception as error:
                raised.append(error)
            started.set()
            stopped.set()

        task = asyncio.create_task(lifespan())
        await inbox.put({"type": "lifespan.startup"})
        await asyncio.wait_for(started.wait(), 30)
        reporter.record({"n": 1})
        if stop and not raised:
            await inbox.put({"type": "lifespan.shutdown"})
            await asyncio.wait_for(stopped.wait(), 30)
        await asyncio.wait_for(task, 30)

    with pumpkit.Reporter(f"sqlite:///{tmp_path}/buffer.db", flush_interval=60) as reporter:
        asyncio.run(main(reporter))
    return told, raised


STARTED, STOPPED = ("lifespan.startup.complete", 0), ("lifespan.shutdown.complete", 0)


def test_what_waits_is_sent_before_the_end(tmp_path):
    """When the server is told that the application has stopped, nothing waits any more."""

    async def app(scope, receive, send):
        for word in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{word}"
            await send({"type": f"lifespan.{word}.complete"})

    assert live(app, tmp_path)[0] == [STARTED, ("lifespan.shutdown.complete", 1)]
    assert live(RecordRequests(app), tmp_path) == ([STARTED, STOPPED], [])


def test_a_failing_end_too(tmp_path):
    """Told or raised, the application's failure goes on, after what waits was sent."""

    async def tells(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.failed", "message": "x"})

    async def raises(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        raise LookupError

    assert live(RecordRequests(tells), tmp_path) == ([STARTED, ("lifespan.shutdown.failed", 0)], [])
    told, (error,) = live(RecordRequests(raises), tmp_path)
    assert (told, type(error)) == ([STARTED], LookupError)


def test_a_failing_start(tmp_path):
    """It goes on as it is: the middleware does not make it a success."""

    async def tells(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "x"})

    async def raises(scope, receive, send):
        await receive()
        raise LookupError

    assert live(RecordRequests(tells), tmp_path, stop=False) == ([("lifespan.startup.failed", 0)], [])
    told, (error,) = live(RecordRequests(raises), tmp_path, stop=False)
    assert (told, type(error)) == ([], LookupError)


async def _asserts(scope, receive, send):
    assert scope["type"] == "http"


async def _ignores(scope, receive, send):
    return


async def _asks_only(scope, receive, send):
    await receive()


async def _starts_only(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})


async def _starts_unasked(scope, receive, send):
    await send({"type": "lifespan.startup.complete"})


async def _waits_only(scope, receive, send):
    await _starts_only(scope, receive, send)
    await receive()


@pytest.mark.parametrize(
    "app", [_asserts, _ignores, _asks_only, _starts_only, _starts_unasked, _waits_only], ids=lambda app: app.__name__
)
def test_applications_without_lifespan(tmp_path, app):
    """Those that refuse it, ignore it, or leave in the middle: the middleware says what they do not."""
    assert live(RecordRequests(app), tmp_path) == ([STARTED, STOPPED], [])


def test_a_refusal_is_logged(tmp_path, caplog):
    """As servers do."""
    caplog.set_level("INFO", logger="pumpkit.contrib.asgi")

    async def app(scope, receive, send):
        raise NotImplementedError("HTTP only")

    live(RecordRequests(app), tmp_path)
    assert [record.getMessage() for record in caplog.records if record.name == "pumpkit.contrib.asgi"] == [
        "the application does not support the lifespan protocol: NotImplementedError: HTTP only"
    ]


@pytest.mark.parametrize("ends", [True, False])
def test_requests_that_were_cancelled(tmp_path, monkeypatch, ends):
    """They take a moment to end, and are waited for; one that does not end holds the server up for a moment only."""
    monkeypatch.setattr(asgi, "_PATIENCE", 30.0 if ends else 0.05)
    confirmed = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await _ignores(scope, receive, send)
            return
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0.1 if ends else 60)
            raise

    async def main(reporter):
        recording = RecordRequests(app, reporter=reporter)
        words = iter(["startup", "shutdown"])

        async def receive():
            return {"type": f"lifespan.{next(words)}"}

        async def send(message):
            if message["type"] == "lifespan.shutdown.complete":
                confirmed.append(reporter.stats().confirmed)

        request = asyncio.create_task(recording({"type": "http", "method": "GET", "path": "/"}, receive, send))
        await asyncio.sleep(0)
        request.cancel()
        await recording({"type": "lifespan"}, receive, send)
        request.cancel()

    with pumpkit.Reporter(f"sqlite:///{tmp_path}/buffer.db", flush_interval=60) as reporter:
        asyncio.run(main(reporter))
    assert confirmed == [1 if ends else 0]


def test_no_thread_can_be_started(tmp_path):
    """What waits is sent in place, and the end goes on."""

    async def app(scope, receive, send):
        await _waits_only(scope, receive, send)
        executor = ThreadPoolExecutor(1)
        executor.shutdown()
        asyncio.get_running_loop().set_default_executor(executor)

    assert live(RecordRequests(app), tmp_path) == ([STARTED, STOPPED], [])


def test_other_event_loops(captured_records):
    """Without asyncio's loop the middleware works, and what waits is sent in place."""

    class Inbox:
        def __init__(self, *words):
            self.words = list(words)

        def receive(self):
            return _at_once({"type": f"lifespan.{self.words.pop(0)}"})

    told = []
    inbox = Inbox("startup", "shutdown")
    running = RecordRequests(_ignores)(
        {"type": "lifespan"}, inbox.receive, lambda message: _at_once(told.append(message))
    )
    with pytest.raises(StopIteration):
        running.send(None)
    assert [message["type"] for message in told] == [STARTED[0], STOPPED[0]]


async def _at_once(value):
    return value
