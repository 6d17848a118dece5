"""Requests of WSGI applications as records: what a record says, and what the middleware's arguments do."""

import datetime
import io

import pytest

import pumpkit
from pumpkit.contrib.wsgi import RecordRequests
from tests.contrib.wsgi_asking import ask, hello

FIELDS = ["time", "method", "route", "path", "status", "duration", "client", "user"]


def test_a_request_is_a_record(captured_records):
    """Every field is there, in one order."""
    before = datetime.datetime.now(datetime.UTC)
    status, headers, body, raised = ask(RecordRequests(hello), "/a/b", "POST", REMOTE_USER="bob", SCRIPT_NAME="/shop")
    assert (status, headers, body, raised) == ("200 OK", [("Content-Type", "text/plain")], b"hello", None)
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
    """Neither the query, nor headers, nor cookies, nor bodies."""

    def echo(environ, start_response):
        start_response("200 OK", [("Set-Cookie", "secret-1")])
        return [b"secret-2"]

    ask(
        RecordRequests(echo),
        "/x",
        QUERY_STRING="secret-3",
        HTTP_AUTHORIZATION="secret-4",
        HTTP_COOKIE="secret-5",
        **{"wsgi.input": io.BytesIO(b"secret-6")},
    )
    assert "secret" not in str(captured_records)


def test_unix_sockets_have_no_address(captured_records):
    """An empty address is none."""
    ask(RecordRequests(hello), REMOTE_ADDR="")
    assert captured_records[0]["client"] is None


@pytest.mark.parametrize(
    ("path", "recorded"), [("/caf\xc3\xa9", "/café"), ("/\xff", "/\ufffd"), ("/plain", "/plain"), ("/\u20ac", "/?")]
)
def test_paths_are_text(captured_records, path, recorded):
    """The bytes of PEP 3333 become text; what is no UTF-8, or no bytes at all, costs nothing but itself."""
    ask(RecordRequests(hello), path)
    assert captured_records[0]["path"] == recorded


def test_the_application_tells_more(captured_records):
    """By keys of the environ: the route, the user, the error."""

    def app(environ, start_response):
        environ.update({"pumpkit.route": "/{x}", "pumpkit.user": "ann", "pumpkit.error": "Timeout"})
        return hello(environ, start_response)

    ask(RecordRequests(app), REMOTE_USER="bob")
    (record,) = captured_records
    assert (record["route"], record["user"], record["error"]) == ("/{x}", "ann", "Timeout")


def test_functions_tell_more(captured_records):
    """By arguments: they are asked at the end, with the environ, and `extra` may hide a field."""

    def app(environ, start_response):
        environ["app.tenant"] = "acme"
        return hello(environ, start_response)

    recording = RecordRequests(
        app,
        route=lambda environ: "/{name}",
        user=lambda environ: environ["HTTP_X_USER"],
        extra=lambda environ: {"tenant": environ["app.tenant"], "path": None},
    )
    ask(recording, "/secret", HTTP_X_USER="ann")
    (record,) = captured_records
    assert list(record) == [*FIELDS, "tenant"]
    assert (record["route"], record["user"], record["tenant"], record["path"]) == ("/{name}", "ann", "acme", None)


def test_functions_that_raise_cost_their_fields_only(captured_records, caplog):
    """The request is answered and recorded; each is logged once."""

    def wrong(environ):
        raise KeyError("x")

    recording = RecordRequests(hello, route=wrong, user=wrong, extra=wrong)
    for _ in range(3):
        assert ask(recording)[2:] == (b"hello", None)
    assert [(record["route"], record["user"], record["status"]) for record in captured_records] == [
        (None,) * 2 + (200,)
    ] * 3
    assert [record.name for record in caplog.records] == ["pumpkit.contrib.web"] * 3
    assert sorted(record.getMessage().split()[0] for record in caplog.records) == ["extra", "route", "user"]
    assert ask(RecordRequests(hello, extra=lambda environ: 7))[3] is None
    assert len(captured_records) == 4


@pytest.mark.parametrize("extra", [lambda environ: 1 // 0, lambda environ: 7, lambda environ: {"path": object()}])
def test_a_path_that_extra_was_to_hide(captured_records, caplog, extra):
    """It is hidden also where that fails; where `extra` has nothing to say, it is not."""
    for function in (extra, lambda environ: None):
        assert ask(RecordRequests(hello, extra=function), "/secret")[2:] == (b"hello", None)
    assert [record["path"] for record in captured_records] == [None, "/secret"]


def test_values_without_a_form_on_the_wire(captured_records, caplog):
    """A user becomes text; a value of `extra` is None, which is logged, and a name that is none is left out."""

    class User:
        def __str__(self):
            return "ann"

    extra = {"number": 7, "day": datetime.date(2026, 1, 2), 3: 4, "deep": {5: 6}, "object": object(), "list": [b"x"]}
    recording = RecordRequests(hello, user=lambda environ: User(), route=lambda environ: 8, extra=lambda environ: extra)
    for _ in range(2):
        assert ask(recording)[3] is None
    assert captured_records[0]["user"] == "ann"
    assert captured_records[0]["route"] == "8"
    assert list(captured_records[1].items())[len(FIELDS) :] == [
        ("number", 7), ("day", "2026-01-02"), ("deep", None), ("object", None), ("list", [b"x"]),
    ]  # fmt: skip
    assert [record.name for record in caplog.records] == ["pumpkit.contrib.web"]


def test_what_the_application_tells_becomes_text(captured_records, caplog):
    """Also of objects; of an error never its message, and of a user that has no text nothing."""

    class Broken:
        def __str__(self):
            raise LookupError

    def app(environ, start_response):
        environ.update({"pumpkit.user": Broken(), "pumpkit.error": LookupError("secret")})
        return hello(environ, start_response)

    assert ask(RecordRequests(app))[3] is None
    (record,) = captured_records
    assert (record["user"], record["error"]) == (None, "LookupError")


def test_a_reporter_that_raises(caplog):
    """One of the application's own does not change the response either."""

    class Own:
        def record(self, record):
            raise LookupError

    assert ask(RecordRequests(hello, reporter=Own()))[2:] == (b"hello", None)
    assert [record.getMessage().split()[:2] for record in caplog.records] == [["the", "record"]]


@pytest.mark.parametrize(
    ("user", "recorded"), [("j\xc3\xbcrgen", "jürgen"), ("jürgen", "jürgen"), ("ж", "ж"), ("ann", "ann"), ("", None)]
)
def test_users_of_the_server_are_text(captured_records, user, recorded):
    """The bytes of PEP 3333 become text; what is text already stays so."""
    ask(RecordRequests(hello), REMOTE_USER=user)
    assert captured_records[0]["user"] == recorded


def test_wrapped_twice_is_one_record(captured_records):
    """The outermost records for a reporter; one of another reporter records as well. Each request begins anew."""
    other = pumpkit.Reporter(common={"other": True})
    once = RecordRequests(hello, extra=lambda environ: {"by": "inner"})
    app = RecordRequests(RecordRequests(once, reporter=other), extra=lambda environ: {"by": "outer"})
    environ = {"PATH_INFO": "/", "REQUEST_METHOD": "GET"}
    for _ in range(2):
        app(environ, lambda *_: None)
    seen = [(record.get("by"), record.get("other")) for record in captured_records]
    assert seen == [(None, True), ("outer", None)] * 2
    assert list(environ) == ["PATH_INFO", "REQUEST_METHOD"]


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"route": "/x"}, TypeError),
        ({"exclude": "/healthz"}, TypeError),
        ({"trusted_proxies": -1}, ValueError),
        ({"trusted_proxies": True}, ValueError),
        ({"headers": True}, TypeError),
    ],
)
def test_wrong_arguments(options, kind):
    """They are refused when the application starts."""
    with pytest.raises(kind, match=next(iter(options))):
        RecordRequests(hello, **options)


async def _later(environ):
    return "bob"


def test_functions_must_not_be_asynchronous():
    """Nobody would wait for them."""
    with pytest.raises(TypeError, match=r"user=.*not asynchronous"):
        RecordRequests(hello, user=_later)


def test_excluded_paths(captured_records):
    """They are answered and not recorded: exact paths only, with the prefix of the application or without."""
    recording = RecordRequests(hello, exclude=["/healthz"])
    for path in ("/healthz", "/healthz/x", "/"):
        assert ask(recording, path)[2] == b"hello"
    assert [record["path"] for record in captured_records] == ["/healthz/x", "/"]
    ask(recording, "/healthz", SCRIPT_NAME="/api")
    ask(RecordRequests(hello, exclude=["/api/healthz"]), "/healthz", SCRIPT_NAME="/api")
    assert len(captured_records) == 2


@pytest.mark.parametrize(
    ("proxies", "header", "client"),
    [
        (0, "203.0.113.1", "192.0.2.7"),
        (1, "203.0.113.1", "203.0.113.1"),
        (1, "6.6.6.6, 203.0.113.1", "203.0.113.1"),  # the first was sent by the client
        (2, "6.6.6.6, 203.0.113.1,10.0.0.1", "203.0.113.1"),
        (2, "203.0.113.1", "192.0.2.7"),  # it did not come by two proxies
        (1, "", "192.0.2.7"),
        (1, " , ", "192.0.2.7"),
        (1, "203.0.113.1:5678", "203.0.113.1"),
        (1, "[2001:db8::1]:443", "2001:db8::1"),
        (1, "[2001:db8::1]", "2001:db8::1"),
        (1, "2001:DB8::1", "2001:db8::1"),
        (1, "unknown", "192.0.2.7"),
        (1, "x" * 100_000, "192.0.2.7"),
        (1, "::1%" + "x" * 100_000, "::1"),
    ],
)
def test_addresses_behind_proxies(captured_records, proxies, header, client):
    """Only as many entries are believed as proxies of one's own have added; by default none. Ports are left out."""
    ask(RecordRequests(hello, trusted_proxies=proxies), HTTP_X_FORWARDED_FOR=header)
    assert captured_records[0]["client"] == client


def test_another_reporter(captured_records):
    """The one that was given gets the records."""
    ask(RecordRequests(hello, reporter=pumpkit.Reporter(common={"service": "shop"})))
    assert captured_records[0]["service"] == "shop"
