"""Requests of ASGI applications as records: one each, the response unchanged, whatever application and server do."""

import asyncio
import datetime
import http
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pumpkit
from pumpkit.contrib.asgi import RecordRequests

FIELDS = ["time", "method", "route", "path", "status", "duration", "client", "user"]


def scope_of(path="/", **more):
    """Return the scope of a request."""
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [],
        "client": ["192.0.2.7", 5000],
        **more,
    }


def ask(app, path="/", *, most=None, **more):
    """Ask an application as a server does; return the messages that it sent, and what it raised.

    With `most`, the connection breaks after so many messages.
    """
    messages = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        if len(messages) == most:
            raise ConnectionResetError
        messages.append(message)

    async def main():
        try:
            await app(scope_of(path, **more), receive, send)
        except BaseException as error:
            return error

    return messages, asyncio.run(main())


def start(status=200):
    """Return the message that begins a response."""
    return {"type": "http.response.start", "status": status, "headers": [(b"x", b"y")]}


def part(body=b"", more=False):
    """Return a message with a part of a body."""
    return {"type": "http.response.body", "body": body, "more_body": more}


async def hello(scope, receive, send):
    """Answer with one part."""
    await send(start())
    await send({"type": "http.response.body", "body": b"hello"})


def test_a_request_is_a_record(captured_records):
    """Every field is there, in one order."""
    before = datetime.datetime.now(datetime.UTC)
    messages, raised = ask(RecordRequests(hello), "/shop/a/b", method="POST", root_path="/shop", user="bob")
    assert (messages, raised) == ([start(), {"type": "http.response.body", "body": b"hello"}], None)
    (record,) = captured_records
    assert list(record) == FIELDS
    time, duration = record.pop("time"), record.pop("duration")
    assert before <= time <= datetime.datetime.now(datetime.UTC)
    assert 0 <= duration < 60
    assert record == {
        "method": "POST",
        "route": None,
        "path": "/shop/a/b",
        "status": 200,
        "client": "192.0.2.7",
        "user": "bob",
    }


def test_nothing_private_is_recorded(captured_records):
    """Neither the query, nor headers, nor bodies."""

    async def echo(scope, receive, send):
        await receive()
        await send({**start(), "headers": [(b"set-cookie", b"secret-1")]})
        await send(part(b"secret-2"))

    ask(RecordRequests(echo), query_string=b"secret-3", headers=[(b"authorization", b"secret-4")])
    assert "secret" not in str(captured_records)


@pytest.mark.parametrize("client", [None, ["", 0]])
def test_unix_sockets_have_no_address(captured_records, client):
    """Servers say so in different ways."""
    ask(RecordRequests(hello), client=client)
    assert captured_records[0]["client"] is None


def test_the_application_tells_more(captured_records):
    """By keys of the scope, and by arguments, which are asked at the end."""

    async def app(scope, receive, send):
        scope.update({"pumpkit.route": "/{x}", "pumpkit.user": "ann", "app.tenant": "acme"})
        await hello(scope, receive, send)

    ask(RecordRequests(app, extra=lambda scope: {"tenant": scope["app.tenant"]}))
    ask(RecordRequests(app, route=lambda scope: "/{y}", user=lambda scope: "eve"))
    seen = [(record["route"], record["user"], record.get("tenant")) for record in captured_records]
    assert seen == [("/{x}", "ann", "acme"), ("/{y}", "eve", None)]


def test_functions_that_raise_cost_their_fields_only(captured_records, caplog):
    """The request is answered and recorded; each is logged once."""

    class Broken:
        is_authenticated = property(lambda self: 1 // 0)

    recording = RecordRequests(hello, extra=lambda scope: scope["nothing"])
    for _ in range(3):
        messages, raised = ask(recording, user=Broken())
        assert (len(messages), raised) == (2, None)
    assert [(record["status"], record["user"]) for record in captured_records] == [(200, None)] * 3
    assert sorted(record.getMessage().split()[0] for record in caplog.records) == ["extra", "the"]


def test_excluded_paths(captured_records):
    """They are answered and not recorded."""
    recording = RecordRequests(hello, exclude=["/healthz"])
    for path in ("/healthz", "/"):
        assert len(ask(recording, path)[0]) == 2
    assert [record["path"] for record in captured_records] == ["/"]


def test_excluded_paths_below_a_prefix(captured_records):
    """With the prefix that the server or a mount has put before them, which the path holds, and without."""
    recording = RecordRequests(hello, exclude=["/healthz", "/api/livez"])
    for path in ("/api/healthz", "/api/livez", "/healthz", "/api/healthz/x", "/api"):
        ask(recording, path, root_path="/api")
    assert [record["path"] for record in captured_records] == ["/api/healthz/x", "/api"]


@pytest.mark.parametrize(
    ("status", "recorded"), [(http.HTTPStatus.CREATED, 201), ("202", 202), (203.0, 203), (None, None), ("x", None)]
)
def test_statuses_of_other_kinds(captured_records, status, recorded):
    """Servers take what the standard forbids, and the middleware minds less than any of them."""

    async def app(scope, receive, send):
        await send({**start(), "status": status})
        await send(part())

    messages, raised = ask(RecordRequests(app))
    assert (messages, raised) == ([{**start(), "status": status}, part()], None)
    assert [record["status"] for record in captured_records] == [recorded]


def test_a_start_without_a_status(captured_records):
    """The server judges it."""

    async def app(scope, receive, send):
        await send({"type": "http.response.start"})
        await send(part())

    assert ask(RecordRequests(app))[1] is None
    assert [record["status"] for record in captured_records] == [None]


def test_wrapped_twice_is_one_record(captured_records):
    """The outermost records for a reporter; one of another reporter records as well. Each request begins anew."""
    other = pumpkit.Reporter(common={"other": True})
    once = RecordRequests(hello, extra=lambda scope: {"by": "inner"})
    app = RecordRequests(RecordRequests(once, reporter=other), extra=lambda scope: {"by": "outer"})
    scope = scope_of("/")
    for _ in range(2):
        asyncio.run(app(scope, None, lambda message: asyncio.sleep(0)))
    seen = [(record.get("by"), record.get("other")) for record in captured_records]
    assert seen == [("outer", None), (None, True)] * 2
    explicit = RecordRequests(once, reporter=pumpkit.get_reporter())
    captured_records.clear()
    ask(explicit)
    assert len(captured_records) == 1


def test_a_path_that_extra_was_to_hide(captured_records, caplog):
    """It is hidden also where `extra` raises, as it does of a scope without what it reads."""
    ask(RecordRequests(hello, extra=lambda scope: {"tenant": scope["state"]["tenant"], "path": None}), "/secret")
    assert [record["path"] for record in captured_records] == [None]


def test_addresses_behind_proxies(captured_records):
    """The header may come in several lines, which are one list."""
    headers = [(b"x-forwarded-for", b"6.6.6.6, 203.0.113.1"), (b"x", b"y"), (b"x-forwarded-for", b"10.0.0.1")]
    for proxies in (0, 1, 2, 3, 4):
        ask(RecordRequests(hello, trusted_proxies=proxies), headers=headers)
    clients = [record["client"] for record in captured_records]
    assert clients == ["192.0.2.7", "10.0.0.1", "203.0.113.1", "6.6.6.6", "192.0.2.7"]


def test_a_streamed_body_ends_with_its_last_message(captured_records):
    """What the application does afterwards neither delays the record nor counts into the duration."""

    async def app(scope, receive, send):
        await send(start())
        await send(part(b"a", more=True))
        assert captured_records == []
        await send(part(b"b"))
        assert len(captured_records) == 1
        await send(part(b"c"))  # too late: the server judges it
        raise LookupError

    messages, raised = ask(RecordRequests(app))
    assert (len(messages), type(raised)) == (4, LookupError)
    (record,) = captured_records
    assert "error" not in record


def test_an_answered_error_is_known(captured_records):
    """Frameworks answer an error with status 500 and raise it then; the time that they take is not in the duration."""

    times = [perf_counter()]

    async def app(scope, receive, send):
        await send(start(500))
        await send(part())
        times.append(perf_counter())
        await asyncio.sleep(0.01)
        raise LookupError

    ask(RecordRequests(app))
    (record,) = captured_records
    assert (record["status"], record["error"]) == (500, "LookupError")
    assert record["duration"] <= times[1] - times[0]


@pytest.mark.parametrize(
    "last", [{"type": "http.response.pathsend", "path": "/x"}, {"type": "http.response.zerocopysend", "file": 3}]
)
def test_files_of_the_server(captured_records, last):
    """Extensions of the protocol that send a file are the end of a body too, and other messages are not."""

    async def app(scope, receive, send):
        await send({"type": "http.response.push", "path": "/y", "headers": []})
        await send(start())
        assert captured_records == []
        await send(last)
        assert len(captured_records) == 1

    assert ask(RecordRequests(app))[1] is None


def test_an_application_that_raises(captured_records):
    """Status 500, with the type of the error and nothing of its message; the error goes on."""

    async def app(scope, receive, send):
        raise LookupError("secret")

    assert type(ask(RecordRequests(app))[1]) is LookupError
    (record,) = captured_records
    assert list(record) == [*FIELDS, "error"]
    assert (record["status"], record["error"]) == (500, "LookupError")
    assert "secret" not in str(record)


def test_a_body_that_raises(captured_records):
    """The status is the one that the client has seen."""

    async def app(scope, receive, send):
        await send(start(206))
        raise LookupError

    assert type(ask(RecordRequests(app))[1]) is LookupError
    assert [(record["status"], record["error"]) for record in captured_records] == [(206, "LookupError")]


def test_a_request_that_is_cancelled(captured_records):
    """It is recorded, and the cancellation goes on."""

    async def app(scope, receive, send):
        await send(start())
        await asyncio.sleep(60)

    async def main():
        task = asyncio.create_task(RecordRequests(app)(scope_of(), None, lambda message: asyncio.sleep(0)))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert [(record["status"], record["error"]) for record in captured_records] == [(200, "CancelledError")]


def test_the_client_goes_away(captured_records):
    """Whether the application raises what the server raised, or returns: there is one record, and one more may say."""

    async def quiet(scope, receive, send):
        await send(start())
        try:
            await send(part(b"a"))
        except ConnectionError:
            return

    async def silent(scope, receive, send):
        return

    assert type(ask(RecordRequests(hello), most=1)[1]) is ConnectionResetError
    assert ask(RecordRequests(quiet), most=1)[1] is None
    assert ask(RecordRequests(hello), most=0)[0] == []
    assert ask(RecordRequests(silent))[1] is None
    seen = [(record["status"], record.get("error")) for record in captured_records]
    assert seen == [(200, "ConnectionResetError"), (200, None), (500, "ConnectionResetError"), (None, None)]


def test_websockets_pass_untouched(captured_records):
    """With the server's own functions; nothing is recorded of them."""
    seen = []

    async def app(scope, receive, send):
        seen.append((scope, receive, send))

    given = ({"type": "websocket", "path": "/"}, object(), object())
    asyncio.run(RecordRequests(app)(*given))
    assert seen == [given]
    assert captured_records == []


@st.composite
def plans(draw):
    """What an application sends, where it raises, and where the connection breaks."""
    bodies = draw(st.lists(st.binary(max_size=3), max_size=3))
    messages = [start(draw(st.sampled_from([200, 404, 503])))] + [part(body, more=True) for body in bodies]
    if draw(st.booleans()):
        messages.append(part(b"last"))
    points = st.none() | st.integers(0, len(messages))
    return messages, draw(points), draw(points), draw(st.booleans())


def planned(messages, raises, quiet):
    """Return an application that does as planned."""

    async def app(scope, receive, send):
        for number, message in enumerate(messages):
            if number == raises:
                raise LookupError
            try:
                await send(message)
            except ConnectionError:
                if quiet:
                    return
                raise
        if raises == len(messages):
            raise LookupError

    return app


@given(plans())
def test_any_application(plan):
    """Exactly one record, of the status that the client has seen, and the response is the same as without."""
    messages, raises, most, quiet = plan
    bare, bare_error = ask(planned(messages, raises, quiet), most=most)
    with pumpkit.captured() as records:
        recorded, error = ask(RecordRequests(planned(messages, raises, quiet)), most=most)
    assert recorded == bare
    assert repr(error) == repr(bare_error)
    (record,) = records
    seen = bare[0]["status"] if bare else None
    assert record["status"] == (500 if seen is None and bare_error else seen)
    answered = bool(bare) and bare[-1] == part(b"last") and seen < 500
    assert record.get("error") == (type(bare_error).__name__ if bare_error and not answered else None)
