"""Drops by host and source, beyond the contract: logs of before there were any, folded producers, several streams.

`golden/before_hosts.db` and `.json` (the keys in Redis) were written by pumpkit before it kept hosts. Each has totals
of a producer that was folded (5 full, 1 unsent), and another one with 6 records (2 full).
"""

import json
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import apsw
import pytest
from contract import in_total, open_as
from making import Producer, drain
from test_redis_contract import Name, server
from test_sqlite_contract import File

import pumpkit
from pumpkit.buffers import Buffer, open_buffer
from pumpkit.buffers.base import HostDrops
from pumpkit.buffers.drops import together
from pumpkit.buffers.redis import RedisBuffer
from pumpkit.buffers.sqlite.trimmer import IDLE_ELSEWHERE_MS
from tests.servers.redis import RedisServer

if TYPE_CHECKING:
    import redis

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def running() -> Iterator[RedisServer]:
    """A server for all of them."""
    yield from server("redis7")


@pytest.fixture
def client(running: RedisServer) -> "Iterator[redis.Redis]":
    """A client of the server, which is empty again afterwards."""
    with running.client() as client:
        yield client
        client.flushall()


@pytest.fixture
def name(running: RedisServer, client: "redis.Redis") -> Name:
    """Where a buffer in the server is."""
    return Name(running, "pumpkit")


@pytest.fixture
def old_file(tmp_path: Path) -> File:
    """A buffer file that an older version has written."""
    shutil.copy(GOLDEN / "before_hosts.db", tmp_path / "buffer.db")
    return File(tmp_path)


@pytest.fixture
def old_name(name: Name, client: "redis.Redis") -> Name:
    """A log in Redis that an older version has written."""
    keys = json.loads((GOLDEN / "before_hosts.json").read_text(), object_hook=_bytes)
    for key, value in keys.items():
        if isinstance(value, dict):
            client.hset(key, mapping=value)
        else:
            for id_, entry in value:
                client.xadd(key, entry, id_)
    return name


def _bytes(object_: dict[str, object]) -> dict[bytes, object]:
    return {
        key.encode("latin-1"): value.encode("latin-1") if isinstance(value, str) else value
        for key, value in object_.items()
    }


def its_producer(buffer: Buffer) -> Producer:
    """Return the one producer of a log, as it goes on."""
    [known] = buffer.stats().producers
    producer = Producer(known.source)
    producer.id, producer.next_seq = bytes.fromhex(known.producer), known.next_seq
    return producer


@pytest.mark.parametrize("where", ["old_file", "old_name"])
def test_a_log_of_before(where: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes on as it is: what it had counted is of an unknown host, what is new is not; frames are all there."""
    home = request.getfixturevalue(where)
    buffer = open_as(home.url, "shop-1", monkeypatch)
    before = HostDrops("unknown", "", None, {"full": 7, "unsent": 1})
    assert buffer.stats().drops_by_host == [before]
    producer = its_producer(buffer)
    assert buffer.append([producer.frame(drops={"full": 2})]) is None
    assert buffer.stats().drops_by_host == [before], "a repeated total is not new"
    assert buffer.append([producer.frame(drops={"full": 6})]) is None
    new, old = buffer.stats().drops_by_host
    assert (new.host, new.source, new.drops, old) == ("shop-1", "authz", {"full": 4}, before)
    assert in_total(buffer) == {"full": 11, "unsent": 1}
    cursor = buffer.cursor("audit")
    assert len(drain(cursor)) == 4
    cursor.close()
    buffer.close()


def test_an_older_version_that_goes_on(old_file: File) -> None:
    """What an application of an older version counts meanwhile is of the unknown host, beside what is known."""
    buffer = open_buffer(old_file.url)
    buffer.append([Producer("new").frame(drops={"full": 1})])
    with closing(apsw.Connection(str(old_file.path))) as connection:  # all that its append does with drops
        connection.execute("""UPDATE producers SET drops = '{"full": 50}' WHERE source = 'authz'""")
    assert [(pair.source, pair.drops) for pair in buffer.stats().drops_by_host] == [
        ("new", {"full": 1}),
        ("", {"full": 55, "unsent": 1}),
    ]
    buffer.close()


def test_folded_producers_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A producer that is forgotten leaves its drops with its host."""
    home = File(tmp_path)
    buffer = open_as(home.url, "shop-1", monkeypatch)
    buffer.append([Producer("authz").frame_at(0, 0, {"full": 3})])
    before = buffer.stats().drops_by_host
    with closing(apsw.Connection(str(home.path))) as connection:
        connection.execute(f"UPDATE producers SET last_ms = last_ms - {IDLE_ELSEWHERE_MS + 60_000}")
    with closing(open_buffer(home.url)) as other:  # on another host
        other.trim()
    assert buffer.stats().producers == []
    assert buffer.stats().drops_by_host == before
    assert [(pair.host, pair.source, pair.drops) for pair in before] == [("shop-1", "authz", {"full": 3})]
    buffer.close()


def test_folded_producers_in_redis(name: Name, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same in Redis."""
    buffer = open_as(name.url, "shop-1", monkeypatch)
    assert isinstance(buffer, RedisBuffer)
    buffer.append([Producer("authz").frame_at(0, 0, {"full": 3})])
    before = buffer.stats().drops_by_host
    monkeypatch.setattr("pumpkit.buffers.redis.log._IDLE_MS", -60_000)
    assert buffer._log.fold() == 1
    assert buffer.stats().producers == []
    assert buffer.stats().drops_by_host == before
    assert [(pair.host, pair.source, pair.drops) for pair in before] == [("shop-1", "authz", {"full": 3})]
    buffer.close()


def test_several_streams(name: Name, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host's drops are summed over the streams that its producers append to."""
    buffer = open_as(f"{name.url}&shards=4", "shop-1", monkeypatch)
    for number in range(40):
        buffer.append([Producer(f"{number % 2}").frame_at(0, 0, {"full": 1, "unsent": number})])
    found = {(pair.host, pair.source): pair.drops for pair in buffer.stats().drops_by_host}
    assert found == {
        ("shop-1", "0"): {"full": 20, "unsent": sum(range(0, 40, 2))},
        ("shop-1", "1"): {"full": 20, "unsent": sum(range(1, 40, 2))},
    }
    assert in_total(buffer) == {"full": 40, "unsent": sum(range(40))}
    buffer.close()


def test_sums_of_several_logs() -> None:
    """Pairs come with their last drop, the latest first, then what belongs to no pair."""
    rows = [
        HostDrops("other", "", None, {"full": 1}),
        HostDrops("a", "x", 5, {"full": 1}),
        HostDrops("unknown", "", None, {"full": 1}),
        HostDrops("a", "x", 7, {"full": 2, "unsent": 1}),
        HostDrops("b", "x", 6, {"full": 1}),
        HostDrops("other", "", None, {"unsent": 1}),
        HostDrops("other", "", 1, {"full": 9}),
    ]
    assert together(rows) == [
        HostDrops("a", "x", 7, {"full": 3, "unsent": 1}),
        HostDrops("b", "x", 6, {"full": 1}),
        HostDrops("other", "", 1, {"full": 9}),
        HostDrops("other", "", None, {"full": 1, "unsent": 1}),
        HostDrops("unknown", "", None, {"full": 1}),
    ]


@pytest.mark.parametrize("options", ["", "&shards=2"])
def test_a_look_while_many_drop(name: Name, options: str) -> None:
    """Producers are read bit by bit, and still no count of a pair ever shrinks, and all of them are what is told."""
    url = name.url + options
    open_buffer(url).close()
    ends = threading.Event()

    def drop() -> None:
        with closing(open_buffer(url)) as buffer:
            producers = [Producer(f"source-{number}") for number in range(3)]
            total = 0
            while not ends.is_set() and total < 10_000:
                total += 1
                for producer in producers:
                    buffer.append([producer.frame_at(0, 0, {"full": total})], timeout=60)

    threads = [threading.Thread(target=drop) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        with closing(open_buffer(url)) as buffer:
            seen: dict[tuple[str, str], int] = {}
            for _ in range(25):
                in_total(buffer)
                pairs = {(pair.host, pair.source): pair.drops["full"] for pair in buffer.stats().drops_by_host}
                assert all(pairs[pair] >= total for pair, total in seen.items())
                assert {host for host, _ in pairs} <= {socket.gethostname()}
                seen = pairs
            assert len(seen) == 3
    finally:
        ends.set()
        for thread in threads:
            thread.join(60)


def test_a_reporter_that_drops(tmp_path: Path) -> None:
    """What a reporter drops is counted for this host and the reporter's source, at the latest with its farewell."""
    home = File(tmp_path)
    with pumpkit.Reporter(home.url, source="shop") as reporter:
        for n in range(3):
            reporter.record({"n": n})
        reporter.record({"n": object()})
    with closing(open_buffer(home.url)) as buffer:
        [pair] = buffer.stats().drops_by_host
        assert (pair.host, pair.source, pair.drops) == (socket.gethostname(), "shop", {"unpackable": 1})
        assert in_total(buffer) == {"unpackable": 1}
