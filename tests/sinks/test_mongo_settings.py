"""Settings of the MongoDB sink: those of the originals, secrets, and what may not be combined."""

import logging
import traceback
import warnings
from typing import Any

import pytest
from pymongo.errors import BulkWriteError, OperationFailure

from pumpkit.config import ConfigInvalid, Meta, PumpConfig
from pumpkit.errors import ConfigError, Unavailable
from pumpkit.plugins import Sink
from pumpkit_mongo.codes import FOR_A_PERSON, OF_DOCUMENT, TRANSIENT
from pumpkit_mongo.settings import shown
from pumpkit_mongo.verdicts import UnknownFailure, key_fields, of_code, reason, verdict
from tests.sinks.mongo_world import DATABASE, MongoWorld, numbers

#: Every setting of the originals' MongoDB pump, as a working file has them.
EVERY_SETTING: dict[str, Any] = {
    "collection_name": "tyk_analytics",
    "max_insert_batch_size_bytes": 80000,
    "max_document_size_bytes": 20112,
    "collection_cap_enable": True,
    "collection_cap_max_size_bytes": 1048576,
    "mongo_use_ssl": False,
    "mongo_ssl_insecure_skip_verify": False,
    "mongo_ssl_allow_invalid_hostnames": False,
    "mongo_direct_connection": False,
    "omit_index_creation": False,
    "mongo_db_type": 0,
    "mongo_session_consistency": "strong",
    "mongo_batch_size": 1000,
    "driver": "mongo-go",
}


def test_a_working_file_of_an_original_works(mongo_world: MongoWorld, caplog: pytest.LogCaptureFixture) -> None:
    """Under the names that it has; what has no meaning here is told once."""
    with caplog.at_level(logging.WARNING):
        sink = mongo_world.open_as_is(mongo_url=mongo_world.url(), **EVERY_SETTING)
        mongo_world.write(sink, numbers(0, 5))
        mongo_world.write(sink, numbers(5, 5), first=5)
    assert len(mongo_world.documents("tyk_analytics")) == 10
    (said,) = [record.getMessage() for record in caplog.records]
    for name in ("driver", "mongo_db_type", "mongo_session_consistency", "mongo_batch_size"):
        assert name in said


def test_zero_is_the_default_of_the_originals(mongo_world: MongoWorld) -> None:
    """Sizes of 0 are as good as none."""
    sink = mongo_world.open(max_insert_batch_size_bytes=0, max_document_size_bytes=0)
    mongo_world.write(sink, [{"n": 0, "body": b"x" * 100_000}])
    assert len(mongo_world.documents()) == 1


def test_what_an_original_has_nothing_to_say_of_is_quiet(
    mongo_world: MongoWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """Without such settings nothing is said."""
    with caplog.at_level(logging.WARNING):
        mongo_world.write(mongo_world.open(), numbers(0, 5))
    assert caplog.records == []


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        ({"mode": "upsert"}, "meta.upsert-by: is missing"),
        ({"upsert_by": ["n"]}, "meta.upsert-by: is for `mode: upsert`"),
        ({"mode": "upsert", "upsert_by": ["n"], "allow_duplicates": True}, "time-series collections have no upserts"),
        ({"password": "x"}, "meta.password: needs `username`"),
        ({"database": "a.b"}, "meta.database: 'a.b' is no name of a database"),
        ({"max_bytes": -1}, "meta.max-bytes"),
        ({"max_document_bytes": -1}, "meta.max-document-bytes"),
        ({"max_collections": 0}, "meta.max-collections"),
        ({"colection": "x"}, "did you mean collection?"),
        ({"write_concern": 0}, "nothing would be known of a write"),
    ],
)
def test_what_cannot_be(mongo_world: MongoWorld, meta: dict[str, Any], words: str) -> None:
    """It is refused by its key path, before anything is connected to."""
    with pytest.raises(ConfigInvalid) as caught:
        mongo_world.make(**meta)
    assert words in str(caught.value)


def test_sizes_above_what_a_server_takes(mongo_world: MongoWorld, caplog: pytest.LogCaptureFixture) -> None:
    """A file of an original may have them: the most is taken instead, and said once."""
    with caplog.at_level(logging.WARNING):
        sink = mongo_world.open(max_insert_batch_size_bytes=80 << 20, max_document_size_bytes=20 << 20)
    (record,) = caplog.records
    assert "max-bytes above 41943040, which is taken" in record.getMessage()
    assert "max-document-bytes above 16777216, which is taken" in record.getMessage()
    assert list(mongo_world.rejected(sink, [{"n": 0}, {"body": b"x" * (17 << 20)}])) == [1]


def test_a_pump_whose_name_is_none_for_a_collection(mongo_world: MongoWorld) -> None:
    """The default for `collection` does not do then, and the message says what to set."""
    sink = Sink.open(PumpConfig(name="a..b", type="mongo"), Meta({"url": mongo_world.url()}))
    with pytest.raises(ConfigError, match="set `collection`"):
        sink.init()


@pytest.mark.parametrize("option", ["w=0", "W=0"])
def test_a_url_that_wants_no_answers(mongo_world: MongoWorld, option: str) -> None:
    """With w=0 in the URL a lost write would look like a good one."""
    with pytest.raises(ConfigInvalid, match="has w=0 in it"):
        mongo_world.make(url=mongo_world.url(options=f"&{option}"))


@pytest.mark.parametrize(
    ("meta", "options", "concern"),
    [
        ({}, "", {"w": "majority"}),
        ({}, "&w=1", {"w": 1}),
        ({}, "&journal=true", {"w": "majority", "j": True}),
        ({"write_concern": 1}, "&w=majority", {"w": 1}),
        ({"write_concern": "majority"}, "", {"w": "majority"}),
    ],
)
def test_writes_ask_for_a_majority(
    mongo_world: MongoWorld, meta: dict[str, Any], options: str, concern: dict[str, Any]
) -> None:
    """Unless the settings, or else the URL, ask for something else; seen in the commands that are sent."""
    seen = mongo_world.commands(
        lambda: mongo_world.write(mongo_world.open(url=mongo_world.url(options=options), **meta), numbers(0, 1))
    )
    (insert,) = [command for command in seen if "insert" in command]
    assert insert["writeConcern"] == concern
    assert insert["ordered"] is False


def test_the_database(mongo_world: MongoWorld) -> None:
    """That of the settings, else that of the URL, else `pumpkit`."""
    bare = mongo_world.url().replace(f"/{DATABASE}?", "/?")
    for meta in ({"url": mongo_world.url()}, {"url": bare}, {"url": mongo_world.url(), "database": "third"}):
        mongo_world.write(mongo_world.open(**meta), numbers(0, 1))
    with mongo_world.server.client() as client:
        assert {DATABASE, "pumpkit", "third"} <= set(client.list_database_names())


# Secrets and logs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mongodb://ann:secret-4711@h1:1,h2/x?a=b", "h1:1,h2"),
        ("mongodb+srv://ann:secret-4711@cluster.example.com/x", "cluster.example.com"),
        ("mongodb://ann:sec@ret/-4711@h/x", "h"),
        ("mongodb://h/x?authMechanismProperties=X:secret-4711", "h"),
        ("ann:secret-4711@h", "h"),
    ],
)
def test_what_is_shown_of_a_url(url: str, words: str) -> None:
    """Its hosts, and nothing of the user, the password, or the options."""
    assert shown(url) == words


def test_secrets_show_nowhere(mongo_world: MongoWorld) -> None:
    """Not in the sink's repr, not in an error about what it says of the user."""
    url = mongo_world.url(options="&authMechanism=GSSAPI").replace("mongodb://", "mongodb://ann:secret-4711@")
    sink = mongo_world.make(url=url, username="bob", password="secret-4712")
    with pytest.raises((ConfigError, Unavailable)) as caught:
        sink.init()
    told = "".join(traceback.format_exception(caught.value)) + repr(mongo_world.plugin(sink))
    assert "secret-471" not in told


def test_debug_logs_show_no_documents(mongo_world: MongoWorld, caplog: pytest.LogCaptureFixture) -> None:
    """The driver would log every command with its documents, whatever the level of everything else."""
    with caplog.at_level(logging.DEBUG):
        mongo_world.write(mongo_world.open(), [{"token": "secret-4711"}])
    assert "secret-4711" not in caplog.text


def test_an_old_name_of_an_option_is_taken(mongo_world: MongoWorld) -> None:
    """A URL that worked goes on to work, without a warning that nobody can act on here."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mongo_world.write(mongo_world.open(url=mongo_world.url(options="&ssl=false")), numbers(0, 1))


# Answers that no server here gives ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "fields"),
    [
        ({"keyPattern": {"_id": 1}}, ["_id"]),
        ({"keyPattern": {"a": 1, "b": -1}}, ["a", "b"]),
        ({"errmsg": 'E11000 duplicate key error collection: x.y index: _id_ dup key: { _id: "z" }'}, ["_id"]),
        ({"errmsg": "E11000 duplicate key error collection: x.y index: a_1 dup key: { a: 1 }"}, ["a_1"]),
        ({"errmsg": "E11000 duplicate key error"}, None),
    ],
)
def test_which_index_has_a_key_already(item: dict[str, Any], fields: list[str] | None) -> None:
    """From the pattern, else from the message; where neither says, the ids are read back."""
    assert key_fields(item) == fields


def test_an_answer_without_a_pattern(mongo_world: MongoWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which ids are there decides, where a server does not say which index refused a record."""
    monkeypatch.setattr("pumpkit_mongo.writer.key_fields", lambda item: None)
    sink = mongo_world.open(indexes=[{"keys": ["token"], "unique": True, "sparse": True}])
    mongo_world.write(sink, [{"token": "a"}, {"n": 1}])
    rejected = mongo_world.rejected(sink, [{"token": "a"}, {"n": 1}, {"token": "a"}, {"token": "b"}])
    assert list(rejected) == [2]
    assert list(mongo_world.documents()) == [0, 1, 3]


def test_errors_show_no_documents() -> None:
    """What the driver says of a batch holds the documents of it."""
    error = BulkWriteError({"writeErrors": [{"index": 0, "code": 8, "errmsg": "x", "op": {"token": "secret-4711"}}]})
    assert "secret-4711" not in str(verdict(error, "here"))


def test_reasons_show_no_values() -> None:
    """Of a geographic index, for one, a server shows the whole document."""
    item = {
        "index": 0,
        "code": 16755,
        "errmsg": 'Can\'t extract geo keys: { _id: 1, token: "secret-4711" } out of bounds',
    }
    assert reason(item).startswith("a value that a geographic index cannot take (16755): Can't extract geo keys: {...}")
    assert "secret-4711" not in reason(item)
    assert "secret-4711" not in str(of_code(1, item["errmsg"], "here"))


def test_a_code_has_one_meaning() -> None:
    """No code is in two tables, and one that is in none is not taken for a record's fault, or for an outage."""
    tables = [set(OF_DOCUMENT), set(FOR_A_PERSON), set(TRANSIENT)]
    assert sum(map(len, tables)) == len(set.union(*tables))
    assert isinstance(of_code(4711, "?", "here"), UnknownFailure)


def test_a_server_that_asks_for_a_pause() -> None:
    """Azure's says for how long, in the text."""
    found = of_code(16500, "Error=16500, RetryAfterMs=1250, Details='Request rate is large'", "here")
    assert isinstance(found, Unavailable)
    assert found.retry_after == 1.25


@pytest.mark.parametrize("code", [4711, 8, 13388])
def test_what_the_server_calls_worth_a_second_try(code: int) -> None:
    """Its label says more than a code."""
    error = OperationFailure("x", code, {"errorLabels": ["RetryableWriteError"]})
    assert isinstance(verdict(error, "here"), Unavailable)
