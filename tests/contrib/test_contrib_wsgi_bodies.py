"""Bodies of WSGI applications: one record each, the response unchanged, whatever application and server do."""

import contextlib
import io
import sys
import wsgiref.util
import wsgiref.validate

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pumpkit
from pumpkit.contrib.wsgi import RecordRequests
from tests.contrib.wsgi_asking import ask, hello


def test_lists_stay_lists(captured_records):
    """A server may ask for the number of parts, to know the length; other bodies that have one keep theirs."""

    class Parts:
        def __len__(self):
            return 2

        def __iter__(self):
            return iter([b"a", b"b"])

    def answer(parts):
        def app(environ, start_response):
            start_response("200 OK", [])
            return parts

        return RecordRequests(app)({"REQUEST_METHOD": "GET"}, lambda *_: None)

    for parts in ([b"a", b"b"], (b"a", b"b"), Parts()):
        body = answer(parts)
        assert (body is parts) == isinstance(parts, list | tuple)
        assert len(body) == 2
        assert list(body) == [b"a", b"b"]
    assert [record["status"] for record in captured_records] == [200] * 3
    with pytest.raises(TypeError):
        len(answer(iter([b"a"])))


def test_a_streamed_body_is_recorded_at_its_end(captured_records):
    """Once, when the last part was taken; `close` afterwards changes nothing."""

    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"a"
        assert captured_records == []
        yield b"b"

    assert ask(RecordRequests(app))[2] == b"ab"
    assert [record["status"] for record in captured_records] == [200]


def test_the_client_goes_away(captured_records):
    """The application is told, by the end of its generator, and the record is made."""
    told = []

    def app(environ, start_response):
        start_response("200 OK", [])
        try:
            yield b"a"
            yield b"b"
        finally:
            told.append("closed")

    assert ask(RecordRequests(app), most=1)[2] == b"a"
    assert told == ["closed"]
    assert [(record["status"], "error" in record) for record in captured_records] == [(200, False)]


def test_no_response_was_begun(captured_records):
    """The client goes away before anything was asked of a generator: there is no status."""

    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"a"

    assert ask(RecordRequests(app), most=0)[0] is None
    assert captured_records[0]["status"] is None


def test_an_application_that_raises(captured_records):
    """Status 500, with the type of the error and nothing of its message; the error goes on."""

    def app(environ, start_response):
        raise LookupError("secret")

    raised = ask(RecordRequests(app))[3]
    assert type(raised) is LookupError
    (record,) = captured_records
    assert list(record)[-1] == "error"
    assert (record["status"], record["error"]) == (500, "LookupError")
    assert "secret" not in str(record)


def test_a_body_that_raises(captured_records):
    """The status is the one that the client has seen."""

    def app(environ, start_response):
        start_response("206 Partial Content", [])
        yield b"a"
        raise LookupError

    assert type(ask(RecordRequests(app))[3]) is LookupError
    assert [(record["status"], record["error"]) for record in captured_records] == [(206, "LookupError")]


def test_a_body_whose_close_raises(captured_records):
    """It is recorded if the body was not finished before."""

    class Body:
        def __iter__(self):
            return iter([b"a", b"b"])

        def close(self):
            raise LookupError

    def app(environ, start_response):
        start_response("200 OK", [])
        return Body()

    assert type(ask(RecordRequests(app), most=1)[3]) is LookupError
    assert [(record["status"], record.get("error")) for record in captured_records] == [(200, "LookupError")]


def test_a_body_that_cannot_be_iterated(captured_records):
    """The error is where it would be without the middleware, and recorded."""

    class Body:
        def __iter__(self):
            raise LookupError

    assert type(ask(RecordRequests(lambda environ, start: Body()))[3]) is LookupError
    assert [(record["status"], record["error"]) for record in captured_records] == [(500, "LookupError")]


def test_an_exit_is_an_error_too(captured_records):
    """What ends a worker in the middle of a request is recorded and goes on."""

    def app(environ, start_response):
        raise SystemExit(1)

    with pytest.raises(SystemExit):
        ask(RecordRequests(app))
    assert captured_records[0]["error"] == "SystemExit"


def test_a_second_start_response(captured_records):
    """With an error, before anything was sent: the status is the second one, and the error is known."""

    def app(environ, start_response):
        start_response("200 OK", [])
        try:
            raise LookupError
        except LookupError:
            start_response("503 Busy", [], sys.exc_info())
        return [b"busy"]

    assert ask(RecordRequests(app))[0] == "503 Busy"
    assert [(record["status"], record["error"]) for record in captured_records] == [(503, "LookupError")]


def test_a_second_start_response_too_late(captured_records):
    """The server raises the error again, because the status was sent; that one is recorded."""

    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"a"
        try:
            raise LookupError
        except LookupError:
            start_response("503 Busy", [], sys.exc_info())

    assert type(ask(RecordRequests(app))[3]) is LookupError
    assert [(record["status"], record["error"]) for record in captured_records] == [(200, "LookupError")]


@pytest.mark.parametrize("no_error", [None, (None, None, None), True, ()])
def test_a_start_response_with_no_error(captured_records, no_error):
    """What `sys.exc_info()` says then, and what is not an answer of it, are the server's to judge."""

    def app(environ, start_response):
        start_response("200 OK", [], no_error)
        start_response("201 Created", [], exc_info=no_error or sys.exc_info())
        return [b"a"]

    assert ask(RecordRequests(app))[::2] == ("201 Created", b"a")
    assert [(record["status"], record.get("error")) for record in captured_records] == [(201, None)]


def test_write(captured_records):
    """What `start_response` returns is the server's own."""

    def app(environ, start_response):
        write = start_response("200 OK", [])
        write(b"a")
        write(b"b")
        return []

    assert ask(RecordRequests(app))[2] == b"ab"
    assert [record["status"] for record in captured_records] == [200]


def test_a_status_that_is_no_number(captured_records):
    """The server judges it, not the middleware."""

    def app(environ, start_response):
        start_response("OK", [])
        return [b"a"]

    assert ask(RecordRequests(app))[0] == "OK"
    assert captured_records[0]["status"] is None


class SlottedFile:
    """As a wrapper of C: nothing can be set."""

    __slots__ = ("file",)

    def __init__(self, file, size=8192):
        self.file = file

    def __iter__(self):
        return iter(self.file)


@pytest.mark.parametrize("wrapper", [wsgiref.util.FileWrapper, SlottedFile, lambda file, size=0: file])
def test_files_of_the_server(captured_records, wrapper):
    """The server gets its own wrapper, or file, by which it knows that it may send the file itself."""
    closed = []

    class File(io.BytesIO):
        def close(self):
            closed.append(True)
            super().close()

    file, given = File(b"content"), []

    def app(environ, start_response):
        start_response("200 OK", [])
        given.append(environ["wsgi.file_wrapper"](file))
        return given[0]

    body = RecordRequests(app)({"REQUEST_METHOD": "GET", "wsgi.file_wrapper": wrapper}, lambda *_: None)
    assert body is given[0]
    assert b"".join(body) == b"content"
    assert len(captured_records) == (wrapper is SlottedFile)
    if wrapper is not SlottedFile:
        body.close()
        assert closed == [True]
    assert [record["status"] for record in captured_records] == [200]


def test_a_file_without_close(captured_records):
    """The server's wrapper has a `close` then, which ends the request."""

    class File:
        def read(self, size=-1):
            return b""

    def app(environ, start_response):
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](File())

    environ = {"REQUEST_METHOD": "GET", "wsgi.file_wrapper": wsgiref.util.FileWrapper}
    RecordRequests(app)(environ, lambda *_: None).close()
    assert len(captured_records) == 1


def test_it_conforms(captured_records):
    """Between application and server there is nothing that PEP 3333 forbids, on either side."""

    def streaming(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (part for part in (b"a", b"b"))

    for app in (hello, streaming):
        checked = wsgiref.validate.validator(RecordRequests(wsgiref.validate.validator(app)))
        for method in ("GET", "HEAD"):
            status, _, _, raised = ask(checked, "/x", method)
            assert (status, raised) == ("200 OK", None)
    assert [record["method"] for record in captured_records] == ["GET", "HEAD"] * 2


@st.composite
def plans(draw):
    """What an application does: statuses it begins with, parts, where it raises, and where the client leaves."""
    parts = draw(st.lists(st.binary(max_size=3), max_size=4))
    points = st.none() | st.integers(0, len(parts))
    return {
        "status": draw(st.sampled_from(["200 OK", "404 Not Found", "503 Busy"])),
        "parts": parts,
        "kind": draw(st.sampled_from(["list", "generator", "iterator", "lazy", "write"])),
        "raises": draw(points | st.just(-1)),
        "most": draw(points),
    }


def planned(plan):
    """Return an application that does as planned."""

    def parts():
        for number, part in enumerate(plan["parts"]):
            if plan["raises"] == number:
                raise LookupError(number)
            yield part
        if plan["raises"] == len(plan["parts"]):
            raise LookupError

    def lazy(environ, start_response):
        start_response(plan["status"], [("X", "y")])
        yield from parts()

    def app(environ, start_response):
        if plan["raises"] == -1:
            raise LookupError("at once")
        if plan["kind"] == "lazy":
            return lazy(environ, start_response)
        write = start_response(plan["status"], [("X", "y")])
        if plan["kind"] == "write":
            for part in parts():
                write(part)
            return []
        return {"list": list, "iterator": lambda some: iter(list(some)), "generator": iter}[plan["kind"]](parts())

    return app


@given(plans())
def test_any_application(plan):
    """Exactly one record, of the status that the client has seen, and the response is the same as without."""
    bare = ask(planned(plan), most=plan["most"])
    with pumpkit.captured() as records:
        recorded = ask(RecordRequests(planned(plan)), most=plan["most"])
    assert recorded[:3] == bare[:3]
    assert repr(recorded[3]) == repr(bare[3])
    (record,) = records
    seen = int(bare[0][:3]) if bare[0] else None
    assert record["status"] == (500 if seen is None and bare[3] else seen)
    assert record.get("error") == (type(bare[3]).__name__ if bare[3] else None)


def test_no_record_is_made_of_a_request_that_is_running(captured_records):
    """Nothing is recorded before the end, so what the application tells last counts."""

    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"a"
        environ["pumpkit.route"] = "/late"

    with contextlib.closing(RecordRequests(app)({"REQUEST_METHOD": "GET"}, lambda *_: None)) as body:
        assert next(body) == b"a"
        assert captured_records == []
        assert list(body) == []
    assert [record["route"] for record in captured_records] == ["/late"]
