"""Each record is one document, however often it is sent, and one bad record costs no other."""

from collections.abc import Callable
from typing import Any

import pytest

from pumpkit.errors import Unavailable
from tests.sinks.es_world import EsWorld, numbers

pytestmark = pytest.mark.elasticsearch


def test_records_are_documents_under_their_ids(es_world: EsWorld) -> None:
    """A batch arrives whole, each record under its id."""
    sink = es_world.open()
    es_world.write(sink, numbers(0, 300))
    es_world.write(sink, numbers(300, 10), first=300, timeout=None)
    assert es_world.documents() == dict(enumerate(numbers(0, 310)))


def test_what_is_sent_again_is_there_once(es_world: EsWorld) -> None:
    """The same batch again is written already: no error, no second document, and the first one stays as it is."""
    sink = es_world.open()
    es_world.write(sink, numbers(0, 50))
    es_world.write(sink, numbers(0, 50))
    es_world.write(sink, [{"n": -1}, *numbers(50, 10)], first=49)
    assert es_world.documents() == dict(enumerate(numbers(0, 60)))


def test_another_sink_goes_on_where_one_ended(es_world: EsWorld) -> None:
    """After a restart of the pump, what comes again is recognised by the index itself."""
    es_world.write(es_world.open(), numbers(0, 5))
    es_world.write(es_world.open(), numbers(0, 10))
    assert es_world.documents() == dict(enumerate(numbers(0, 10)))


def test_a_conflict_in_record_3_of_500(es_world: EsWorld) -> None:
    """One record that does not fit the mapping is rejected with the field's name; 499 are written. Again, the same."""
    sink = es_world.open()
    records: list[dict[str, Any]] = numbers(0, 500)
    records[3]["n"] = "not a number: 4711"
    for _ in range(2):
        rejected, retry = es_world.answer(sink, records)
        assert (list(rejected), retry) == ([3], [])
        assert rejected[3].startswith("document_parsing_exception: ")
        assert "field [n] of type [long]" in rejected[3]
        assert "4711" not in rejected[3]
    assert list(es_world.documents()) == [n for n in range(500) if n != 3]


def test_a_batch_of_bad_records_is_rejected_one_by_one(es_world: EsWorld) -> None:
    """Where every record is bad, each has its own reason."""
    sink = es_world.open()
    es_world.write(sink, [{"n": 1}])
    rejected, retry = es_world.answer(sink, [{"n": "x"}, {"n": {"y": 1}}, {"n": float("nan")}], first=1)
    assert (sorted(rejected), retry) == ([0, 1, 2], [])
    assert rejected[2] == "field 'n' is nan, a number that JSON does not have"


def test_a_batch_larger_than_a_request(es_world: EsWorld) -> None:
    """A batch above `max-bytes` goes in several requests, and a record above it in one of its own."""
    sink = es_world.open(**{"max-bytes": 1_000})
    records: list[dict[str, Any]] = numbers(0, 100)
    records[7]["text"] = "x" * 5_000
    es_world.write(sink, records)
    assert es_world.documents() == dict(enumerate(records))


def test_compressed_requests(es_world: EsWorld) -> None:
    """`compress: true` changes nothing of what arrives."""
    sink = es_world.open(compress=True)
    es_world.write(sink, numbers(0, 200))
    assert es_world.documents() == dict(enumerate(numbers(0, 200)))


def test_routing_by_a_field(es_world: EsWorld) -> None:
    """`routing` sends records of one value to one shard; a record without the field is rejected."""
    es_world.ask("PUT", "/audit", {"settings": {"number_of_shards": 5}})
    sink = es_world.open(routing="user")
    records: list[dict[str, Any]] = [{"n": n, "user": "ann"} for n in range(20)]
    assert es_world.answer(sink, [*records, {"n": 20}]) == (
        {20: "field 'user' must be text or a whole number, for `routing`"},
        [],
    )
    es_world.write(sink, records)
    assert len(es_world.documents()) == 20
    hits = es_world.ask("GET", "/audit/_search?routing=ann&size=100&preference=_local")["hits"]
    assert hits["total"]["value"] == 20
    assert {hit["_routing"] for hit in hits["hits"]} == {"ann"}


def test_a_pipeline(es_world: EsWorld) -> None:
    """`pipeline` is named in every request."""
    es_world.ask("PUT", "/_ingest/pipeline/nothing", {"processors": []})
    es_world.write(es_world.open(pipeline="nothing"), numbers(0, 3))
    assert len(es_world.documents()) == 3


def test_a_server_that_takes_less_than_a_request(new_es: Callable[..., Any]) -> None:
    """On 413 the batch is halved, down to a record that is too large alone; later requests are smaller at once."""
    world = EsWorld(new_es("http.max_content_length=20kb"))
    sink = world.open()
    records: list[dict[str, Any]] = [{"n": n, "text": "x" * 1_000} for n in range(100)]
    records[41]["text"] = "x" * 30_000
    try:
        rejected = world.deliver(sink, records)
        assert list(rejected) == [41]
        assert "is more than the server takes (status 413)" in rejected[41]
        assert world.deliver(sink, records[:40], first=100) == {}
        assert sorted(world.documents()) == [n for n in range(140) if n != 41]
    finally:
        world.close()


def test_writing_before_and_after(es_world: EsWorld) -> None:
    """A write before `init` and one after `close` is an error of the caller's, not a loss."""
    sink = es_world.make()
    with pytest.raises(RuntimeError, match="before init, or after close"):
        es_world.write(sink, numbers(0, 1))
    sink.init()
    sink.init()
    es_world.write(sink, numbers(0, 1))
    sink.close()
    sink.close()
    with pytest.raises(RuntimeError, match="before init, or after close"):
        es_world.write(sink, numbers(0, 1))


def test_nothing_of_a_write_is_left_out_of_its_verdict(es_world: EsWorld) -> None:
    """Where some records are refused, some written and some not taken now, each is in just one part of the verdict."""
    es_world.ask("PUT", "/closed-1", {"mappings": {"properties": {"n": {"type": "long"}}}})
    es_world.ask("PUT", "/open-1", {"mappings": {"properties": {"n": {"type": "long"}}}})
    es_world.ask("PUT", "/open-1/_settings", {"index.blocks.read_only_allow_delete": True})
    sink = es_world.open(index="{to}-1", template="none")
    records = [{"to": to, "n": n} for to in ("open", "closed") for n in (1, "x")]
    records.insert(2, {"to": "open", "n": float("inf")})
    rejected, retry = es_world.answer(sink, records)
    assert (sorted(rejected), retry) == ([2, 4], [0, 1])
    with pytest.raises(Unavailable, match="disk of Elasticsearch is full"):
        es_world.write(sink, records[:2])
    es_world.ask("PUT", "/open-1/_settings", {"index.blocks.read_only_allow_delete": None})
    rejected, retry = es_world.answer(sink, records[:2])
    assert (sorted(rejected), retry) == ([1], [])
    assert len(es_world.documents("*-1")) == 2
