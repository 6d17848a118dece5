"""Documents of the MongoDB sink: what they look like, and which records are none."""

import datetime

import bson
import pytest

from pumpkit.errors import ConfigError, PartialWrite
from pumpkit_mongo.documents import Encoder
from pumpkit_mongo.names import DAY, CollectionNames
from tests.sinks.mongo_world import DATABASE, MongoWorld, ids, numbers


def nested(levels: int) -> dict[str, object]:
    """Return a map so many levels deep."""
    value: dict[str, object] = {"leaf": 1}
    for _ in range(levels - 1):
        value = {"below": value}
    return value


def test_records_are_documents_under_their_ids(mongo_world: MongoWorld) -> None:
    """Values keep their types; the id is `_id`, and a field of that name becomes `_id_`."""
    when = datetime.datetime(2026, 11, 25, 17, 0, 0, 123_000, datetime.UTC)
    record = {"t": "ü\0", "b": b"\x00\xff", "i": 1 << 62, "f": 0.5, "n": None, "l": [1, {"x": [True]}], "when": when}
    mongo_world.write(mongo_world.open(), [record | {"_id": "mine"}])
    assert mongo_world.documents() == {0: record | {"_id_": "mine"}}


def test_odd_names_and_numbers_are_kept(mongo_world: MongoWorld) -> None:
    """Dots and dollars in names of fields, nan and infinities are no reason to refuse a record."""
    records = [{"a.b": 1}, {"$a": 1}, {"x": float("inf")}, {"": 1}]
    mongo_world.write(mongo_world.open(), records)
    assert list(mongo_world.documents().values()) == records


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"a\0b": 1}, "NUL"),
        ({"deep": {"a": [{"number": 1 << 64}]}}, "field 'deep.a.0.number' is a number of more than 64 bits"),
        ({"path": "\udcff"}, "field 'path' holds half a surrogate pair"),
        ({"\udcff": 1}, "half a surrogate pair"),
        (nested(200), "nested deeper than 100 levels"),
        (nested(3_000), "nested deeper than 100 levels"),
        ({"body": b"x" * (17 << 20)}, "bytes; 16777216 are the most"),
        ({"odd": {1: 2}}, "string keys"),
    ],
    ids=["NUL in a name", "65 bits", "lone surrogate", "surrogate in a name", "200 levels", "3,000", "17 MB", "key"],
)
def test_a_record_that_is_no_document_is_rejected_alone(
    mongo_world: MongoWorld, record: dict[object, object], words: str
) -> None:
    """It is rejected by its index, with the field and without its value; the rest of the batch is written."""
    records = [*numbers(0, 2), record, *numbers(3, 2)]
    rejected = mongo_world.rejected(mongo_world.open(), records)
    assert list(rejected) == [2]
    assert words in rejected[2]
    assert len(rejected[2]) < 300
    assert list(mongo_world.documents()) == [0, 1, 3, 4]


def test_depth_of_100_is_kept(mongo_world: MongoWorld) -> None:
    """As deep as MongoDB documents that it goes."""
    mongo_world.write(mongo_world.open(), [nested(100)])
    assert mongo_world.documents() == {0: nested(100)}


def test_collections_are_named_after_records(mongo_world: MongoWorld) -> None:
    """Fields and dates of the record, never of the clock; a record without them is rejected."""
    sink = mongo_world.open(collection="audit-{user}-{timestamp:%Y-%m}")
    records = [
        {"user": "ann/é", "timestamp": 0},
        {"user": "ann/é", "timestamp": "2026-11-25T23:30:00-02:00"},
        {"user": "bob", "timestamp": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)},
        {"user": "bob"},
        {"user": ["bob"], "timestamp": 0},
        {"user": "bob", "timestamp": "yesterday"},
    ]
    rejected = mongo_world.rejected(sink, records)
    assert rejected[3] == "field 'timestamp' is missing, and the name of the collection needs it"
    assert rejected[4] == "field 'user': a value of type list is no part of a name"
    assert rejected[5].startswith("field 'timestamp' is no time")
    assert mongo_world.collections() == ["audit-ann__-1970-01", "audit-ann__-2026-11", "audit-bob-2026-01"]


def test_the_number_of_collections_is_bounded(mongo_world: MongoWorld) -> None:
    """One more than `max-collections` is a rejection that names the setting."""
    sink = mongo_world.open(collection="of-{user}", max_collections=2)
    rejected = mongo_world.rejected(sink, [{"user": name} for name in "abca"])
    assert list(rejected) == [2]
    assert "max-collections" in rejected[2]


@pytest.mark.parametrize("name", ["$x", "{a", "a}", "system.x", "{time:%c}", "a b", "-a", "x" * 200])
def test_what_is_no_name_is_refused(mongo_world: MongoWorld, name: str) -> None:
    """A template that could not be a name is an error of the configuration."""
    with pytest.raises(ConfigError, match="collection"):
        mongo_world.make(collection=name)


def test_a_large_batch_is_several_commands(mongo_world: MongoWorld) -> None:
    """Above `max-bytes` a batch is cut, and written whole."""
    sink = mongo_world.open(max_bytes="100KiB")
    mongo_world.write(sink, [{"n": n, "noise": b"x" * 30_000} for n in range(20)])
    assert list(mongo_world.documents()) == list(range(20))


def test_a_smaller_limit_of_documents(mongo_world: MongoWorld) -> None:
    """`max-document-bytes` rejects what is above."""
    sink = mongo_world.open(max_document_size_bytes=1000)
    assert list(mongo_world.rejected(sink, [{"a": "x" * 500}, {"a": "x" * 1500}])) == [1]


def test_upsert_keeps_the_last_of_those_that_agree(mongo_world: MongoWorld) -> None:
    """Records that agree in `upsert-by` are one document, the last; one without the field is rejected."""
    sink = mongo_world.open(mode="upsert", upsert_by=["user", "day"])
    records = [{"user": "ann", "day": 1, "n": n} for n in range(3)] + [{"user": "bob", "day": 1}, {"user": "eve"}]
    for _ in range(2):
        with pytest.raises(PartialWrite) as caught:
            sink.write([dict(record) for record in records], ids(0, 5), 10.0, False)
        assert caught.value.rejected == {4: "it has no day, and `upsert-by` needs it"}
    sink.write([{"user": "ann", "day": 1, "n": 9}], ids(7, 1), 10.0, False)
    with mongo_world.server.client() as client:
        found = list(client[DATABASE]["audit"].find({}, {"_id": 0}).sort("user"))
        indexes = client[DATABASE]["audit"].index_information()
    assert found == [
        {"user": "ann", "day": 1, "n": 9, "record_id": ids(7, 1)[0]},
        {"user": "bob", "day": 1, "record_id": ids(3, 1)[0]},
    ]
    assert indexes["user_1_day_1"]["unique"] is True


def test_a_value_that_looks_like_an_operator_chooses_no_other_document(mongo_world: MongoWorld) -> None:
    """A record whose `upsert-by` field is a map such as `$gt` is a document of its own, and replaces no other."""
    sink = mongo_world.open(mode="upsert", upsert_by=["user"])
    sink.write([{"user": "ann"}, {"user": {"$gt": ""}}, {"user": {"$ne": None}}], ids(0, 3), 10.0, False)
    with mongo_world.server.client() as client:
        found = [document["user"] for document in client[DATABASE]["audit"].find().sort("record_id")]
    assert found == ["ann", {"$gt": ""}, {"$ne": None}]


def test_an_upserted_record_keeps_its_own_record_id(mongo_world: MongoWorld) -> None:
    """A field `record_id` of the record stays, and so does its `_id`, under another name."""
    sink = mongo_world.open(mode="upsert", upsert_by=["user"])
    sink.write([{"user": "ann", "record_id": "own", "_id": 7}], ids(0, 1), 10.0, False)
    with mongo_world.server.client() as client:
        found = list(client[DATABASE]["audit"].find({}, {"_id": 0}))
    assert found == [{"user": "ann", "record_id": "own", "_id_": 7}]


@pytest.mark.parametrize("field", ["", "_id", "a.b", "$a"])
def test_what_cannot_be_upserted_by(mongo_world: MongoWorld, field: str) -> None:
    """Only a field at the top of a record chooses a document."""
    with pytest.raises(ConfigError, match="field at the top"):
        mongo_world.make(mode="upsert", upsert_by=[field])


def test_a_field_named_id_is_never_lost(mongo_world: MongoWorld) -> None:
    """Its new name gets more underscores until it is free."""
    mongo_world.write(mongo_world.open(), [{"_id": 1, "_id_": 2, "_id__": 3}, {"_id": None}])
    assert mongo_world.documents() == {0: {"_id_": 2, "_id__": 3, "_id___": 1}, 1: {"_id_": None}}


def test_the_same_records_handed_over_twice(mongo_world: MongoWorld) -> None:
    """What the sink does to a record does not count as the record's own when it is handed over again."""
    sink, records = mongo_world.open(), [{"n": 1}, {"n": 2, "_id": "own"}]
    for _ in range(2):
        sink.write(records, ids(0, 2), 10.0, False)
    assert mongo_world.documents() == {0: {"n": 1}, 1: {"n": 2, "_id_": "own"}}


def test_dots_cannot_spoil_a_name(mongo_world: MongoWorld) -> None:
    """Values with dots in a row, or at the end, are made safe: the driver would refuse the name, and so the batch."""
    sink = mongo_world.open(collection="of-{user}")
    assert mongo_world.rejected(sink, [{"user": user} for user in ("../ann", "ann.", "a.b", "..")]) == {}
    assert mongo_world.collections() == ["of-_", "of-__ann", "of-a.b", "of-ann_"]


def test_names_count_for_a_day() -> None:
    """A process that runs for months does not run out of names with dates in them."""
    now = 0.0
    names = CollectionNames("of-{day}", 2, lambda: now)
    for day in range(10):
        assert [names.name({"day": f"{day}{half}"}) for half in "ab"] == [f"of-{day}a", f"of-{day}b"]
        with pytest.raises(ValueError, match="max-collections"):
            names.name({"day": f"{day}c"})
        now += DAY


def test_more_records_than_a_command_may_have(mongo_world: MongoWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """They go in several commands, and a bad one among them has its own place in the verdict."""
    monkeypatch.setattr("pumpkit_mongo.writer.MAX_DOCUMENTS", 7)
    sink = mongo_world.open()
    records: list[dict[str, object]] = [*numbers(0, 20)]
    records[15] = {"n": 1 << 70}
    assert list(mongo_world.rejected(sink, records)) == [15]  # type: ignore[arg-type]
    assert list(mongo_world.documents()) == [n for n in range(20) if n != 15]


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 99, 101, 1_001])
def test_documents_cut_out_of_a_batch(count: int) -> None:
    """Encoded together, or each by itself, they are the same but for the place of `_id`."""
    records = [{"n": n, "text": "x" * (n % 7), "in": [{"deep": {"n": n}}]} for n in range(count)]
    parts, rejected = Encoder("audit").encode([dict(record) for record in records], ids(0, count))
    assert rejected == {}
    documents = [bson.decode(document) for part in parts for document in part.documents]
    assert documents == [{"_id": id_, **record} for id_, record in zip(ids(0, count), records, strict=True)]
    assert Encoder(lambda record: "audit").encode([dict(r) for r in records], ids(0, count))[1] == {}


def test_an_upsert_in_which_the_last_is_refused(mongo_world: MongoWorld) -> None:
    """What would have been replaced by a record that the server refuses is sent again, and kept then."""
    with mongo_world.server.client() as client:
        client[DATABASE].create_collection(
            "audit", validator={"$jsonSchema": {"properties": {"v": {"bsonType": "string"}}}}
        )
    sink = mongo_world.open(mode="upsert", upsert_by=["k"])
    records = [{"k": 1, "v": "first"}, {"k": 1, "v": "good"}, {"k": 1, "v": 5}, {"k": 1, "v": 6}, {"k": 2, "v": "x"}]
    for _ in range(2):  # a redelivery comes to the same end
        left, rejected = dict(enumerate(records)), set()
        while left:
            places = list(left)
            try:
                sink.write([dict(record) for record in left.values()], [ids(n, 1)[0] for n in places], 10.0, False)
                break
            except PartialWrite as verdict:
                rejected |= {places[index] for index in verdict.rejected}
                left = {places[index]: records[places[index]] for index in verdict.retry}
        assert rejected == {2, 3}
        with mongo_world.server.client() as client:
            found = list(client[DATABASE]["audit"].find({}, {"_id": 0, "record_id": 0}).sort("k"))
        assert found == [{"k": 1, "v": "good"}, {"k": 2, "v": "x"}]


def test_an_upsert_by_a_list_is_rejected(mongo_world: MongoWorld) -> None:
    """By a list no document is found again, and an index has an entry for each item: it would be tried for ever."""
    sink = mongo_world.open(mode="upsert", upsert_by=["tags"])
    assert mongo_world.rejected(sink, [{"tags": "x"}, {"tags": ["x", "y"]}]) == {
        1: "it has a list in tags, by which `upsert-by` finds no document"
    }
