"""What the MongoDB sink makes of collections: indexes, expiry, caps; and which collections it does not take."""

import datetime
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest
from pymongo.errors import OperationFailure

from pumpkit.errors import ConfigError, PartialWrite, Unavailable
from tests.servers.mongo import ROOT
from tests.sinks.mongo_world import DATABASE, MongoWorld, numbers

HOUR_AGO = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)


def command(world: MongoWorld, *words: Any, **more: Any) -> Any:
    """Give the server a command."""
    with world.server.client() as client:
        return client[DATABASE].command(*words, **more)


def indexes(world: MongoWorld, collection: str = "audit") -> dict[str, Any]:
    """Return the indexes of a collection, by name, but that of the ids."""
    with world.server.client() as client:
        found = client[DATABASE][collection].index_information()
    return {name: dict(index) for name, index in found.items() if name != "_id_"}


# Indexes -------------------------------------------------------------------------------------------------------


def test_indexes_are_made_where_they_are_missing(mongo_world: MongoWorld) -> None:
    """By names, or names and directions; a second start finds them there."""
    wanted = [
        {"keys": ["user", "n"]},
        {"keys": {"n": -1, "text": 1}, "name": "mine", "sparse": False},
        {"keys": ["token"], "unique": True, "sparse": True},
    ]
    for _ in range(2):
        mongo_world.open(indexes=wanted).close()
    found = indexes(mongo_world)
    assert {name: index["key"] for name, index in found.items()} == {
        "user_1_n_1": [("user", 1), ("n", 1)],
        "mine": [("n", -1), ("text", 1)],
        "token_1": [("token", 1)],
    }
    assert [found["token_1"][word] for word in ("unique", "sparse")] == [True, True]


def test_indexes_of_collections_that_records_name(mongo_world: MongoWorld) -> None:
    """Each gets its indexes before it is first written to."""
    sink = mongo_world.open(collection="of-{user}", indexes=[{"keys": ["n"]}])
    mongo_world.write(sink, [{"user": "ann", "n": 1}, {"user": "bob", "n": 1}])
    assert list(indexes(mongo_world, "of-ann")) == list(indexes(mongo_world, "of-bob")) == ["n_1"]


def test_an_index_that_is_there_and_differs(mongo_world: MongoWorld) -> None:
    """It is not made anew; a person has to choose."""
    mongo_world.open(indexes=[{"keys": ["n"]}])
    with pytest.raises(ConfigError, match=r"collection audit, index over n: Index\w+Conflict \(8[56]\)"):
        mongo_world.open(indexes=[{"keys": ["n"], "unique": True}])


def test_a_unique_index_over_what_is_not_unique(mongo_world: MongoWorld) -> None:
    """Documents that are there already can make it impossible."""
    mongo_world.write(mongo_world.open(), [{"n": 1}, {"n": 1}])
    with pytest.raises(ConfigError, match="index over n: DuplicateKey"):
        mongo_world.open(indexes=[{"keys": ["n"], "unique": True}])


def test_an_index_that_takes_too_long(mongo_world: MongoWorld) -> None:
    """A server gives a long build up at the end of the time, and the next try would begin anew: it is for a person."""
    mongo_world.server.fail(["createIndexes"], {"times": 1}, errorCode=50)
    with pytest.raises(ConfigError, match=r"index over user, n takes longer than .* make it yourself") as caught:
        mongo_world.open(indexes=[{"keys": {"user": 1, "n": -1}, "unique": True, "name": "mine"}])
    command = """db.getCollection("audit").createIndex({"user": 1, "n": -1}, {"unique": true, "name": "mine"})"""
    assert command in str(caught.value)
    assert "`create-indexes: false`" in str(caught.value)


def test_no_indexes_are_made_if_told_so(mongo_world: MongoWorld) -> None:
    """`create-indexes: false`, or the original's `omit_index_creation`."""
    for more in ({"create_indexes": False}, {"omit_index_creation": True}):
        mongo_world.write(mongo_world.open(indexes=[{"keys": ["n"]}], expire_after="1h", **more), numbers(0, 1))
    assert indexes(mongo_world) == {}


@pytest.mark.parametrize("keys", [[], {}, {"n": 2}, "n"])
def test_an_index_without_fields(mongo_world: MongoWorld, keys: Any) -> None:
    """It is refused before anything is connected to."""
    with pytest.raises(ConfigError, match=r"meta\.indexes\.0\.keys"):
        mongo_world.make(indexes=[{"keys": keys}])


# Expiry --------------------------------------------------------------------------------------------------------


def test_expiry_after_the_time_of_the_record(mongo_world: MongoWorld) -> None:
    """Counted from the record's time, in whatever form; the record's own time to expire wins, and null is none."""
    began = datetime.datetime(2026, 11, 25, 17, tzinfo=datetime.UTC)
    own = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
    sink = mongo_world.open(expire_after="1h", time_field="at")
    records = [
        {"at": began},
        {"at": "2026-11-25T18:00:00+01:00"},
        {"at": began.timestamp()},
        {"at": began, "expire_at": None},
        {"at": began, "expire_at": datetime.datetime(1, 1, 1, tzinfo=datetime.UTC)},
        {"at": began, "expire_at": own},
        {"at": began, "expire_at": "2030-01-01"},
        {"at": began, "expire_at": "never"},
        {"at": datetime.datetime(9999, 12, 31, 23, 30, tzinfo=datetime.UTC)},
    ]
    mongo_world.write(sink, records)
    later = began + datetime.timedelta(hours=1)
    found = [document["expire_at"] for document in mongo_world.documents().values()]
    assert found == [later, later, later, later, later, own, own, "never", None]
    assert indexes(mongo_world)["expire_at_1"]["expireAfterSeconds"] == 0


@pytest.mark.parametrize("at", [None, "yesterday", float("nan"), float("inf"), 1e300, -1e300, [1]])
def test_expiry_of_a_record_without_a_time(mongo_world: MongoWorld, at: Any) -> None:
    """It counts from now, and never costs the rest of the batch."""
    mongo_world.write(mongo_world.open(expire_after="1h"), [{"timestamp": at}, {}])
    left = [
        document["expire_at"] - datetime.datetime.now(datetime.UTC) for document in mongo_world.documents().values()
    ]
    assert all(datetime.timedelta(minutes=50) < one <= datetime.timedelta(hours=1) for one in left)


def test_expiry_by_the_record(mongo_world: MongoWorld) -> None:
    """Text and numbers become times; Go's zero time is none, and no other field is made."""
    sink = mongo_world.open(expire_by_record=True, expire_field="until")
    zero = datetime.datetime(1, 1, 1, tzinfo=datetime.UTC)
    mongo_world.write(sink, [{"until": 1_900_000_000}, {"until": zero}, {"until": "junk"}, {"n": 1}])
    assert mongo_world.documents() == {
        0: {"until": datetime.datetime.fromtimestamp(1_900_000_000, datetime.UTC)},
        1: {"until": None},
        2: {"until": "junk"},
        3: {"n": 1},
    }
    assert indexes(mongo_world)["until_1"]["expireAfterSeconds"] == 0


def test_an_index_with_another_expiry(mongo_world: MongoWorld) -> None:
    """It is for a person: documents would be removed at another time."""
    with mongo_world.server.client() as client:
        client[DATABASE]["audit"].create_index("expire_at", expireAfterSeconds=60)
    with pytest.raises(ConfigError, match="index over expire_at"):
        mongo_world.open(expire_by_record=True)


def test_expired_documents_are_removed(new_mongo_world: Callable[..., MongoWorld]) -> None:
    """The server removes those whose time has come, and no other."""
    world = new_mongo_world(quick_ttl=True)
    world.write(world.open(expire_after="10m"), [{"timestamp": HOUR_AGO}, {"n": 1}, {"timestamp": "?"}])
    deadline = time.monotonic() + 90
    while len(world.documents()) > 2 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert list(world.documents()) == [1, 2]


# Caps and other kinds of collections ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("meta", "size", "most"),
    [
        ({"capped": {"max-bytes": "1MiB", "max-records": 20}}, 1 << 20, 20),
        ({"collection_cap_enable": True, "collection_cap_max_size_bytes": 1048576}, 1 << 20, None),
        ({"capped": {"max-bytes": 1_000_100}}, 1_000_100, None),
        ({"collection_cap_enable": True}, 5 << 30, None),
        ({"collection_cap_enable": True, "collection_cap_max_size_bytes": 0}, 5 << 30, None),
    ],
)
def test_capped_collections(
    mongo_world: MongoWorld, caplog: pytest.LogCaptureFixture, meta: Any, size: int, most: int | None
) -> None:
    """They are made with the size that is asked for; a second start takes what is there without a word."""
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            mongo_world.write(mongo_world.open(**meta), numbers(0, 5))
    assert caplog.records == []
    with mongo_world.server.client() as client:
        options = client[DATABASE]["audit"].options()
    assert (options["capped"], options.get("max")) == (True, most)
    assert options["size"] in (size, size + 256 - size % 256)  # a MongoDB rounds it up
    assert len(mongo_world.documents()) == 5


def test_a_cap_on_what_is_not_capped(mongo_world: MongoWorld) -> None:
    """An existing collection is not capped behind its owner's back."""
    mongo_world.write(mongo_world.open(), numbers(0, 5))
    with pytest.raises(ConfigError, match="audit is there and is not capped: name another collection"):
        mongo_world.open(capped={"max-bytes": "1MiB"})


def test_another_size_is_told(mongo_world: MongoWorld, caplog: pytest.LogCaptureFixture) -> None:
    """A capped collection of another size is written to, and the difference is logged once."""
    mongo_world.open(capped={"max-bytes": "1MiB", "max-records": 20})
    with caplog.at_level(logging.WARNING):
        sink = mongo_world.open(capped={"max-bytes": "2MiB", "max-records": 20})
        mongo_world.write(sink, numbers(0, 5))
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        "audit is capped with size 1048576, and not 2097152"
    ]


def test_caps_that_mean_nothing(mongo_world: MongoWorld) -> None:
    """A number of documents alone is no cap, and documents of a capped collection cannot grow."""
    with pytest.raises(ConfigError, match=r"meta\.capped: needs `max-bytes` beside `max-records`"):
        mongo_world.make(capped={"max-records": 5})
    with pytest.raises(ConfigError, match="documents of a capped collection cannot grow"):
        mongo_world.make(capped={"max-bytes": "1MiB"}, mode="upsert", upsert_by=["n"])


def test_a_time_series_collection_is_refused(mongo_world: MongoWorld) -> None:
    """It keeps no unique id, so a redelivery would double: only one who says so gets it, and then the sink says so."""
    try:
        command(mongo_world, "create", "audit", timeseries={"timeField": "timestamp"})
    except OperationFailure as error:
        pytest.skip(f"this server has no time-series collections: {error}")
    with pytest.raises(ConfigError, match="time-series collection, which keeps no unique id"):
        mongo_world.open()
    sink = mongo_world.open(allow_duplicates=True)
    assert sink.duplicates == "possible"
    mongo_world.write(sink, [{"timestamp": HOUR_AGO, "n": 1}])
    assert mongo_world.make().duplicates == "never"


def test_a_time_series_collection_that_a_record_names(mongo_world: MongoWorld) -> None:
    """It is refused as well, before anything is written there."""
    command(mongo_world, "create", "of-ann", timeseries={"timeField": "timestamp"})
    sink = mongo_world.open(collection="of-{user}")
    with pytest.raises(ConfigError, match="of-ann is a time-series collection"):
        mongo_world.write(sink, [{"user": "ann", "timestamp": HOUR_AGO}])


def test_a_view_is_refused(mongo_world: MongoWorld) -> None:
    """It takes no records."""
    mongo_world.write(mongo_world.open(), numbers(0, 1))
    command(mongo_world, "create", "seen", viewOn="audit", pipeline=[])
    with pytest.raises(ConfigError, match="seen is a view"):
        mongo_world.open(collection="seen")


# What a collection takes long for, or the user may not --------------------------------------------------------


def test_a_batch_for_many_collections_gets_on(mongo_world: MongoWorld) -> None:
    """What was written within the time is told, so that a batch which takes longer than it comes to an end."""
    sink = mongo_world.open(collection="of-{n}", max_collections=1_000)
    records = numbers(0, 60)
    mongo_world.server.fail(["insert"], {"skip": 25}, errorCode=189)
    with pytest.raises(PartialWrite, match="35 to retry") as caught:
        mongo_world.write(sink, records, timeout=3.0)
    mongo_world.server.unfail()
    assert (caught.value.rejected, caught.value.retry) == ({}, list(range(25, 60)))
    assert len(mongo_world.collections()) == 25
    mongo_world.write(sink, records)
    assert len(mongo_world.collections()) == 60


def test_the_first_of_several_commands_fails(mongo_world: MongoWorld) -> None:
    """Nothing was written: the server is unavailable, and no part of the batch is told to be written."""
    sink = mongo_world.open(url=mongo_world.url(options="&retryWrites=false"), max_bytes=1)
    mongo_world.server.fail(["insert"], {"times": 1}, errorCode=189)
    with pytest.raises(Unavailable):
        mongo_world.write(sink, numbers(0, 5))
    assert mongo_world.documents() == {}
    mongo_world.write(sink, numbers(0, 5))
    assert len(mongo_world.documents()) == 5


def test_a_user_who_may_only_write(
    new_mongo_world: Callable[..., MongoWorld], caplog: pytest.LogCaptureFixture
) -> None:
    """One who may not look at collections writes all the same, if there is nothing to make."""
    world = new_mongo_world(auth=True)
    only = [{"resource": {"db": DATABASE, "collection": "audit"}, "actions": ["insert", "find"]}]
    with world.server.client() as client:
        client[DATABASE].command("createRole", "writer", privileges=only, roles=[])
        client[DATABASE].command("createUser", "narrow", pwd="narrow-4711", roles=["writer"])
    login = {"username": "narrow", "password": "narrow-4711", "auth_source": DATABASE}
    with caplog.at_level(logging.WARNING):
        world.write(world.open(**login), numbers(0, 3))
    assert len(world.documents()) == 3
    with pytest.raises(ConfigError, match=r"index over n: Unauthorized \(13\)"):
        world.open(indexes=[{"keys": ["n"]}], **login)
    assert ROOT[1] not in caplog.text
    assert "narrow-4711" not in caplog.text
