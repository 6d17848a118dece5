"""What the MongoDB sink makes of a server's answers: written, rejected, to be sent again, or for a person."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pymongo.errors import PyMongoError

from pumpkit.config import ConfigInvalid
from pumpkit.errors import ConfigError, PartialWrite, Unavailable
from tests.servers.mongo import READER, ROOT, MongoServer
from tests.sinks.mongo_world import DATABASE, MongoWorld, ids, numbers


def test_what_is_sent_again_is_there_once(mongo_world: MongoWorld) -> None:
    """A duplicate of the record id is a success, for a whole batch and for a part of it."""
    sink = mongo_world.open()
    mongo_world.write(sink, numbers(0, 50))
    mongo_world.write(sink, numbers(0, 50))
    mongo_world.write(mongo_world.open(), numbers(25, 50), first=25)
    assert list(mongo_world.documents()) == list(range(75))


def test_another_unique_index_rejects(mongo_world: MongoWorld) -> None:
    """A duplicate of another unique index is a rejection that names its fields and not its values."""
    sink = mongo_world.open(indexes=[{"keys": ["token"], "unique": True, "sparse": True}])
    rejected = mongo_world.rejected(sink, [{"token": "abc-secret"}, {"token": "def"}, {"token": "abc-secret"}])
    assert rejected == {2: "another record has the same value of the unique index over token (11000)"}
    assert list(mongo_world.documents()) == [0, 1]
    assert mongo_world.rejected(sink, [{"token": "abc-secret"}, {"token": "def"}, {"token": "abc-secret"}]) == rejected


def test_a_validator_rejects_with_its_reason(mongo_world: MongoWorld) -> None:
    """The rule and the field are named, the value is not."""
    schema = {"required": ["user"], "properties": {"user": {"bsonType": "string"}, "n": {"minimum": 0}}}
    with mongo_world.server.client() as client:
        client[DATABASE].create_collection("audit", validator={"$jsonSchema": schema})
    sink = mongo_world.open()
    rejected = mongo_world.rejected(sink, [{"user": "ann"}, {"user": 4711}, {"n": 1}, {"user": "bob", "n": -4711}])
    assert list(rejected) == [1, 2, 3]
    assert "user: bsonType" in rejected[1]
    assert "missing: user" in rejected[2]
    assert "n: minimum" in rejected[3]
    assert "4711" not in "".join(rejected.values())
    assert list(mongo_world.documents()) == [0]


def test_a_write_that_is_not_confirmed_is_no_success(mongo_world: MongoWorld) -> None:
    """After a write-concern error the documents are there, and Unavailable; sent again they are confirmed."""
    sink = mongo_world.open()
    mongo_world.server.fail(
        ["insert"], {"times": 1}, writeConcernError={"code": 64, "errmsg": "waiting for replication timed out"}
    )
    with pytest.raises(Unavailable, match="not confirmed"):
        mongo_world.write(sink, numbers(0, 5))
    assert len(mongo_world.documents()) == 5
    mongo_world.write(sink, numbers(0, 5))
    assert len(mongo_world.documents()) == 5


def test_an_unconfirmed_batch_of_duplicates_is_no_success(mongo_world: MongoWorld) -> None:
    """Both lists of errors are read: all there already, and yet not confirmed."""
    sink = mongo_world.open()
    mongo_world.write(sink, numbers(0, 5))
    mongo_world.server.fail(["insert"], {"times": 1}, writeConcernError={"code": 64, "errmsg": "timed out"})
    with pytest.raises(Unavailable, match="not confirmed"):
        mongo_world.write(sink, numbers(0, 5))


def test_an_impossible_write_concern_is_for_a_person(mongo_world: MongoWorld) -> None:
    """More members than there are cannot confirm: time does not help."""
    sink = mongo_world.open(write_concern=2)
    with pytest.raises(ConfigError, match="UnsatisfiableWriteConcern"):
        mongo_world.write(sink, numbers(0, 1))


def test_no_write_concern_is_refused(mongo_world: MongoWorld) -> None:
    """Without an answer nothing would be known."""
    with pytest.raises(ConfigInvalid, match="write-concern: 0: the server would give no answer"):
        mongo_world.make(write_concern=0)


@pytest.mark.parametrize("code", [50, 91, 112, 189, 10107, 11600, 11602, 13435, 14031])
def test_failures_that_pass(mongo_world: MongoWorld, code: int) -> None:
    """No primary, a shutdown, a timeout, a full disk: the same batch is sent again, and is there once."""
    sink = mongo_world.open(url=mongo_world.url(options="&retryWrites=false&serverSelectionTimeoutMS=3000"))
    mongo_world.server.fail(["insert"], {"times": 1}, errorCode=code)
    with pytest.raises(Unavailable) as caught:
        mongo_world.write(sink, numbers(0, 5))
    assert mongo_world.server.url.strip("/").removeprefix("mongodb://") in str(caught.value)
    mongo_world.write(sink, numbers(0, 5))
    assert len(mongo_world.documents()) == 5


def test_a_failure_of_unknown_cause_is_unknown(mongo_world: MongoWorld) -> None:
    """What may be one record's fault is left to the pump, which takes the batch apart; no document shows."""
    sink = mongo_world.open()
    mongo_world.server.fail(["insert"], {"times": 1}, errorCode=2)
    with pytest.raises(Exception, match="BadValue") as caught:
        mongo_world.write(sink, numbers(0, 5))
    assert not isinstance(caught.value, Unavailable | ConfigError | PartialWrite | PyMongoError)
    assert "record 1" not in str(caught.value)


def test_a_lost_connection(mongo_world: MongoWorld) -> None:
    """The driver tries again by itself; after the timeout it is Unavailable, and later the batch is written."""
    sink = mongo_world.open()
    mongo_world.server.fail(["insert"], {"times": 1}, closeConnection=True)
    mongo_world.write(sink, numbers(0, 5))
    mongo_world.server.fail(["insert"], "alwaysOn", closeConnection=True)
    with pytest.raises(Unavailable):
        mongo_world.write(sink, numbers(5, 5), first=5, timeout=1.0)
    mongo_world.server.unfail()
    mongo_world.write(sink, numbers(5, 5), first=5)
    assert len(mongo_world.documents()) == 10


def test_a_step_down(mongo_world: MongoWorld) -> None:
    """While there is no primary a write waits or is Unavailable; after it the batch is there once."""
    sink = mongo_world.open()
    mongo_world.server.step_down(2)
    for _ in range(10):
        try:
            mongo_world.write(sink, numbers(0, 5))
            break
        except Unavailable:
            continue
    assert len(mongo_world.documents()) == 5


@pytest.mark.parametrize(
    ("user", "password", "code"), [(ROOT[0], "wrong-1a2b3c", 18), (*READER, 13)], ids=["password", "right"]
)
def test_a_login_that_does_not_do(new_mongo: Callable[..., MongoServer], user: str, password: str, code: int) -> None:
    """A wrong password, or no right to write, is for a person; the password shows nowhere."""
    world = MongoWorld(new_mongo(auth=True))
    sink = world.make(username=user, password=password, auth_source="admin")

    def connect_and_write() -> None:
        sink.init()
        world.write(sink, numbers(0, 1))

    with pytest.raises(ConfigError) as caught:
        connect_and_write()
    world.close()
    assert f"({code})" in str(caught.value)
    chain = [caught.value, caught.value.__cause__]
    assert password not in "".join(map(repr, chain))
    assert caught.value.__suppress_context__


def test_the_right_login(new_mongo: Callable[..., MongoServer]) -> None:
    """Of the settings, or of the URL, or the user of the one and the password of the other."""
    world = MongoWorld(new_mongo(auth=True))
    world.write(world.open(username=ROOT[0], password=ROOT[1], auth_source="admin"), numbers(0, 1))
    place = world.server.url.removeprefix("mongodb://")
    url = f"mongodb://{ROOT[0]}:{ROOT[1]}@{place}{DATABASE}?authSource=admin"
    world.write(world.open(url=url), numbers(1, 1), first=1)
    bare = url.replace(f":{ROOT[1]}@", "@")
    world.write(world.open(url=bare, password=ROOT[1]), numbers(2, 1), first=2)
    world.close()
    assert list(world.documents()) == [0, 1, 2]


def test_tls(new_mongo: Callable[..., MongoServer]) -> None:
    """With its authority a server is trusted; one of an unknown authority is for a person."""
    world = MongoWorld(new_mongo(tls=True))
    assert world.server.certificates is not None
    ca = str(world.server.certificates.file("ca"))
    world.write(world.open(tls=True, tls_ca_file=ca), numbers(0, 1))
    for more in ({}, {"tls_ca_file": str(world.server.certificates.file("stranger"))}):
        sink = world.make(url=world.url(options="&serverSelectionTimeoutMS=2000"), tls=True, **more)
        with pytest.raises(ConfigError, match="tls-ca-file"):
            sink.init()
    world.write(world.open(tls=True, tls_allow_invalid_certificates=True), numbers(1, 1), first=1)
    with pytest.raises(ConfigError, match="no such file"):
        world.open(tls=True, tls_ca_file="/nowhere/ca.pem")
    world.close()
    assert list(world.documents()) == [0, 1]


def test_a_certificate_of_this_side(new_mongo: Callable[..., MongoServer], tmp_path: Path) -> None:
    """A server that asks for a certificate gets that of the settings."""
    world = MongoWorld(new_mongo(tls=True))
    certificates = world.server.certificates
    assert certificates is not None
    both = tmp_path / "client.pem"
    both.write_text(certificates.file("client").read_text() + certificates.key("client").read_text())
    world.write(
        world.open(tls=True, tls_ca_file=str(certificates.file("ca")), tls_certificate_key_file=str(both)),
        numbers(0, 1),
    )
    world.close()
    assert list(world.documents()) == [0]


def test_one_side_without_tls(new_mongo: Callable[..., MongoServer]) -> None:
    """The connection ends, or says nothing; the message asks whether it is that."""
    world = MongoWorld(new_mongo(tls=True))
    sink = world.make(url=world.url(options="&serverSelectionTimeoutMS=1000"))
    with pytest.raises(Unavailable, match="see `tls`"):
        sink.init()
    world.close()


def test_nobody_there(mongo_world: MongoWorld) -> None:
    """No server at the address is Unavailable, within the time that connecting may take."""
    sink = mongo_world.make(url="mongodb://127.0.0.1:1/x?serverSelectionTimeoutMS=500")
    with pytest.raises(Unavailable, match=r"MongoDB at 127\.0\.0\.1:1: ServerSelectionTimeoutError"):
        sink.init()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mongod://h:1/x", "must begin with 'mongodb://'"),
        ("mongodb:/h", "must begin with 'mongodb://'"),
        ("mongodb://h:port/x", "Port contains non-digit"),
        ("mongodb://h:99999/x", "Port must be an integer"),
        ("mongodb://h/x?timoutMS=3", "Unknown option"),
        ("mongodb+srv://cluster.example.com/x?tls=ture", "tls must be"),
        ("mongodb://h/x?tls=ture", "tls must be"),
        ("mongodb://ann:pa:ss@word@h/x", "percent-encoded"),
        ("", "must begin with"),
    ],
)
def test_a_url_with_a_typo(mongo_world: MongoWorld, url: str, words: str) -> None:
    """It is an error of the configuration that says what is wrong, without the password."""
    with pytest.raises(ConfigInvalid) as caught:
        mongo_world.make(url=url)
    assert "meta.url: is no URL of a MongoDB" in str(caught.value)
    assert words in str(caught.value)
    assert "pa:ss" not in str(caught.value)


def test_after_close_and_before_init(mongo_world: MongoWorld) -> None:
    """A sink that is not open writes nothing; it can be opened again."""
    sink = mongo_world.make()
    with pytest.raises(RuntimeError, match="before init"):
        mongo_world.write(sink, numbers(0, 1))
    sink.init()
    sink.close()
    sink.close()
    with pytest.raises(RuntimeError, match="after close"):
        mongo_world.write(sink, numbers(0, 1))
    sink.init()
    sink.write([{"n": 0}], ids(0, 1), None, False)
    assert len(mongo_world.documents()) == 1
