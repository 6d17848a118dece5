"""How much room the buffer in Redis takes there, what it leaves behind, and how long it keeps the server busy."""

from collections.abc import Iterator

import pytest
import redis
from making import PLENTY, Producer, append_each, balance, deliver, drain, letter

from pumpkit.buffers import open_buffer
from pumpkit.buffers.base import Counts, Part
from pumpkit.buffers.redis import cursor as cursors
from pumpkit.buffers.redis import letters
from pumpkit.buffers.redis import log as logs
from pumpkit.buffers.redis.buffer import RedisBuffer
from pumpkit.errors import BufferConfigError, BufferFull
from tests.servers.redis import RedisServer

LOG = "{pumpkit}:log"


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator["redis.Redis"]:
    """A client of the server."""
    with redis_server.client() as opened:
        yield opened


# Room -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("records", "size"), [(500, 40), (20, 40)], ids=["full frames", "small frames"])
def test_memory_of_a_waiting_frame(buffer: RedisBuffer, client: "redis.Redis", records: int, size: int) -> None:
    """An entry takes little more than its frame: what surrounds it, and what the allocator rounds up."""
    producer = Producer()
    frames = [producer.frame(records, size=size) for _ in range(400)]
    buffer.append(frames[:1])
    before = client.memory_usage(LOG, samples=0)
    for begin in range(1, len(frames), 50):
        buffer.append(frames[begin : begin + 50])
    after = client.memory_usage(LOG, samples=0)
    overhead = (after - before) / (len(frames) - 1) - len(frames[1])
    assert 0 < overhead < 200 + 0.3 * len(frames[1])


@pytest.mark.usefixtures("redis_kind")
def test_only_what_is_documented_is_left(redis_kind: str, buffer: RedisBuffer, client: "redis.Redis") -> None:
    """After everything was delivered, trimmed, closed and dropped nothing piles up."""
    empty = set(client.keys("*"))
    producer = Producer()
    append_each(buffer, producer.frames(50))
    lock = buffer.runner_lock({}, "slot")
    for share in (None, "one", "two"):
        cursor = buffer.cursor("audit", share=share)
        deliveries = cursor.fetch(7, PLENTY)
        cursor.accept([Part(deliveries[0].position, 0, 1), Part(deliveries[1].position, 0, 0)])
        total = sum(one.total for one in deliveries)
        dead = [letter(f"{share}-{number}", one.position) for number, one in enumerate(deliveries)]
        cursor.commit(deliveries[-1].position, Counts(total - len(dead), 0, len(dead)), dead)
        buffer.mark("audit", "purge" if share else "replay")
        cursor.resolve([one.id for one in cursor.marked(2)], [], [])
        left = cursor.fetch(PLENTY, PLENTY)
        cursor.accept([Part(left[0].position, 0, 0)])
        cursor.skip(left[len(left) // 3].position)
        cursor.close()
    cursor = buffer.cursor("audit")
    drain(cursor)
    cursor.resolve([one.id for one in cursor.marked(100)], [], [])
    cursor.close()
    while buffer.trim():
        pass
    assert balance(buffer, "audit").lag == 0
    assert buffer.stats().cursors["audit"].dead_bytes == 0
    assert set(client.keys("*")) - empty <= {b"{pumpkit}:pumps", b"{pumpkit}:pump:audit", *_BASE}
    assert client.xlen(LOG) == 0
    assert client.xinfo_groups(LOG)[0]["consumers"] == 0
    assert {key.decode() for key in client.hkeys("{pumpkit}:pump:audit")} <= _FIELDS
    buffer.rename_cursor("audit", "trail")
    buffer.drop_cursor("trail")
    lock.release()
    assert set(client.keys("*")) == {key for key in _BASE if client.exists(key)}
    assert client.hkeys("{pumpkit}:locks") == [b"runner:slot"]
    assert client.xinfo_groups(LOG) == []
    assert client.hlen("{pumpkit}:producers") == 1, "it may come back; after a week it is forgotten"


_FIELDS = {"id", "began", "position", "floor", "wanted", "suspect", "dead_bytes", "epoch", "again", "reset_by"}
_FIELDS |= {"delivered", "filtered", "dead", "skipped", "redelivered"}
_BASE = {f"{{pumpkit}}:{name}".encode() for name in ("log", "meta", "producers", "locks")}


def test_silent_producers_are_forgotten_bit_by_bit(buffer: RedisBuffer, client: "redis.Redis") -> None:
    """After a week without a word a producer's drops go into one total, however many there are."""
    for number in range(1_300):
        row = f'[3, {{"full": {number}}}, "", "", 0, 0]|0'
        client.hset("{pumpkit}:producers", number.to_bytes(16, "big"), row)
    before = buffer.stats()
    assert len(before.producers) == 1_300
    assert buffer._log.fold() == 1_300
    after = buffer.stats()
    assert after.producers == []
    assert after.drops == before.drops == {"full": sum(range(1_300))}


# A server with no memory left -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("redis_kind")
def test_no_memory_left(redis_kind: str, buffer: RedisBuffer, client: "redis.Redis") -> None:
    """Appends are refused whole, and cure themselves: everything that drains the log works without memory."""
    producer, late = Producer(), Producer()
    frames = [producer.frame(100, size=100) for _ in range(20)]
    append_each(buffer, frames)
    for name in ("audit", "shared", "old", "dropped"):
        buffer.register(name)
    buffer.append([late.frame()])
    client.config_set("maxmemory", 1)
    with pytest.raises(BufferFull, match="maxmemory"):
        buffer.append([producer.frame()])
    producer.next_seq -= 3
    assert buffer.append(frames) is None, "repeating takes no room"
    assert buffer.append([late.frame(0, {"full": 7})]) is None, "nor does a farewell"
    assert buffer.stats().stored == 2_003
    lock = buffer.runner_lock({}, "slot")
    lock.tell({"health": "here"})
    for share in (None, "one"):
        cursor = buffer.cursor("shared" if share else "audit", share=share)
        deliveries = cursor.fetch(300, PLENTY)
        cursor.accept([Part(deliveries[0].position, 0, 1)])
        cursor.commit(deliveries[0].position, Counts(99, 0, 1), [letter(f"dead-{share}", deliveries[0].position)])
        assert buffer.mark(cursor.pump, "replay") == 1
        cursor.resolve([one.id for one in cursor.marked(1)], [], [])
        cursor.skip(deliveries[1].position)
        cursor._lease.renewed = 0.0
        cursor.hold()
        drain(cursor)
        cursor.close()
        assert balance(buffer, cursor.pump).lag == 0
    buffer.set_wanted("audit", "pause")
    buffer.rename_cursor("old", "new")
    buffer.drop_cursor("new")
    buffer.drop_cursor("dropped")
    buffer.register("newest", "newest")
    lock.release()
    while buffer.trim():
        pass
    client.config_set("maxmemory", 0)
    buffer.append([producer.frame()])
    assert buffer.stats().frames == 1


@pytest.mark.usefixtures("redis_kind")
def test_log_lost_and_no_memory_left(redis_kind: str, buffer: RedisBuffer, client: "redis.Redis") -> None:
    """A log can be made again, and a group, with no memory left."""
    append_each(buffer, Producer().frames(3))
    buffer.cursor("audit").close()
    client.xgroup_destroy(LOG, "audit")
    client.config_set("maxmemory", 1)
    cursor = buffer.cursor("audit")
    assert len(drain(cursor)) == 3
    client.delete(LOG)
    assert cursor.fetch(1, PLENTY) == []
    assert cursor.was_reset
    cursor.close()


# How long the server does nothing else ----------------------------------------------------------------------------


def scripts_run(client: "redis.Redis") -> int:
    """Return how many scripts a server has run."""
    stats = client.info("commandstats")
    return sum(int(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"]) for name in ("eval", "evalsha"))


def test_scripts_do_a_bounded_amount(buffer: RedisBuffer, client: "redis.Redis") -> None:
    """However much there is to do, a script does a part of it: others are served in between."""
    producer = Producer()
    for _ in range(30):
        buffer.append(producer.frames(100, records=1))
    number = 3_000

    before = [scripts_run(client)]

    def parts(at_least: float) -> None:
        """Check that what was done since the last call took at least so many scripts."""
        before.append(scripts_run(client))
        assert before[-1] - before[-2] >= at_least, "one script did too much"

    cursor = buffer.cursor("audit", share="one")
    deliveries = cursor.fetch(PLENTY, PLENTY)
    assert len(deliveries) == number
    parts(number / cursors._FETCH_STEP)
    cursor.close()
    parts(0)
    cursor = buffer.cursor("audit")
    parts(number / cursors._CLAIM_STEP)
    cursor.skip(deliveries[-1].position)
    parts(number / cursors._SKIP_RECORDS + number / cursors._FETCH_STEP)
    assert buffer.skip_target("audit", PLENTY, ["audit"]) is None
    buffer.register("late")
    parts(0)
    assert buffer.skip_target("late", PLENTY, ["late"]) is not None
    parts(number / logs._STEP)
    for step in range(3):
        append_each(buffer, producer.frames(1, records=1_000))
        [one] = cursor.fetch(1, PLENTY)
        dead = [letter(f"{step}-{index}", one.position) for index in range(1_000)]
        cursor.commit(one.position, Counts(0, 0, 1_000), dead)
    parts(0)
    assert buffer.mark("audit", "purge") == number
    parts(number / letters._STEP)
    assert buffer.mark("audit", "purge", [f"0-{index}" for index in range(1_000)] * 2) == 1_000
    parts(1_000 / letters._STEP)
    cursor.close()
    late = buffer.cursor("late")
    late.skip(PLENTY**3)
    parts(0)
    while buffer.trim():
        pass
    parts(number / logs._SLICE_ENTRIES)
    late.close()


# Somebody meddles -------------------------------------------------------------------------------------------------


def test_emptied_by_hand(buffer: RedisBuffer, client: "redis.Redis") -> None:
    """Room that somebody made by hand is room, though the buffer's own pumps are behind; what is gone is counted."""
    producer = Producer()
    frames = [producer.frame(50, size=100) for _ in range(10)]
    append_each(buffer, frames)
    buffer.register("audit")
    buffer.set_max_bytes(sum(map(len, frames)) + 100)
    with pytest.raises(BufferFull):
        buffer.append([producer.frame(50, size=100)])
    producer.next_seq -= 50
    client.xtrim(LOG, maxlen=4, approximate=False)
    buffer.trim()
    assert buffer.stats().size_bytes == sum(map(len, frames[6:]))
    buffer.append([producer.frame(50, size=100)])
    assert balance(buffer, "audit").lag == 550
    buffer.register("late")
    assert balance(buffer, "late").lag == 250
    cursor = buffer.cursor("audit")
    assert drain(cursor)[:-1] == frames[6:]
    stats = balance(buffer, "audit")
    assert (stats.delivered, stats.skipped, stats.lag) == (250, 300, 0)
    client.xtrim(LOG, maxlen=0, approximate=False)
    buffer.trim()
    assert buffer.stats().size_bytes == 0
    cursor.close()


@pytest.mark.parametrize(
    "fields",
    [
        {"x": "y"},
        {"f": "junk", "n": "many", "t": "soon"},
        {"f": "junk", "n": "-5"},
        {"f": "junk", "n": "9" * 40},
        {"n": "3", "t": "1"},
        {"f": "junk", "n": "1", "t": "1", "s": "x"},
    ],
    ids=str,
)
def test_what_others_put_into_the_stream(buffer: RedisBuffer, client: "redis.Redis", fields: dict[str, str]) -> None:
    """It is handed out for what it is, without records, stops nothing, and goes with the rest."""
    producer = Producer()
    frames = producer.frames(4)
    append_each(buffer, frames[:2])
    client.xadd(LOG, fields)  # type: ignore[arg-type]
    append_each(buffer, frames[2:])
    client.xadd(LOG, fields)  # type: ignore[arg-type]
    cursor = buffer.cursor("audit")
    deliveries = cursor.fetch(PLENTY, PLENTY)
    assert [one.frame for one in deliveries if one.total == 3] == frames
    assert sum(one.total for one in deliveries if one.frame not in frames) == (2 if "s" in fields else 0)
    assert cursor.stats().oldest_ms is not None
    deliver(cursor, deliveries)
    assert cursor.fetch(PLENTY, PLENTY) == []
    assert balance(buffer, "audit").lag == 0
    while buffer.trim():
        pass
    stats = buffer.stats()
    assert (stats.frames, stats.size_bytes) == (0, 0)
    cursor.close()


def test_what_is_known_of_the_log_is_removed(buffer: RedisBuffer, client: "redis.Redis") -> None:
    """Frames outlive what is known of the log: every pump begins again at the oldest, and producers go on."""
    producer = Producer()
    frames = producer.frames(6)
    append_each(buffer, frames)
    cursor = buffer.cursor("audit")
    deliver(cursor, cursor.fetch(6, PLENTY))
    assert buffer.trim() == 2
    before = buffer.stats()
    client.delete("{pumpkit}:meta")
    after = buffer.stats()
    assert after.buffer_id != before.buffer_id
    assert (after.frames, after.stored, after.size_bytes) == (before.frames, before.stored, before.size_bytes)
    assert buffer.append([frames[5]]) is None, "it is still known"
    frames += producer.frames(2)
    assert buffer.append(frames[6:]) is None
    assert balance(buffer, "audit").lag == 18
    assert buffer.trim() == 0
    assert drain(cursor) == frames[2:]
    assert cursor.was_reset
    assert balance(buffer, "audit").lag == 0
    assert buffer.trim() == 6
    cursor.close()


@pytest.mark.parametrize("fields", [None, {"f": "theirs", "n": "1"}], ids=["a list", "a stream"])
def test_keys_of_another_program(redis_server: RedisServer, client: "redis.Redis", fields: dict[str, str]) -> None:
    """What another program keeps under the name of a log is not touched."""
    if fields:
        client.xadd(LOG, fields)  # type: ignore[arg-type]
    else:
        client.rpush(LOG, "theirs")
    before = client.dump(LOG)
    with pytest.raises(BufferConfigError, match="another program uses keys of this name"):
        open_buffer(redis_server.url)
    assert client.dump(LOG) == before
    assert client.keys() == [LOG.encode()]


def test_set_of_pumps_is_removed(buffer: RedisBuffer, client: "redis.Redis") -> None:
    """A pump holds the log though the set of pumps is lost and others are registered since; its runner heals that."""
    append_each(buffer, Producer().frames(4))
    buffer.register("audit")
    client.delete("{pumpkit}:pumps")
    cursor = buffer.cursor("trail")
    assert len(drain(cursor)) == 4
    cursor.close()
    assert buffer.trim() == 0
    buffer.register("audit")
    assert balance(buffer, "audit").lag == 12
    buffer.drop_cursor("audit")
    assert buffer.trim() == 4


def test_place_of_a_pump_is_removed(buffer: RedisBuffer, client: "redis.Redis") -> None:
    """A pump of which nothing is known any more begins again at the oldest frame."""
    frames = Producer().frames(4)
    append_each(buffer, frames)
    cursor = buffer.cursor("audit")
    deliveries = cursor.fetch(6, PLENTY)
    client.delete("{pumpkit}:pump:audit")
    assert buffer.trim() == 0
    deliver(cursor, deliveries)
    assert buffer.trim() == 0
    cursor.close()
    cursor = buffer.cursor("audit")
    assert drain(cursor) == frames
    assert balance(buffer, "audit").lag == 0
    cursor.close()


def test_scripts_that_are_forgotten(redis_server: RedisServer, buffer: RedisBuffer, client: "redis.Redis") -> None:
    """A server may forget its scripts at any time."""
    producer = Producer()
    cursor = buffer.cursor("audit")
    for _ in range(3):
        client.script_flush()
        append_each(buffer, [producer.frame()])
        client.script_flush()
        deliveries = cursor.fetch(1, PLENTY)
        client.script_flush()
        deliver(cursor, deliveries)
        client.script_flush()
        assert buffer.trim() == 1
    client.script_flush()
    cursor.close()


def test_large_numbers(buffer: RedisBuffer, client: "redis.Redis") -> None:
    """Counts that a double cannot tell apart are added exactly where that can happen: in what is lost, and in drops."""
    producer = Producer()
    huge = (1 << 62) + 1
    assert buffer.append([producer.frame_at(huge)], accept_gap=True) is None
    assert buffer.stats().lost == huge
    last = int(client.hget("{pumpkit}:meta", "last") or 0)
    assert last < 1 << 53, "positions are microseconds, which doubles can tell apart until the year 2255"
    cursor = buffer.cursor("audit")
    [delivery] = cursor.fetch(1, PLENTY)
    assert delivery.position == last
    deliver(cursor, [delivery])
    cursor.close()
