"""Several cursors of one pump share its frames; or one has them alone."""

import contextlib
from collections.abc import Callable, Iterator

import pytest
from making import PLENTY, Producer, append_each, balance, deliver, drain, letter, other
from meddling import end_lease

from pumpkit.buffers import Delivery, open_buffer
from pumpkit.buffers.base import Counts, Part
from pumpkit.buffers.redis import cursor as cursors
from pumpkit.buffers.redis.buffer import RedisBuffer
from pumpkit.buffers.redis.cursor import RedisCursor
from pumpkit.errors import BufferBusy, Fenced
from tests.servers.redis import RedisServer

LOG, LOCKS = "{pumpkit}:log", "{pumpkit}:locks"

pytestmark = pytest.mark.usefixtures("redis_kind")

Opener = Callable[[str | None], RedisCursor]


@pytest.fixture
def opened(redis_server: RedisServer) -> Iterator[Opener]:
    """Open cursors of the pump `audit`, each over connections of its own; they are closed at the end."""
    with contextlib.ExitStack() as stack:

        def opener(share: str | None) -> RedisCursor:
            its_buffer = open_buffer(redis_server.url)
            stack.callback(its_buffer.close)
            cursor = its_buffer.cursor("audit", share=share)
            stack.callback(cursor.close)
            assert isinstance(cursor, RedisCursor)
            return cursor

        yield opener


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cursors look for dead ones each time, not each few seconds."""
    monkeypatch.setattr(cursors, "_CLAIM_PERIOD", 0.0)


def frames_of(deliveries: list[Delivery]) -> list[bytes]:
    """Return the frames of deliveries."""
    return [one.frame for one in deliveries]


# Sharing ----------------------------------------------------------------------------------------------------------


def test_each_frame_goes_to_one(buffer: RedisBuffer, opened: Opener) -> None:
    """Cursors take turns, each is handed what no other has; together they deliver everything once."""
    producer = Producer()
    frames = producer.frames(20)
    append_each(buffer, frames)
    sharing = [opened(name) for name in ("one", "two", "three")]
    had: dict[bytes, RedisCursor] = {}
    delivered = []
    while len(delivered) < len(frames):
        for cursor in sharing:
            deliveries = cursor.fetch(4, PLENTY)
            for one in deliveries:
                assert had.setdefault(one.frame, cursor) is cursor, "two were handed the same frame"
                assert not one.redelivered
            if deliveries:
                deliver(cursor, deliveries[:1])
                delivered.append(deliveries[0].frame)
    assert sorted(delivered) == sorted(frames)
    assert len({id(cursor) for cursor in had.values()}) == 3
    stats = balance(buffer, "audit")
    assert (stats.delivered, stats.lag, stats.redelivered) == (60, 0, 0)


def test_in_order_within_each_hand(buffer: RedisBuffer, opened: Opener) -> None:
    """What one cursor is handed is in the order of the log."""
    append_each(buffer, Producer().frames(30))
    one, two = opened("one"), opened("two")
    positions: dict[RedisCursor, list[int]] = {one: [], two: []}
    for _ in range(5):
        for cursor, seen in positions.items():
            deliveries = cursor.fetch(7, PLENTY, seen[-1] if seen else None)
            seen += [delivery.position for delivery in deliveries]
    for seen in positions.values():
        assert seen == sorted(seen)
        assert seen


def test_trim_waits_for_the_slowest_hand(buffer: RedisBuffer, opened: Opener) -> None:
    """The position of a pump is before the first frame that any of its cursors has in hand."""
    frames = Producer().frames(6)
    append_each(buffer, frames)
    one, two = opened("one"), opened("two")
    [first] = one.fetch(1, PLENTY)
    assert len(drain(two)) >= 4
    assert buffer.trim() == 0
    assert buffer.stats().cursors["audit"].position < first.position
    deliver(one, [first])
    drain(one)
    drain(two)
    assert buffer.trim() == 6
    assert balance(buffer, "audit").lag == 0


def test_accepted_parts_of_several(buffer: RedisBuffer, opened: Opener) -> None:
    """What a sink took of one cursor's frames is known to all, until that frame is passed."""
    append_each(buffer, Producer().frames(4))
    one, two = opened("one"), opened("two")
    [first, second] = [cursor.fetch(3, PLENTY)[0] for cursor in (one, two)]
    one.accept([Part(first.position, 0, 1)])
    two.accept([Part(second.position, 2, 2)])
    assert sorted(one.accepted()) == [Part(first.position, 0, 1), Part(second.position, 2, 2)]
    deliver(one, [first])
    assert two.accepted() == [Part(second.position, 2, 2)]


def test_skip_leaves_what_others_have(buffer: RedisBuffer, opened: Opener) -> None:
    """A cursor that moves ahead skips its own frames and those nobody has; another one's are delivered."""
    producer = Producer()
    append_each(buffer, producer.frames(2))
    one, two = opened("one"), opened("two")
    mine = one.fetch(1, PLENTY)
    append_each(buffer, producer.frames(8))
    theirs = two.fetch(1, PLENTY)
    last = max(buffer._link.command("XREVRANGE", LOG, "+", "-", "COUNT", 1))[0]
    in_hand = len(two._hand)
    two.accept([Part(theirs[0].position, 0, 0)])
    assert one.skip(int(last.split(b"-")[0])) == 30 - 3 * in_hand
    assert [delivery.position for delivery in two.fetch(1, PLENTY)] == [delivery.position for delivery in theirs]
    assert two.skip(int(last.split(b"-")[0])) == 3 * in_hand - 1
    stats = balance(buffer, "audit")
    assert (stats.skipped, stats.delivered, stats.lag) == (29, 1, 0)
    assert mine


def test_dead_letters_of_several(buffer: RedisBuffer, opened: Opener) -> None:
    """Letters of several cursors are in one order, and count in one ledger."""
    append_each(buffer, Producer().frames(6))
    one, two = opened("one"), opened("two")
    for turn in range(6):
        cursor = (one, two)[turn % 2]
        deliveries = cursor.fetch(1, PLENTY)
        if deliveries:
            position = deliveries[0].position
            cursor.commit(position, Counts(2, 0, 1), [letter(f"{6 - turn}", position)])
    stats = balance(buffer, "audit")
    assert (stats.dead, stats.delivered, stats.dead_letters) == (6, 12, 6)
    letters = buffer.dead_letters("audit")
    assert [one.position for one in letters] == sorted(one.position for one in letters)
    assert buffer.mark("audit", "replay") == 6
    one.resolve([letter.id for letter in one.marked(3)], [], [])
    one.resolve([], [letter.id for letter in one.marked(3)], [])
    stats = balance(buffer, "audit")
    assert (stats.dead, stats.delivered, stats.dead_letters) == (3, 15, 0)


@pytest.mark.parametrize("share", ["", "a b", "a@b", "a|b", "a\n"])
def test_names_that_none_can_have(buffer: RedisBuffer, share: str) -> None:
    """A name that would be confused with another lease is refused."""
    with pytest.raises(ValueError, match="bad name"):
        buffer.cursor("audit", share=share)


def test_any_other_name(buffer: RedisBuffer, opened: Opener) -> None:
    """A slot may be called as a host is, or as nothing that the buffer uses itself."""
    frames = Producer().frames(9)
    append_each(buffer, frames)
    sharing = [opened(name) for name in ("alone", "host-1.example.org:2", "Räume", "0")]
    handed = [one.frame for cursor in sharing for one in cursor.fetch(3, PLENTY)]
    assert len(handed) == len(set(handed)) >= 4
    assert [cursor._claim() for cursor in sharing] == [0] * 4, "all of them are alive"


# Who keeps whom out -----------------------------------------------------------------------------------------------


def test_one_of_a_name(opened: Opener) -> None:
    """A name is refused while its cursor lives."""
    one = opened("one")
    with pytest.raises(BufferBusy, match="one"):
        opened("one")
    opened("two")
    one.close()
    opened("one")


def test_alone_or_shared(buffer: RedisBuffer, opened: Opener) -> None:
    """A cursor that is alone keeps those out that would share, and the other way round; so do drop and rename."""
    one, two = opened("one"), opened("two")
    for share in (one, two):
        with pytest.raises(BufferBusy):
            opened(None)
        with pytest.raises(BufferBusy):
            buffer.drop_cursor("audit")
        with pytest.raises(BufferBusy):
            buffer.rename_cursor("audit", "trail")
        share.close()
    alone = opened(None)
    for name in ("one", "three"):
        with pytest.raises(BufferBusy):
            opened(name)
    alone.close()
    opened("one")


def test_pumps_are_apart(buffer: RedisBuffer) -> None:
    """A pump whose name begins as another's is another pump."""
    cursors_ = [buffer.cursor("audit"), buffer.cursor("audit.eu", share="one"), buffer.cursor("au", share="one")]
    for cursor in cursors_:
        cursor.close()


def test_from_shared_to_alone_and_back(buffer: RedisBuffer, opened: Opener) -> None:
    """Frames that were in hand under one order are handed out first under the other, and nothing is counted twice."""
    producer = Producer()
    frames = producer.frames(12)
    append_each(buffer, frames)
    one, two = opened("one"), opened("two")
    in_hand = []
    for cursor in (one, two):
        deliver(cursor, cursor.fetch(1, PLENTY))
        in_hand += cursor.fetch(1, PLENTY)
    in_hand.sort()
    one.close()
    two.close()
    alone = opened(None)
    deliveries = alone.fetch(6, PLENTY)
    assert deliveries[0].position == in_hand[0].position
    assert deliveries[0].redelivered
    assert [d.position for d in deliveries] == sorted(d.position for d in deliveries)
    deliver(alone, deliveries[:1])
    alone.close()
    three = opened("three")
    rest = drain(three)
    assert frames_of(deliveries[1:2]) == rest[:1]
    stats = balance(buffer, "audit")
    assert (stats.delivered, stats.lag) == (36, 0)


# What becomes of frames in hand -----------------------------------------------------------------------------------


def test_closed_with_frames_in_hand(now: None, buffer: RedisBuffer, opened: Opener) -> None:
    """Others are handed what somebody had in hand who stopped, before anything new, and are told that."""
    producer = Producer()
    frames = producer.frames(3)
    append_each(buffer, frames)
    one, two = opened("one"), opened("two")
    assert len(one.fetch(9, PLENTY)) == 3
    assert two.fetch(9, PLENTY) == []
    one.close()
    new = producer.frame()
    append_each(buffer, [new])
    deliveries = two.fetch(PLENTY, PLENTY)
    assert frames_of(deliveries) == [*frames, new]
    assert [one_.redelivered for one_ in deliveries] == [True] * 3 + [False]
    deliver(two, deliveries)
    stats = balance(buffer, "audit")
    assert (stats.delivered, stats.redelivered, stats.lag) == (12, 9, 0)


def test_dead_cursors_frames_go_to_the_living(now: None, redis_server: RedisServer, opened: Opener) -> None:
    """What a worker had in hand that was killed goes to the others at once, on the same machine."""
    code = """
from making import Producer
from pumpkit.buffers import open_buffer
buffer = open_buffer(url)
buffer.append(Producer().frames(5))
cursor = buffer.cursor("audit", share="dying")
print(len(cursor.fetch(6, 1 << 30)), flush=True)
sys.stdin.read()
"""
    one = opened("one")
    with other(code, redis_server.url) as dying:
        assert dying.line() == "2"
        assert len(drain(one)) < 5
        dying.kill()
    assert len(drain(one)) >= 2


def test_asleep_elsewhere(now: None, redis_server: RedisServer, buffer: RedisBuffer, opened: Opener) -> None:
    """Of a worker on another machine nobody knows whether it is dead: its lease has to end. Then it is too late."""
    append_each(buffer, Producer().frames(6))
    sleeper, one = opened("sleeper"), opened("one")
    in_hand = sleeper.fetch(6, PLENTY)
    assert len(drain(one)) < 6
    with redis_server.client() as client:
        end_lease(client, LOCKS, "pump:audit@sleeper")
    sleeper._lease.lost = False
    assert set(frames_of(in_hand)) <= set(drain(one))
    for write in (
        lambda: deliver(sleeper, in_hand),
        lambda: sleeper.fetch(PLENTY, PLENTY),
        lambda: sleeper.accept([Part(in_hand[0].position, 0, 0)]),
        lambda: sleeper.skip(PLENTY**3),
    ):
        with pytest.raises(Fenced):
            write()
    stats = balance(buffer, "audit")
    assert (stats.delivered, stats.lag) == (18, 0)


def test_a_busy_cursor_claims_too(now: None, buffer: RedisBuffer, opened: Opener) -> None:
    """Under steady load there is always a frame that was read ahead; what the dead had is taken over all the same."""
    producer = Producer()
    append_each(buffer, producer.frames(6))
    dying, busy = opened("dying"), opened("busy")
    lost = dying.fetch(3, PLENTY)
    seen = frames_of(busy.fetch(4, PLENTY))
    deliver(busy, busy.fetch(4, PLENTY))
    assert busy._hand, "it has read ahead"
    dying.close()
    for _ in range(5):
        append_each(buffer, producer.frames(4))
        deliveries = busy.fetch(4, PLENTY)
        deliver(busy, deliveries)
        seen += frames_of(deliveries)
    assert set(frames_of(lost)) <= set(seen)


def test_read_ahead_is_not_handed_out(buffer: RedisBuffer, opened: Opener) -> None:
    """After a clean close nobody is told that a frame may be again which was read and never handed out."""
    append_each(buffer, Producer().frames(4))
    cursor = opened(None)
    deliver(cursor, cursor.fetch(4, PLENTY))
    assert cursor._hand, "it has read ahead"
    cursor.close()
    deliveries = opened(None).fetch(PLENTY, PLENTY)
    assert [one.redelivered for one in deliveries] == [False] * 3


def test_thousands_in_hand(now: None, buffer: RedisBuffer, opened: Opener) -> None:
    """A dead worker's frames are taken over in steps, all of them, in order."""
    producer = Producer()
    for _ in range(25):
        buffer.append(producer.frames(100, records=1))
    dying = opened("dying")
    assert len(dying.fetch(2_500, PLENTY)) == 2_500
    dying.close()
    alone = opened(None)
    deliveries = alone.fetch(PLENTY, PLENTY)
    assert len(deliveries) == 2_500
    assert [one.position for one in deliveries] == sorted(one.position for one in deliveries)
    assert all(one.redelivered for one in deliveries)
    deliver(alone, deliveries)
    assert balance(buffer, "audit").lag == 0


def test_the_dead_leave_no_consumers(now: None, redis_server: RedisServer, buffer: RedisBuffer, opened: Opener) -> None:
    """Names of workers that come and go do not pile up."""
    producer = Producer()
    for number in range(10):
        append_each(buffer, producer.frames(2))
        cursor = opened(f"pod-{number}")
        deliver(cursor, cursor.fetch(1, PLENTY)[:1])
        with redis_server.client() as client:
            end_lease(client, LOCKS, f"pump:audit@pod-{number}")
    last = opened("last")
    drain(last)
    with redis_server.client() as client:
        assert [one["name"] for one in client.xinfo_consumers(LOG, "audit")] == [b"last"]
        assert client.hkeys(LOCKS) == [b"pump:audit@last"]
        done = [key for key in client.hkeys("{pumpkit}:pump:audit") if key.startswith(b"done:")]
        assert done == [b"done:last"]


# Meddling ---------------------------------------------------------------------------------------------------------


def test_group_destroyed_while_shared(buffer: RedisBuffer, redis_server: RedisServer, opened: Opener) -> None:
    """What some had passed behind others is handed out again, and counted again: the ledger balances, lag is right."""
    append_each(buffer, Producer().frames(8))
    one, two = opened("one"), opened("two")
    [slow] = one.fetch(1, PLENTY)
    passed = len(drain(two))
    assert passed >= 5
    with redis_server.client() as client:
        client.xgroup_destroy(LOG, "audit")
    with pytest.raises(Fenced):
        deliver(one, [slow])
    two._handed.clear()
    deliveries = two.fetch(PLENTY, PLENTY)
    assert len(deliveries) == 8
    assert all(delivery.redelivered for delivery in deliveries)
    assert balance(buffer, "audit").lag == 24
    deliver(two, deliveries)
    assert balance(buffer, "audit").lag == 0
    one.close()
    assert drain(opened("one")) == []


def test_group_destroyed_after_a_crash(buffer: RedisBuffer, redis_server: RedisServer, opened: Opener) -> None:
    """What a dead cursor had in hand may be again, also if the group that knew of it is gone."""
    append_each(buffer, Producer().frames(2))
    dead = opened("dead")
    assert dead.fetch(PLENTY, PLENTY)
    dead.__del__()
    with redis_server.client() as client:
        client.xgroup_destroy(LOG, "audit")
    opened(None).close()
    assert all(delivery.redelivered for delivery in opened(None).fetch(PLENTY, PLENTY))


def test_new_ledger_is_not_written_by_old_hands(buffer: RedisBuffer, redis_server: RedisServer, opened: Opener) -> None:
    """A cursor with frames of a log that is no more may commit them, but not into the ledger of the new one."""
    producer = Producer()
    append_each(buffer, producer.frames(4))
    one, two = opened("one"), opened("two")
    old = one.fetch(3, PLENTY)
    with redis_server.client() as client:
        client.delete(LOG)
    assert two.fetch(3, PLENTY) == []
    assert two.was_reset
    append_each(buffer, Producer().frames(2))
    one.accept([Part(old[0].position, 0, 0)])
    deliver(one, old)
    assert two.accepted() == []
    stats = balance(buffer, "audit")
    assert (stats.delivered, stats.lag) == (0, 6)
    one.fetch(PLENTY, PLENTY)
    assert one.was_reset
