"""Answers of Redis that get lost on the way, at every call: what was asked may have been done, and is done once."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from making import PLENTY, Producer, append_each, balance, deliver, drain, letter

from pumpkit.buffers import open_buffer
from pumpkit.buffers.base import Counts, Part
from pumpkit.buffers.redis.buffer import RedisBuffer
from pumpkit.buffers.redis.cursor import RedisCursor
from pumpkit.errors import BufferUnavailable, Fenced
from tests.servers.proxy import Proxy
from tests.servers.redis import RedisServer

#: Losing one answer is not noticed: what is harmless to repeat is repeated once. Losing two is.
LOSSES = pytest.mark.parametrize("times", [1, 2])


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[Proxy]:
    """A way to the server that loses answers."""
    with Proxy(redis_server.port) as opened:
        yield opened


@pytest.fixture
def buffer(proxy: Proxy) -> Iterator[RedisBuffer]:
    """A buffer behind the proxy, all of whose scripts the server knows."""
    opened = open_buffer(f"redis://127.0.0.1:{proxy.port}")
    assert isinstance(opened, RedisBuffer)
    append_each(opened, Producer().frames(2))
    with contextlib.closing(opened.cursor("warm")) as cursor:
        [first, *_] = cursor.fetch(PLENTY, PLENTY)
        cursor.accept([Part(first.position, 0, 0)])
        cursor.commit(first.position, Counts(2, 0, 1), [letter("dead", first.position)])
        opened.mark("warm", "purge")
        cursor.resolve([], [one.id for one in cursor.marked(1)], [])
        drain(cursor)
    opened.trim()
    opened.drop_cursor("warm")
    yield opened
    opened.close()


def lose(proxy: Proxy, times: int) -> None:
    """Lose the answers to the next scripts."""
    proxy.cut(lambda said: b"EVALSHA" in said, times=times)


def try_until_done(what: Callable[[], Any]) -> Any:
    """Do something until it is answered."""
    for _ in range(10):
        with contextlib.suppress(BufferUnavailable):
            return what()
    raise AssertionError("no answer came")


@LOSSES
def test_append(proxy: Proxy, buffer: RedisBuffer, times: int) -> None:
    """A frame is stored once."""
    producer = Producer()
    stored = buffer.stats().stored
    for _ in range(3):
        frame = producer.frame()
        lose(proxy, times)
        assert try_until_done(lambda frame=frame: buffer.append([frame])) is None
    assert buffer.stats().stored == stored + 9


@LOSSES
def test_open(proxy: Proxy, buffer: RedisBuffer, redis_server: RedisServer, times: int) -> None:
    """A cursor can be opened, and knows that the log is another one though that was said in an answer that got lost."""
    buffer.cursor("audit").close()
    with redis_server.client() as client:
        client.delete("{pumpkit}:log")
    append_each(buffer, Producer().frames(1))
    lose(proxy, times)
    cursor = try_until_done(lambda: buffer.cursor("audit"))
    assert len(drain(cursor)) == 1
    cursor.close()
    if times == 1:
        assert cursor.was_reset


@LOSSES
@pytest.mark.parametrize("share", [None, "one"], ids=["alone", "shared"])
def test_fetch(proxy: Proxy, buffer: RedisBuffer, share: str | None, times: int) -> None:
    """Frames that were handed out in an answer that got lost are handed out again, first, in order."""
    buffer.register("audit")
    frames = Producer().frames(6)
    append_each(buffer, frames)
    cursor = buffer.cursor("audit", "newest", share=share)
    got = []
    while len(got) < len(frames):
        lose(proxy, times)
        deliveries = try_until_done(lambda: cursor.fetch(3, PLENTY))
        deliver(cursor, deliveries[:1])
        got += [deliveries[0].frame]
    assert got == frames
    assert balance(buffer, "audit").lag == 0
    cursor.close()


@LOSSES
def test_commit(proxy: Proxy, buffer: RedisBuffer, times: int) -> None:
    """A commit that is repeated counts once, with its dead letters."""
    append_each(buffer, Producer().frames(4))
    cursor = buffer.cursor("audit")
    for number in range(4):
        [one] = cursor.fetch(3, PLENTY)[:1]
        lose(proxy, times)
        dead = [letter(f"{number}", one.position)]
        try_until_done(lambda one=one, dead=dead: cursor.commit(one.position, Counts(1, 1, 1), dead))
    stats = balance(buffer, "audit")
    assert (stats.delivered, stats.filtered, stats.dead, stats.dead_letters, stats.lag) == (4, 4, 4, 4, 0)
    cursor.close()


def test_commit_that_is_not_repeated(proxy: Proxy, buffer: RedisBuffer) -> None:
    """Whoever fetches after a commit without an answer is handed what is next."""
    frames = Producer().frames(4)
    append_each(buffer, frames)
    cursor = buffer.cursor("audit")
    deliveries = cursor.fetch(6, PLENTY)
    lose(proxy, 2)
    with pytest.raises(BufferUnavailable):
        deliver(cursor, deliveries)
    assert drain(cursor) == frames[2:]
    assert balance(buffer, "audit").delivered == 12
    cursor.close()


@pytest.mark.parametrize("share", [None, "one"], ids=["alone", "shared"])
def test_commit_that_is_carried_out_late(proxy: Proxy, buffer: RedisBuffer, share: str | None) -> None:
    """A commit that seemed not to have been done, and was done later: the same frames are not counted again."""
    append_each(buffer, Producer().frames(2))
    cursor = buffer.cursor("audit", share=share)
    assert isinstance(cursor, RedisCursor)
    deliveries = cursor.fetch(PLENTY, PLENTY)
    lose(proxy, 2)
    with pytest.raises(BufferUnavailable):
        deliver(cursor, deliveries)
    cursor._unsure = None  # as it is when the server was asked in between
    with pytest.raises(Fenced):
        cursor.commit(deliveries[-1].position, Counts(0, 6))
    stats = balance(buffer, "audit")
    assert (stats.delivered, stats.filtered, stats.lag) == (6, 0, 0)
    cursor.close()


@LOSSES
def test_the_rest(proxy: Proxy, buffer: RedisBuffer, times: int) -> None:
    """Accepting, skipping, resolving, closing, trimming and people's wishes may all be repeated."""
    append_each(buffer, Producer().frames(6))
    cursor = buffer.cursor("audit")
    [first, second, *_] = cursor.fetch(PLENTY, PLENTY)
    lose(proxy, times)
    try_until_done(lambda: cursor.accept([Part(first.position, 0, 1)]))
    cursor.commit(second.position, Counts(4, 0, 2), [letter("a", first.position), letter("b", second.position)])
    lose(proxy, times)
    assert try_until_done(lambda: buffer.mark("audit", "replay")) == 2
    lose(proxy, times)
    try_until_done(lambda: cursor.resolve(["a"], ["b"], []))
    lose(proxy, times)
    try_until_done(lambda: cursor.skip(PLENTY**3))
    lose(proxy, times)
    cursor.close()
    lose(proxy, times)
    try_until_done(lambda: buffer.set_wanted("audit", "pause"))
    stats = balance(buffer, "audit")
    assert (stats.delivered, stats.dead, stats.skipped, stats.lag, stats.wanted) == (5, 1, 12, 0, "pause")
    lose(proxy, times)
    try_until_done(buffer.trim)
    while buffer.trim():
        pass
    assert buffer.stats().frames == 0
    lose(proxy, times)
    lock = try_until_done(lambda: buffer.runner_lock({}, "slot"))
    lose(proxy, times)
    try_until_done(lambda: lock.tell({"health": "here"}))
    lose(proxy, times)
    lock.release()
    lose(proxy, times)
    try_until_done(lambda: buffer.drop_cursor("audit"))
    assert buffer.stats().cursors == {}


@pytest.mark.parametrize("share", [None, "one"], ids=["alone", "shared"])
@pytest.mark.parametrize("every", [2, 3, 5])
def test_every_so_many_answers_are_lost(
    redis_server: RedisServer, proxy: Proxy, buffer: RedisBuffer, every: int, share: str | None
) -> None:
    """Whatever is lost: each frame is stored once, in order, and counted once by the pump."""
    buffer.register("audit", "newest")
    producer = Producer()
    frames = producer.frames(60)
    proxy.cut(lambda said: b"EVALSHA" in said, every=every)
    got: list[bytes] = []
    cursor = None
    sent = 0
    for _ in range(5_000):
        if len(got) == len(frames):
            break
        try:
            if sent < len(frames):
                buffer.append([frames[sent]])
                sent += 1
            cursor = cursor or buffer.cursor("audit", share=share)
            deliveries = cursor.fetch(4, PLENTY)
            if deliveries:
                deliver(cursor, deliveries[:1])
                got.append(deliveries[0].frame)
        except BufferUnavailable:
            continue
        except Fenced:
            assert cursor is not None
            cursor.close()
            cursor = None
    proxy.heal()
    assert cursor is not None
    drain(cursor)
    cursor.close()
    unsure = [frame for frame in frames if frame not in got]  # committed by a call that was not answered
    assert [frame for frame in frames if frame in got] == list(dict.fromkeys(got))
    stats = balance(buffer, "audit")
    assert (stats.delivered, stats.lag) == (180, 0)
    assert len(unsure) < len(frames)
    with redis_server.client() as client:
        assert [fields[b"f"] for _, fields in client.xrange("{pumpkit}:log")][-60:] == frames
