"""Answers that no Elasticsearch here can be made to give, from a script; and what a proxy in its place may say."""

import contextlib
import datetime
import email.utils
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pumpkit.errors import ConfigError, PartialWrite, PumpkitError, Unavailable
from tests.sinks.es_scripted import Answer, ScriptedServer, items
from tests.sinks.es_world import EsWorld, numbers

pytestmark = pytest.mark.elasticsearch


@pytest.fixture
def script() -> Iterator[Callable[..., tuple[EsWorld, ScriptedServer]]]:
    """Start a scripted server: `world, server = script(Answer(503), about=...)`."""
    with contextlib.ExitStack() as stack:

        def start(*answers: Answer, about: Answer | None = None) -> tuple[EsWorld, ScriptedServer]:
            server = ScriptedServer(*answers, about=about)
            stack.callback(server.stop)
            world = EsWorld()
            stack.callback(world.close)
            return world, server

        yield start


def opened(world: EsWorld, server: ScriptedServer, **meta: Any) -> Any:
    """Return a sink of a scripted server."""
    return world.open(hosts=server.url, template="none", **meta)


BUSY = {"error": {"type": "es_rejected_execution_exception", "reason": "rejected execution"}, "status": 429}
SHED = {"X-Elastic-Product": "Elasticsearch", "Content-Type": "application/json"}


def test_retry_after_in_seconds(script: Callable[..., Any]) -> None:
    """What a server asks for, the pump is told."""
    world, server = script(Answer(429, BUSY, SHED | {"Retry-After": "7"}))
    with pytest.raises(Unavailable, match="rejected execution") as caught:
        world.write(opened(world, server), numbers(0, 2))
    assert caught.value.retry_after == 7.0


def test_retry_after_as_a_date(script: Callable[..., Any]) -> None:
    """A date is so many seconds from now, and a date that is over none."""
    now = datetime.datetime.now(datetime.UTC)
    late = email.utils.format_datetime(now + datetime.timedelta(hours=1), usegmt=True)
    over = email.utils.format_datetime(now - datetime.timedelta(hours=1), usegmt=True)
    world, server = script(*(Answer(503, b"", SHED | {"Retry-After": when}) for when in (late, over, "soon")))
    sink = opened(world, server)
    asked = []
    for _ in range(3):
        with pytest.raises(Unavailable) as caught:
            world.write(sink, numbers(0, 2))
        asked.append(caught.value.retry_after)
    assert asked[0] is not None
    assert 3_000 < asked[0] <= 3_601
    assert asked[1:] == [0.0, None]


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_a_request_that_is_for_later(script: Callable[..., Any], status: int) -> None:
    """Whatever says "not now" for the whole request, with whatever body, is for later, and is asked once."""
    world, server = script(Answer(status, b"<html>Bad gateway</html>", {"Content-Type": "text/html"}))
    with pytest.raises(Unavailable):
        world.write(opened(world, server), numbers(0, 2))
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (Answer(200, b"<html>Welcome</html>", {"Content-Type": "text/html"}), ConfigError),
        (Answer(200, b"{", SHED), Unavailable),
        (Answer(301, b"", {"Location": "https://elsewhere.example/"}), ConfigError),
        (Answer(404, {"error": "no handler found for uri [/audit/_bulk]"}, SHED), ConfigError),
        (Answer(403, b"Forbidden", {"Content-Type": "text/plain"}), ConfigError),
        (Answer(406, {"error": {"type": "media_type", "reason": "x"}}, SHED), ConfigError),
        (Answer(500, {"error": {"type": "null_pointer_exception", "reason": "x"}}, SHED), None),
        (Answer(400, {"error": {"type": "illegal_argument_exception", "reason": "x"}}, SHED), None),
        (Answer(200, {"errors": False, "items": []}), None),
        (Answer(200, {"errors": False}), None),
        (Answer(200, {"errors": False, "items": [{"create": {}}, {"create": {}}]}), None),
        (Answer(200, {"errors": True, "items": [{"index": {"status": 200}}] * 2}), None),
        (Answer(200, [1, 2]), None),
    ],
)
def test_a_request_that_failed_as_a_whole(
    script: Callable[..., Any], answer: Answer, verdict: type[Exception] | None
) -> None:
    """Nothing is taken for written that was not said to be; what nobody understands is an unknown verdict."""
    world, server = script(answer)
    with pytest.raises(Exception) as caught:
        world.write(opened(world, server), numbers(0, 2))
    if verdict is None:
        assert not isinstance(caught.value, (Unavailable, ConfigError, PartialWrite, OSError))
    else:
        assert isinstance(caught.value, verdict)


def test_each_item_by_its_own_status(script: Callable[..., Any]) -> None:
    """Written, there already, for later, refused: each record has its own verdict."""
    world, server = script(
        Answer(
            200,
            {
                "errors": True,
                "items": [
                    {"create": {"status": 201}},
                    {"create": {"status": 409, "error": {"type": "version_conflict_engine_exception"}}},
                    {"create": {"status": 429, "error": {"type": "es_rejected_execution_exception", "reason": "r"}}},
                    {"create": {"status": 503, "error": {"type": "unavailable_shards_exception", "reason": "r"}}},
                    {"create": {"status": 400, "error": {"type": "document_parsing_exception", "reason": "bad"}}},
                    {"create": {"status": 500, "error": {"type": "exception", "reason": "r"}}},
                    {"create": {"status": 409, "error": {"type": "other", "reason": "r"}}},
                ],
            },
        )
    )
    rejected, retry = world.answer(opened(world, server), numbers(0, 7))
    assert (rejected, retry) == ({4: "document_parsing_exception: bad", 6: "other: r"}, [2, 3, 5])


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("unable to convert [S3CRET] to integer", "unable to convert [...] to integer"),
        ('unable to convert [S3CRET] [x] it\'s "S3CRET" to long', "unable to convert [...] to long"),
        ("unable to convert [a field [S3CRET]] to integer", "unable to convert [...] to integer"),
        ("unable to convert [S3CRET\n, no end", "unable to convert [...]"),
        ("unable to parse date [S3CRET]", "unable to parse date [...]"),
        ("java.lang.IllegalArgumentException: unable to parse URI [S3CRET]", "unable to parse URI [...]"),
        ("Provided Grok expressions do not match field value: [S3CRET]", "do not match field value: [...]"),
        (
            "Provided Grok expressions do not match field value: [S3CRET\nS3CRET] S3CRET",
            "do not match field value: [...]",
        ),
        (
            "Unable to find match for dissect pattern: %{a} against source: S3CRET",
            "pattern: %{a} against source: [...]",
        ),
        ("Unrecognized token 'S3CRET': was expecting (JSON String, ...)", "Unrecognized token [...]: was expecting"),
        ('For input string: "S3CRET"', "For input string: [...]"),
        (
            "field [user] of type [java.lang.String] is no number, value [S3CRET]",
            "field [user] of type [java.lang.String]",
        ),
        ("field [user] not present as part of path [a.user]", "field [user] not present as part of path [a.user]"),
        ("field [user] doesn't exist", "field [user] doesn't exist"),
    ],
)
@pytest.mark.parametrize(
    ("status", "kind"), [(400, "illegal_argument_exception"), (400, "ingest_processor_exception"), (500, "exception")]
)
def test_a_processor_that_fails(script: Callable[..., Any], reason: str, told: str, status: int, kind: str) -> None:
    """What a processor of an ingest pipeline says is told without the values that it shows."""
    world, server = script(items(201, status, type=kind, reason=reason), items(status, type=kind, reason=reason))
    sink = opened(world, server)
    rejected, _ = world.answer(sink, numbers(0, 2))
    said = rejected.get(1, "")
    if status == 500:
        with pytest.raises(PumpkitError) as caught:
            world.write(sink, numbers(1, 1), first=1)
        said = str(caught.value)
    assert f"{kind}: " in said
    assert told in said
    assert "S3CRET" not in said


@pytest.mark.parametrize(
    "value",
    ["pipeline with id [x] does not exist", "no write index is defined for alias", "[/disk usage exceeded flood-stage"],
)
def test_a_value_that_looks_like_a_reason(script: Callable[..., Any], value: str) -> None:
    """What stands in a record does not stop the pump: it is rejected as any other."""
    reasons = {
        "document_parsing_exception": f"[1:6] failed to parse field [n]. Preview of field's value: '{value}'",
        "illegal_argument_exception": f"unable to convert [{value}] to integer",
    }
    world, server = script(*(items(400, type=kind, reason=reason) for kind, reason in reasons.items()))
    sink = opened(world, server)
    for _ in reasons:
        rejected, _ = world.answer(sink, numbers(0, 1))
        assert value not in rejected[0]


def test_a_document_in_a_failure_store(script: Callable[..., Any]) -> None:
    """A data stream that keeps what it refuses elsewhere calls it created; here it is rejected."""
    answer = {
        "errors": False,
        "items": [{"create": {"status": 201, "failure_store": "used"}}, items(201).body["items"][0]],
    }
    world, server = script(Answer(200, answer))
    rejected, retry = world.answer(opened(world, server), numbers(0, 2))
    assert (rejected, retry) == ({0: "the data stream refused it, and put it into its failure store"}, [])


@pytest.mark.parametrize(
    ("statuses", "verdict"), [((429, 503), Unavailable), ((500, 429), None), ((403, 500), ConfigError)]
)
def test_items_that_are_all_put_off(
    script: Callable[..., Any], statuses: tuple[int, ...], verdict: type[Exception] | None
) -> None:
    """Where nothing came of it, the reason that matters most is raised: a person's, then an unknown one, then time."""
    world, server = script(items(*statuses, type="some", reason="reason"))
    with pytest.raises(Exception) as caught:
        world.write(opened(world, server), numbers(0, 2))
    if verdict is None:
        assert type(caught.value).__name__ == "ServerFault"
    else:
        assert isinstance(caught.value, verdict)


def test_a_later_request_that_fails(script: Callable[..., Any]) -> None:
    """What an earlier request of the same write wrote and refused is told; the rest is for later."""
    world, server = script(items(201, 400, type="bad", reason="x"), Answer(503, b"", SHED))
    sink = opened(world, server, **{"max-bytes": 210})
    rejected, retry = world.answer(sink, numbers(0, 6))
    assert (rejected, retry) == ({1: "bad: x"}, [2, 3, 4, 5])
    with pytest.raises(Unavailable):
        world.write(sink, numbers(2, 4), first=2)


def test_a_write_without_time_left(script: Callable[..., Any]) -> None:
    """All requests of a write share its time: when it is over, no other is sent."""
    world, server = script(items(201))
    sink = opened(world, server, **{"max-bytes": 1})
    with pytest.raises(TimeoutError, match="ran out"):
        world.write(sink, numbers(0, 3), timeout=1e-9)
    assert server.requests == []


def test_a_server_below_a_path(script: Callable[..., Any]) -> None:
    """What a URL has after the host stands before every path."""
    world, server = script(items(201))
    world.write(world.open(hosts=f"{server.url}/search/", template="none"), [{"n": 1}])
    assert server.requests[0][0].startswith("/search/audit/_bulk?")


def test_a_batch_of_which_nothing_is_left_to_send(script: Callable[..., Any]) -> None:
    """Where every record is judged before it is sent, no request is."""
    world, server = script(items(201))
    rejected, retry = world.answer(opened(world, server), [{"n": float("nan")}, {"n": 2**70}])
    assert (sorted(rejected), retry) == ([0, 1], [])
    assert server.requests == []


def test_what_is_sent(script: Callable[..., Any]) -> None:
    """Lines of JSON with the content type of the client's version, and the least of an answer is asked for."""
    world, server = script(items(201))
    world.write(opened(world, server, pipeline="p q", **{"wait-for-active-shards": "all"}), [{"n": 1}])
    (path, headers, body) = server.requests[0]
    assert path.startswith("/audit/_bulk?filter_path=errors,items.*.status,")
    assert "&pipeline=p+q&wait_for_active_shards=all&timeout=" in path
    assert headers["content-type"].startswith("application/vnd.elasticsearch+x-ndjson; compatible-with=")
    assert body == b'{"create":{"_id":"0190f0b0c0de7000800000000000000a-0"}}\n{"n":1}\n'


def test_what_elasticsearch_warns_of_is_logged_once(
    script: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """A deprecation is told once, and raised never."""
    said = SHED | {"Warning": '299 Elasticsearch-9.5.3 "the old way is deprecated"'}
    world, server = script(Answer(200, items(201).body, said))
    sink = opened(world, server)
    for n in range(3):
        world.write(sink, numbers(n, 1), first=n)
    assert [record.getMessage() for record in caplog.records] == ["Elasticsearch warns: the old way is deprecated"]


@pytest.mark.parametrize(
    ("about", "told"),
    [
        (Answer(200, {"version": {"number": "9.5.3"}}, {"Content-Type": "application/json"}), "not Elasticsearch"),
        (Answer(200, {"version": {"number": "7.17.29"}}), "7.17.29; the oldest that is supported is 8"),
        (Answer(404, b"nothing here", {"Content-Type": "text/plain"}), "404"),
        (Answer(403, b"keep out", {"Content-Type": "text/plain"}), "403"),
    ],
)
def test_a_server_that_is_another(script: Callable[..., Any], about: Answer, told: str) -> None:
    """What is no Elasticsearch, or too old a one, is refused at the start."""
    world, server = script(items(201), about=about)
    with pytest.raises(ConfigError, match=told):
        opened(world, server)
