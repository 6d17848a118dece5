"""The importer as a process: what it moves, tells and survives; on real servers."""

import os
import signal

import msgpack
import pytest
import redis

from pumpkit.dialects import SPREAD_SUFFIXES, encoder
from pumpkit.inputs.framing import KEEP
from pumpkit.pipes import MISCONFIGURED, NOT_YET, STOPPED
from tests.inputs.conftest import KEY, World, items, until
from tests.servers.redis import free_port

BOTH = pytest.mark.parametrize("where", ["within", "across"])
IN_FLIGHT = f"{{{KEY}}}:pumpkit:in-flight"


@BOTH
def test_a_list_is_moved(redis_kind: str, world: World, where: str) -> None:
    """In order, in batches, ids given once; what comes later too; nothing is left behind."""
    world.client.rpush(KEY, *items(0, 120))
    log = world.log(where)
    importer = world.importer(log).wait_for("running")
    until(lambda: not world.client.exists(KEY))
    world.client.rpush(KEY, *items(120, 5))
    until(lambda: importer.counts.get("records") == 125)
    assert importer.stop() == STOPPED
    log.check(125)
    assert log.numbers == list(range(125))
    assert {id_.partition("-")[0] for id_ in log.ids} == {log.ids[0].partition("-")[0]}
    assert [id_.partition("-")[2] for id_ in log.ids] == [str(number) for number in range(125)]
    told = {key: importer.counts[key] for key in ("records", "bad", "bytes", "waiting")}
    assert told == {"records": 125, "bad": 0, "bytes": sum(map(len, items(0, 125))), "waiting": 0}
    assert importer.states[-1] == "stopped"
    assert importer.errors == []
    assert not world.client.exists(KEY, IN_FLIGHT)


def test_the_way_is_chosen_by_the_server_not_by_its_name(world: World) -> None:
    """A log named by another address of the same server is within reach of one script."""
    world.client.rpush(KEY, *items(0, 10))
    log = world.log("within")
    world.importer(log, url=f"redis://localhost:{world.server.port}").wait_for("running")
    until(lambda: not world.client.exists(KEY))
    assert world.client.keys("*:pumpkit:*") == []
    log.check(10)


@BOTH
def test_what_is_no_record_is_carried_with_its_bytes(redis_kind: str, world: World, where: str) -> None:
    """It has its number among the records, and its reason."""
    bad = [b"", b"rubbish", msgpack.packb({"Username": 1}), b"\xc0"]
    good = items(0, 5)
    world.client.rpush(KEY, good[0], *[blob for pair in zip(bad, good[1:], strict=True) for blob in pair])
    log = world.log(where)
    importer = world.importer(log)
    until(lambda: importer.counts.get("records") == 9)
    log.check_numbers(5)
    assert [raw for _, raw in log.bad] == bad
    assert log.bad[2][0] == "TypeError: username: must be text, not int"
    assert importer.counts["bad"] == 4
    assert len(log.ids) == 9


@BOTH
def test_large_items(world: World, where: str) -> None:
    """One that makes too large a record is a dead letter; of a huge one the beginning. Memory stays bounded."""
    large = msgpack.packb({"Username": "x" * (2 << 20)})
    huge = os.urandom(16) + bytes(60 << 20)
    world.client.rpush(KEY, *items(0, 3), large, *items(3, 1), huge, huge, *items(4, 2))
    log = world.log(where)
    importer = world.importer(log)
    until(lambda: importer.counts.get("records") == 9)
    log.check_numbers(6)
    assert [raw for _, raw in log.bad] == [large, huge[:KEEP], huge[:KEEP]]
    assert log.bad[0][0] == f"packs to {len(large)} bytes, over 1048576"
    assert log.bad[1][0] == f"has {len(huge)} bytes, of which these are the first {KEEP}"
    assert importer.memory < 100


@BOTH
def test_many_invalid_bytes_fit_into_a_frame(world: World, where: str) -> None:
    """Text that is not UTF-8 grows in the record, and its frame still holds it."""
    encode = encoder("iam")
    blobs = [encode({"username": os.urandom(10_000), "request": b"\xff" * 10_000}) for _ in range(100)]
    world.client.rpush(KEY, *blobs)
    log = world.log(where)
    importer = world.importer(log)
    until(lambda: importer.counts.get("records") == 100)
    assert [encode(record) for record in log.read().records] == blobs


@BOTH
def test_a_key_that_is_no_list(redis_kind: str, world: World, where: str) -> None:
    """It fails, and says what is there."""
    world.client.set(KEY, "x")
    importer = world.importer(world.log(where))
    assert importer.end() == MISCONFIGURED
    assert importer.states == ["failed"]
    assert importer.reason.endswith(f"the key {KEY} is a string, not a list; correct `key`")


@BOTH
def test_a_full_log_holds_up_the_list(world: World, where: str) -> None:
    """Nothing is lost or taken off the list, but for the batch that waits between list and log; then it goes on."""
    log = world.log(where)
    log.buffer.set_max_bytes(300)
    world.client.rpush(KEY, *items(0, 200))
    importer = world.importer(log).wait_for("waiting")
    assert "cap" in importer.reason
    stored = log.buffer.stats().stored
    assert world.client.llen(KEY) + world.client.llen(IN_FLIGHT) + stored == 200
    assert world.client.llen(IN_FLIGHT) == (50 if where == "across" else 0)
    log.buffer.set_max_bytes(1 << 30)
    importer.wait_for("running")
    until(lambda: importer.counts.get("records") == 200)
    log.check(200)


def test_a_full_memory_does_not_hold_up_the_list(redis_kind: str, world: World) -> None:
    """A list that has filled Redis can be moved: that needs less memory than it frees."""
    for where in ("within", "across"):
        log = world.log(where)
        world.client.rpush(KEY, *items(0, 2_000))
        world.client.config_set("maxmemory", world.client.info("memory")["used_memory"] - 1_000)
        with pytest.raises(redis.OutOfMemoryError):
            world.client.rpush(KEY, b"x")
        importer = world.importer(log, batch=500)
        until(lambda: not world.client.exists(KEY), "the list is moved")
        world.client.config_set("maxmemory", 0)
        until(lambda importer=importer: importer.counts.get("records") == 2_000)
        log.check(2_000)
        assert importer.stop() == STOPPED


def test_every_list_of_tyk(world: World) -> None:
    """Those with suffixes, in either encoding; bodies decoded on request."""
    key = "analytics-tyk-system-analytics"
    encode = {encoding: encoder("tyk", encoding) for encoding in ("msgpack", "protobuf")}
    numbers = iter(range(1_000))
    for suffix in SPREAD_SUFFIXES:
        for encoding, ending in (("msgpack", ""), ("protobuf", "_protobuf")):
            records = [{"org_id": str(next(numbers)), "raw_request": "R0VUIC8="} for _ in range(3)]
            world.client.rpush(key + suffix + ending, *map(encode[encoding], records))
    log = world.log("within")
    importer = world.importer(log, dialect="tyk", decode_raw=True, source="gateway")
    until(lambda: importer.counts.get("records") == 66)
    records = log.read().records
    assert sorted(int(record["org_id"]) for record in records) == list(range(66))
    assert {record["raw_request"] for record in records} == {"GET /"}
    assert log.sources == {"gateway"}
    assert importer.counts["waiting"] == 0


def test_it_stops_when_its_runner_is_gone(world: World) -> None:
    """The end of its orders, or a signal, is enough."""
    log = world.log("within")
    for end in (lambda one: one.process.stdin.close(), lambda one: one.process.send_signal(signal.SIGTERM)):
        importer = world.importer(log).wait_for("running")
        importer.process.send_signal(signal.SIGINT)  # which is for the runner
        end(importer)
        assert importer.end() == STOPPED
        assert importer.states[-1] == "stopped"


def test_a_log_that_cannot_be(world: World) -> None:
    """It fails where a person has to change something, and is tried again by a fresh process where not."""
    log = world.log("within")
    (world.folder / "text").write_text("no log at all" * 100)
    log.url = f"sqlite:///{world.folder}/text"
    importer = world.importer(log)
    assert importer.end() == MISCONFIGURED
    assert importer.states == ["failed"]
    log.url = f"redis://127.0.0.1:{free_port()}"
    importer = world.importer(log)
    assert importer.end() == NOT_YET
    assert importer.states == ["waiting"]
    assert "nobody listens there" in importer.reason


def test_others_are_warned_of(world: World) -> None:
    """A lock of iam-pump, and a time to live on the list: once each."""
    world.client.set("iam-pump", "x", ex=600)
    world.client.rpush(KEY, *items(0, 10_000))
    world.client.expire(KEY, 1_000)
    importer = world.importer(world.log("within"))
    until(lambda: len(importer.errors) >= 2)
    importer.stop()
    lock, ttl = importer.errors
    assert "an iam-pump holds its lock in redis://127.0.0.1" in lock
    assert f"Redis deletes the list {KEY} in " in ttl


def test_what_is_in_flight_is_finished_by_an_importer_whose_log_is_beside(world: World) -> None:
    """Whoever moves his log into the Redis of the list gets the batch too that was on its way into the old log."""
    old = world.log("across")
    old.buffer.set_max_bytes(300)
    world.client.rpush(KEY, *items(0, 120))
    importer = world.importer(old).wait_for("waiting")
    assert importer.counts["waiting"] + old.buffer.stats().stored == 120
    importer.stop()
    assert world.client.llen(IN_FLIGHT) == 50
    new = world.log("within")
    importer = world.importer(new).wait_for("running")
    until(lambda: importer.counts.get("waiting") == 0)
    importer.stop()
    old.read()
    new.read()
    assert sorted(old.numbers + new.numbers) == list(range(120))
    assert not world.client.exists(IN_FLIGHT)


@BOTH
def test_two_names_for_one_list(world: World, where: str) -> None:
    """Inputs of two runners that mean the same list take turns, whatever they are called."""
    log = world.log(where)
    other = log if where == "within" else world.log(where)
    world.client.rpush(KEY, *items(0, 10))
    world.importer(log).wait_for("running")
    world.importer(other, name="the-same").wait_for("standby")
