"""What `mode: upsert` of the MongoDB sink makes of a key that is there and is not found."""

from typing import Any

import pytest
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from pumpkit.errors import ConfigError, PartialWrite
from pumpkit.plugins import Sink
from pumpkit_mongo.upserts import Upserts
from tests.sinks.mongo_world import DATABASE, MongoWorld


def blind_sink(world: MongoWorld) -> Sink:
    """Return a sink whose collection has `A`, and an index that takes `a` for the same, while a filter does not."""
    with world.server.client() as client:
        collection = client[DATABASE]["audit"]
        collection.create_index("k", unique=True, collation={"locale": "en", "strength": 2})
        collection.insert_one({"k": "A"})
    return world.open(mode="upsert", upsert_by=["k"], create_indexes=False)


def answer_second(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Let the second command get an error of a document that no server here can be made to give."""
    real, calls = Collection.bulk_write, []

    def scripted(self: Collection[Any], requests: Any, **options: Any) -> Any:
        calls.append(requests)
        if len(calls) == 2:
            raise BulkWriteError({"writeErrors": [{"index": 0, "code": code, "errmsg": "said at last"}]})
        return real(self, requests, **options)

    monkeypatch.setattr(Collection, "bulk_write", scripted)


def test_a_key_that_is_there_and_is_never_found(mongo_world: MongoWorld) -> None:
    """It is tried twice, in case another process was faster, and rejected then: never tried for ever."""
    sink = blind_sink(mongo_world)
    assert mongo_world.rejected(sink, [{"k": "a"}, {"k": "b"}]) == {
        0: "another record has the same value of the unique index over k (11000)"
    }


@pytest.mark.parametrize(("code", "expected"), [(10107, "to be sent again"), (112, "to be sent again"), (121, "121")])
def test_the_second_answer_counts(
    mongo_world: MongoWorld, monkeypatch: pytest.MonkeyPatch, code: int, expected: str
) -> None:
    """What fails for another reason at the second try is judged by that."""
    sink = blind_sink(mongo_world)
    answer_second(monkeypatch, code)
    answers = mongo_world.rejected(sink, [{"k": "a"}, {"k": "b"}])
    assert list(answers) == [0]
    assert expected in answers[0]


def test_a_second_answer_for_a_person(mongo_world: MongoWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """A right that was taken away between the two tries rejects no record."""
    sink = blind_sink(mongo_world)
    answer_second(monkeypatch, 13)
    with pytest.raises(ConfigError, match=r"Unauthorized \(13\)"):
        mongo_world.write(sink, [{"k": "a"}])


def test_a_tuple_is_a_list(mongo_world: MongoWorld) -> None:
    """A hook may give a record one, and it becomes a list in the document."""
    sink = mongo_world.open(mode="upsert", upsert_by=["tags"])
    with pytest.raises(PartialWrite) as caught:
        mongo_world.write(sink, [{"tags": ("x", "y")}, {"tags": "z"}])
    assert list(caught.value.rejected) == [0]


def test_an_index_in_another_order_is_that_of_the_fields() -> None:
    """One that was made by hand may have the fields in any order; another one rejects."""
    upserts = Upserts(["a", "b"])
    assert upserts.keeps(["b", "a"])
    assert upserts.keeps(["a_1_b_1"])
    assert not upserts.keeps(["a"])
    assert not upserts.keeps(None)
