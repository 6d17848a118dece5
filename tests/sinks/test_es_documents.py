"""What becomes of the values of a record: written as the README says, or judged before anything is sent."""

import datetime
import json
import math
from typing import Any

import pytest

from tests.sinks.es_world import EsWorld, ids

pytestmark = pytest.mark.elasticsearch

UTC = datetime.UTC


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("text", "text"),
        ("", ""),
        ("NUL \0 and \u2028 and \U0001f40d", "NUL \0 and \u2028 and \U0001f40d"),
        ("a path \udcff\udcfe", "a path \\udcff\\udcfe"),
        (None, None),
        (True, True),
        (-(2**63), -(2**63)),
        (2**63 - 1, 2**63 - 1),
        (0.1, 0.1),
        (1e300, 1e300),
        (datetime.datetime(2026, 11, 25, 17, 0, 0, 1, UTC), "2026-11-25T17:00:00.000001Z"),
        (datetime.datetime(2026, 11, 25, 17, tzinfo=UTC), "2026-11-25T17:00:00Z"),
        (b"\0\xff", "AP8="),
        (["a", None, [b"x"]], ["a", None, ["eA=="]]),
        ({"deep": {"b\udc80": "\udc80"}}, {"deep": {"b\\udc80": "\\udc80"}}),
    ],
)
def test_a_value_in_a_document(es_world: EsWorld, value: object, written: object) -> None:
    """What is read back is what the table says."""
    sink = es_world.open()
    es_world.write(sink, [{"value": value}])
    assert es_world.documents() == {0: {"value": written}}


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"a": {"b": [1.0, math.nan]}}, "field 'a.b[1]' is nan, a number that JSON does not have"),
        ({"a": None, "b": math.inf}, "field 'b' is inf, a number that JSON does not have"),
        ({"a": "null", "b": [{"c": -math.inf}]}, "field 'b[0].c' is -inf, a number that JSON does not have"),
        (dict.fromkeys(map(str, range(40))) | {"b": math.nan}, "field 'b' is nan, a number that JSON does not have"),
        ({"a": [2**64]}, "field 'a[0]' is an integer of more than 64 bits"),
        ({"a": -(2**63) - 1}, "field 'a' is an integer of more than 64 bits"),
        ({"a": {7: 1}}, "the name of a field must be text, not 7, in 'a'"),
        ({b"a": 1}, "the name of a field must be text, not b'a', in the record"),
        ({"a": {"b": object()}}, "field 'a.b': a value of type object is nothing that JSON has"),
        ({"a": {"b\udc80": 1, "b\\udc80": 2}}, "two fields in 'a' have names that are written alike"),
        ({"_id": 1, "_id_": 2}, "field '_id' is Elasticsearch's own, and '_id_' is taken: see `rename-fields`"),
    ],
)
def test_a_record_that_is_judged_before_it_is_sent(es_world: EsWorld, record: dict[Any, Any], reason: str) -> None:
    """What JSON cannot hold is rejected by itself, naming the field; its neighbours are written."""
    sink = es_world.open()
    assert es_world.answer(sink, [{"n": 0}, record, {"n": 2}]) == ({1: reason}, [])
    assert sorted(es_world.documents()) == [0, 2]


def nested(depth: int, *, maps: bool) -> Any:
    """Return a value nested that deep."""
    value: Any = 1
    for _ in range(depth):
        value = {"d": value} if maps else [value]
    return value


def test_depth(es_world: EsWorld) -> None:
    """Maps 200 levels deep are the mapping's to refuse, lists of 200 levels are written, 1,000 levels are not sent."""
    sink = es_world.open()
    rejected, retry = es_world.answer(
        sink, [nested(200, maps=True), {"a": nested(200, maps=False)}, {"a": nested(1_000, maps=False)}, {"n": 3}]
    )
    assert (sorted(rejected), retry) == ([0, 2], [])
    assert "Limit of mapping depth [20] has been exceeded" in rejected[0]
    assert "is nested deeper than 250 levels" in rejected[2]
    assert len(rejected[2]) < 300
    assert sorted(es_world.documents()) == [1, 3]


@pytest.mark.parametrize("name", ["", ".", "a..b"])
def test_a_field_that_elasticsearch_cannot_name(es_world: EsWorld, name: str) -> None:
    """A name that Elasticsearch refuses is a rejection in its words."""
    rejected, retry = es_world.answer(es_world.open(), [{name: 1}, {"n": 1}])
    assert (list(rejected), retry) == ([0], [])
    assert "field name cannot" in rejected[0]


def test_a_nul_in_the_name_of_a_field(es_world: EsWorld) -> None:
    """NUL is a character as any other."""
    es_world.write(es_world.open(), [{"a\0b": 1}])
    assert es_world.documents() == {0: {"a\0b": 1}}


@pytest.mark.parametrize(
    "name",
    [
        "_data_stream_timestamp", "_field_names", "_id", "_ignored", "_ignored_source", "_index", "_nested_path",
        "_primary_term", "_routing", "_seq_no", "_source", "_version",
    ],
)  # fmt: skip
def test_a_field_named_like_one_of_elasticsearchs_own(es_world: EsWorld, name: str) -> None:
    """It is written under another name: the record's own `_id` neither wins nor costs the record."""
    sink = es_world.open()
    es_world.write(sink, [{name: "mine", "n": {name: "inside"}}])
    assert es_world.documents() == {0: {f"{name}_": "mine", "n": {name: "inside"}}}


def test_an_integer_beyond_a_long(es_world: EsWorld) -> None:
    """2^64-1 can be sent; a field of type long refuses it, one of type unsigned_long would not."""
    rejected, retry = es_world.answer(es_world.open(), [{"n": 2**64 - 1}, {"n": 1}])
    assert (list(rejected), retry) == ([0], [])
    assert "field [n] of type [long]" in rejected[0]
    assert "18446744073709551615" not in rejected[0]


@pytest.mark.parametrize("id_", ["", "i" * 513, "ü" * 257, "\udc80"])
def test_an_id_that_elasticsearch_cannot_have(es_world: EsWorld, id_: str) -> None:
    """One such id would fail its whole request, so its record is rejected before; the others are written."""
    from pumpkit.errors import PartialWrite

    sink = es_world.open()
    with pytest.raises(PartialWrite) as caught:
        sink.write([{"n": 0}, {"n": 1}], [id_, ids(1, 1)[0]], 10.0, False)
    assert list(caught.value.rejected) == [0]
    assert caught.value.rejected[0].startswith("the id ")
    assert es_world.documents() == {1: {"n": 1}}


def test_an_id_of_any_other_text(es_world: EsWorld) -> None:
    """Quotes, line breaks and whatever else are part of an id."""
    sink = es_world.open()
    names = ['"}}\n{"delete":{"_id":"x', "back\\slash", "ü" * 256, "\0"]
    sink.write([{"n": n} for n in range(4)], names, 10.0, False)
    assert es_world.server is not None
    assert {document["_id"]: document["n"] for document in es_world.server.documents("audit")} == {
        name: n for n, name in enumerate(names)
    }


def test_any_record_is_the_same_as_by_the_standard_library(es_world: EsWorld) -> None:
    """A record of plain JSON arrives as `json` reads it, for all that has a null or two in it."""
    record = {"a": None, "b": [None, {"c": None, "d": "null"}], "null": 1.5, "e": {"null": [0.1]}}
    es_world.write(es_world.open(template="none"), [record])
    assert es_world.documents() == {0: json.loads(json.dumps(record))}
