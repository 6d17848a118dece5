"""A buffer of several streams."""

import itertools
from collections.abc import Iterator

import pytest
from making import PLENTY, Producer, deliver, drain, letter
from test_redis_contract import Name, server

from pumpkit.buffers import Buffer, open_buffer
from pumpkit.buffers.base import Counts, Cursor
from pumpkit.errors import BufferConfigError
from tests.servers.redis import RedisServer


@pytest.fixture(scope="module")
def running() -> Iterator[RedisServer]:
    """A server for all of them."""
    yield from server("redis7")


@pytest.fixture
def url(running: RedisServer) -> Iterator[str]:
    """Where the buffer of a test is."""
    yield Name(running, "wide").url
    with running.client() as client:
        client.flushall()


@pytest.fixture
def buffer(url: str) -> Iterator[Buffer]:
    """A buffer of four streams."""
    buffer = open_buffer(f"{url}&shards=4")
    yield buffer
    buffer.close()


def _cursors(buffer: Buffer, pump: str) -> list[Cursor]:
    return [part.cursor(pump) for part in buffer.parts()]


def test_a_producer_keeps_to_one(buffer: Buffer) -> None:
    """All frames of a producer are in one stream, in order; many producers use all of them."""
    sent = {}
    for producer in (Producer() for _ in range(40)):
        sent[producer.id] = producer.frames(3)
        assert buffer.append(sent[producer.id]) is None
    cursors = _cursors(buffer, "audit")
    streams = [drain(cursor) for cursor in cursors]
    assert all(streams)
    assert sorted(itertools.chain(*streams)) == sorted(itertools.chain(*sent.values()))
    for frames in sent.values():
        assert [frame for stream in streams for frame in stream if frame in frames] == frames
        assert sum(frames[0] in stream for stream in streams) == 1
    for cursor in cursors:
        cursor.close()


def test_positions_are_never_the_same(buffer: Buffer) -> None:
    """A position means one frame of the whole buffer."""
    for producer in (Producer() for _ in range(20)):
        buffer.append(producer.frames(5))
    cursors = _cursors(buffer, "audit")
    positions = [delivery.position for cursor in cursors for delivery in cursor.fetch(10_000, PLENTY)]
    assert len(positions) == len(set(positions)) == 100
    for cursor in cursors:
        cursor.close()


def test_everything_is_summed(buffer: Buffer) -> None:
    """What the whole says of itself are sums; its ledger balances; dead letters come in one order."""
    buffer.set_max_bytes(4_000_000)
    for producer in (Producer() for _ in range(60)):  # some for each shard
        buffer.append(producer.frames(2))
    cursors = _cursors(buffer, "audit")
    for cursor in cursors:
        deliveries = cursor.fetch(10_000, PLENTY)
        first, rest = deliveries[0], deliveries[1:]
        cursor.commit(first.position, Counts(2, 0, 1), [letter(f"x-{first.position}", first.position)])
        if rest:
            deliver(cursor, rest)
    stats = buffer.stats()
    assert (stats.stored, stats.frames, stats.max_bytes, len(stats.producers)) == (360, 120, 4_000_000, 60)
    audit = stats.cursors["audit"]
    assert (audit.delivered, audit.dead, audit.lag, audit.dead_letters) == (356, 4, 0, 4)
    pages = [buffer.dead_letters("audit", 3)]
    pages.append(buffer.dead_letters("audit", 3, after=pages[0][-1].id))
    letters = [one for page in pages for one in page]
    assert [one.position for one in letters] == sorted(one.position for one in letters)
    assert len(letters) == 4
    assert buffer.mark("audit", "purge") == 4
    with pytest.raises(KeyError):
        buffer.dead_letters("audit", 3, after="nobody")
    while buffer.trim():
        pass
    assert buffer.stats().frames == 0
    for cursor in cursors:
        cursor.close()
    buffer.rename_cursor("audit", "trail")
    assert set(buffer.stats().cursors) == {"trail"}
    buffer.drop_cursor("trail")
    with pytest.raises(KeyError):
        buffer.drop_cursor("trail")


def test_the_number_of_streams_stays(url: str, buffer: Buffer) -> None:
    """Who says no number takes what is there; who says another one is refused; a flush makes as many again."""
    plain = open_buffer(url, create=False)
    assert len(plain.parts()) == 4
    with pytest.raises(BufferConfigError, match="shards=4"):
        open_buffer(f"{url}&shards=2")
    for part in plain.parts():
        assert part.append(Producer().frames(1)) is None
    plain.close()


def test_a_flush_makes_as_many_again(running: RedisServer, url: str, buffer: Buffer) -> None:
    """A process that only took the number over makes the same number after everything was flushed."""
    plain = open_buffer(url)
    with running.client() as client:
        client.flushall()
    assert plain.append(Producer().frames(1)) is None
    assert plain.stats().stored == 3
    later = open_buffer(url)
    assert len(later.parts()) == 4
    for one in (plain, later):
        one.close()


def test_a_place_is_asked_of_a_part(buffer: Buffer) -> None:
    """The whole has no cursor and no place to skip to."""
    with pytest.raises(BufferConfigError, match="parts"):
        buffer.cursor("audit")
    with pytest.raises(BufferConfigError, match="parts"):
        buffer.skip_target("audit", 1)
