"""The contract of buffers: every implementation passes these tests unchanged.

A test file makes them its own by a subclass with a fixture `home`:

    class TestSqlite(BufferContract):
        @pytest.fixture
        def home(self, tmp_path): ...
"""

import gc
import itertools
import os
import random
import socket
import threading
from collections.abc import Iterator
from typing import Protocol, get_args

import msgpack
import pytest
from making import PLENTY, Producer, append_each, balance, deliver, drain, letter, other

from pumpkit.buffers import Buffer, Cursor, Gap, open_buffer
from pumpkit.buffers.base import Counts, Part, Severity
from pumpkit.buffers.registry import driver
from pumpkit.errors import BadFrame, BufferBusy, BufferConfigError, BufferFull, BufferUnavailable, FrameTooNew


class Home(Protocol):
    """Where the buffer of one test is; nothing is there at first."""

    url: str

    def remove(self) -> None:
        """Remove the whole log behind everybody's back; what belongs to single pumps stays."""


def open_as(url: str, host: str, monkeypatch: pytest.MonkeyPatch) -> Buffer:
    """Return the buffer as an application on a host of this name has it."""
    with monkeypatch.context() as patch:
        patch.setattr(socket, "gethostname", lambda: host)
        return open_buffer(url)


def in_total(buffer: Buffer) -> dict[str, int]:
    """Return the sum of drops over hosts; it is the one that is told."""
    stats = buffer.stats()
    sums: dict[str, int] = {}
    for pair in stats.drops_by_host:
        for cause, count in pair.drops.items():
            sums[cause] = sums.get(cause, 0) + count
    assert sums == stats.drops
    return sums


class BufferContract:
    """Every sentence of `pumpkit.buffers.base`, as tests."""

    @pytest.fixture
    def home(self) -> Home:
        raise NotImplementedError("say where the buffer is")

    @pytest.fixture
    def buffer(self, home: Home) -> Iterator[Buffer]:
        buffer = open_buffer(home.url)
        yield buffer
        buffer.close()

    @pytest.fixture
    def producer(self) -> Producer:
        return Producer()

    # Opening ------------------------------------------------------------------------------------------------

    def test_it_is_a_buffer(self, buffer: Buffer) -> None:
        """What opens is a Buffer, and its cursors are Cursors."""
        assert isinstance(buffer, Buffer)
        cursor = buffer.cursor("audit")
        assert isinstance(cursor, Cursor)
        cursor.close()

    def test_missing_without_create(self, home: Home) -> None:
        """Without `create` a missing buffer is unavailable, and is not made."""
        for _ in range(2):
            with pytest.raises(BufferUnavailable, match="no buffer"):
                open_buffer(home.url, create=False)

    def test_facts_of_its_place(self, home: Home, producer: Producer) -> None:
        """There are some before there is a buffer and after; asking makes none, and changes nothing."""
        module = driver(home.url)
        for fact in module.facts(home.url):
            assert fact.text
            assert fact.severity in get_args(Severity)
        with pytest.raises(BufferUnavailable, match="no buffer"):
            open_buffer(home.url, create=False)
        buffer = open_buffer(home.url)
        buffer.append([producer.frame()])
        before = buffer.stats()
        assert [fact for fact in module.facts(home.url) if fact.severity != "error"]
        assert buffer.stats() == before
        buffer.close()

    def test_open_existing_without_create(self, home: Home, buffer: Buffer, producer: Producer) -> None:
        """Without `create` a buffer that exists opens, and holds what it held."""
        buffer.append([producer.frame()])
        again = open_buffer(home.url, create=False)
        assert again.stats().stored == 3
        assert again.stats().buffer_id == buffer.stats().buffer_id
        again.close()

    def test_close_is_idempotent(self, home: Home, producer: Producer) -> None:
        """A buffer can be closed twice; afterwards it is unavailable."""
        buffer = open_buffer(home.url)
        buffer.close()
        buffer.close()
        with pytest.raises(BufferUnavailable, match="closed"):
            buffer.append([producer.frame()])
        with pytest.raises(BufferUnavailable, match="closed"):
            buffer.stats()

    def test_a_new_buffer_is_empty(self, buffer: Buffer) -> None:
        """A new buffer has an id of its own, a cap of 1 GiB and nothing else."""
        stats = buffer.stats()
        assert len(stats.buffer_id) >= 16
        assert stats.max_bytes == 1 << 30
        assert (stats.frames, stats.stored, stats.lost, stats.drops) == (0, 0, 0, {})
        assert (stats.producers, stats.cursors) == ([], {})
        assert not stats.drops_by_host
        assert 0 <= stats.size_bytes < 1 << 20

    # Appending ----------------------------------------------------------------------------------------------

    def test_append_stores_in_order(self, buffer: Buffer, producer: Producer) -> None:
        """Frames come out whole, in the order in which they went in."""
        frames = producer.frames(5)
        assert buffer.append(frames[:2]) is None
        assert buffer.append(frames[2:]) is None
        assert buffer.stats().frames == 5
        cursor = buffer.cursor("audit")
        assert drain(cursor) == frames
        cursor.close()

    def test_append_of_nothing(self, buffer: Buffer) -> None:
        """No frames are stored without complaint."""
        assert buffer.append([]) is None
        assert buffer.stats().producers == []

    def test_append_is_durable_on_return(self, home: Home, buffer: Buffer) -> None:
        """What a process was told is stored is there after its SIGKILL."""
        code = """
from making import Producer
from pumpkit.buffers import open_buffer
buffer, producer = open_buffer(url), Producer()
while True:
    assert buffer.append([producer.frame()]) is None
    print(producer.next_seq, flush=True)
"""
        with other(code, home.url) as process:
            for _ in range(20):
                acknowledged = int(process.line())
            process.kill()
        stored = buffer.stats().stored
        assert acknowledged <= stored
        (known,) = buffer.stats().producers
        assert known.next_seq == stored

    def test_repeating_is_harmless(self, buffer: Buffer, producer: Producer) -> None:
        """Frames that are already there are skipped, alone and in front of new ones."""
        frames = producer.frames(4)
        buffer.append(frames[:2])
        assert buffer.append(frames[:2]) is None
        assert buffer.append(frames[1:]) is None
        assert buffer.stats().stored == 12
        cursor = buffer.cursor("audit")
        assert drain(cursor) == frames
        cursor.close()

    def test_repeating_after_trim(self, buffer: Buffer, producer: Producer) -> None:
        """A frame that was trimmed is still known, and not stored again."""
        frame = producer.frame()
        buffer.append([frame])
        cursor = buffer.cursor("audit")
        drain(cursor)
        assert buffer.trim() == 1
        assert buffer.append([frame]) is None
        assert cursor.fetch(10, PLENTY) == []
        assert buffer.stats().stored == 3
        cursor.close()

    def test_gap_is_not_stored(self, buffer: Buffer, producer: Producer) -> None:
        """A frame above the next sequence is not stored, nor any after it; the answer says what is expected."""
        first, missing, third, fourth = producer.frames(4)
        assert buffer.append([first, third, fourth]) == Gap(3)
        assert buffer.stats().stored == 3
        assert buffer.append([third]) == Gap(3)
        assert buffer.append([missing, third, fourth]) is None
        cursor = buffer.cursor("audit")
        assert drain(cursor) == [first, missing, third, fourth]
        cursor.close()

    def test_gap_of_an_unknown_producer(self, buffer: Buffer, producer: Producer) -> None:
        """From a producer it does not know, the log expects sequence 0."""
        assert buffer.append([producer.frame_at(7)]) == Gap(0)
        assert buffer.stats().producers == []

    def test_accepted_gap_counts_as_lost(self, buffer: Buffer, producer: Producer) -> None:
        """With `accept_gap` the frames are stored and the hole is counted."""
        first, _, third = producer.frames(3)
        assert buffer.append([first]) is None
        assert buffer.append([third], accept_gap=True) is None
        stats = buffer.stats()
        assert (stats.stored, stats.lost) == (6, 3)
        assert stats.producers[0].next_seq == 9
        assert buffer.append([third], accept_gap=True) is None  # a repetition loses nothing
        assert buffer.stats().lost == 3

    def test_producers_are_apart(self, buffer: Buffer) -> None:
        """Each producer has its own sequence."""
        one, two = Producer("one"), Producer("two")
        assert buffer.append(one.frames(2)) is None
        assert buffer.append(two.frames(3)) is None
        assert buffer.append([one.frame()]) is None
        known = {known.producer: known for known in buffer.stats().producers}
        assert known[one.id.hex()].next_seq == 9
        assert known[two.id.hex()].next_seq == 9
        assert {known[one.id.hex()].source, known[two.id.hex()].source} == {"one", "two"}

    def test_frames_of_several_producers_are_refused(self, buffer: Buffer) -> None:
        """One append takes frames of one producer, or none."""
        with pytest.raises(ValueError, match="one producer"):
            buffer.append([Producer().frame(), Producer().frame()])
        assert buffer.stats().stored == 0

    def test_farewell_only_updates_drops(self, buffer: Buffer, producer: Producer) -> None:
        """A frame without records is not stored; its drops are."""
        buffer.append([producer.frame(drops={"full": 1})])
        assert buffer.append([producer.frame_at(3, 0, {"full": 4, "unsent": 2})]) is None
        stats = buffer.stats()
        assert (stats.frames, stats.stored) == (1, 3)
        assert stats.drops == {"full": 4, "unsent": 2}
        assert stats.producers[0].drops == {"full": 4, "unsent": 2}

    def test_farewell_above_the_sequence_is_a_gap(self, buffer: Buffer, producer: Producer) -> None:
        """A farewell that comes before the records it follows tells that they are missing."""
        assert buffer.append([producer.frame_at(5, 0, {"full": 1})]) == Gap(0)
        assert buffer.append([producer.frame_at(5, 0, {"full": 1})], accept_gap=True) is None
        assert buffer.stats().lost == 5

    def test_drops_are_totals(self, buffer: Buffer) -> None:
        """Drops are totals of one producer, which repeated frames do not lower, summed over all of them."""
        one, two = Producer(), Producer()
        old, new = one.frame(drops={"full": 1}), one.frame(drops={"full": 5})
        buffer.append([old, new])
        buffer.append([old])
        buffer.append([two.frame(drops={"full": 2, "too-large": 1})])
        assert buffer.stats().drops == {"full": 7, "too-large": 1}

    def test_drops_by_host_and_source(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        """Drops are counted for the host that appends them and the reporter's source, the last to drop first."""
        one, two = Producer("one"), Producer("two")
        frame = one.frame(drops={"full": 1})
        here = open_as(home.url, "here", monkeypatch)
        here.append([frame, one.frame(drops={"full": 3, "a cause of \n its own": 1})])
        here.append([frame])
        here.append([two.frame()])
        there = open_as(home.url, "thère ☃", monkeypatch)
        there.append([two.frame(drops={"unsent": 4})])
        there.append([one.frame(drops={"full": 5})])  # as what another process sends on that it has found
        found = [(pair.host, pair.source, pair.drops) for pair in there.stats().drops_by_host]
        assert found == [
            ("thère ☃", "one", {"full": 2}),
            ("thère ☃", "two", {"unsent": 4}),
            ("here", "one", {"full": 3, "a cause of \n its own": 1}),
        ]
        times = [pair.last_ms or 0 for pair in there.stats().drops_by_host]
        assert 0 < times[2] <= times[1] <= times[0]
        assert in_total(there) == {"full": 5, "unsent": 4, "a cause of \n its own": 1}
        here.close()
        there.close()

    def test_drops_of_many_hosts_are_bounded(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        """Those that dropped last are counted apart, the others in one sum; nothing that was counted is lost."""
        monkeypatch.setattr("pumpkit.buffers.drops.PAIRS", 3)
        monkeypatch.setattr("pumpkit.buffers.redis.log.PAIRS", 3)
        names = ["other", *(f"container-{number}" for number in range(5))]
        seen: dict[str, int] = {}
        for number, name in enumerate([*names, "container-3", "other"]):
            buffer = open_as(home.url, name, monkeypatch)
            buffer.append([Producer("").frame_at(0, 0, {"full": 10 + number, "unsent": 1})])
            total = in_total(buffer)
            assert all(total[cause] >= count for cause, count in seen.items())
            seen = total
            buffer.close()
        buffer = open_buffer(home.url)
        assert [(pair.host, pair.drops) for pair in buffer.stats().drops_by_host] == [
            ("other", {"full": 17, "unsent": 1}),
            ("container-3", {"full": 14 + 16, "unsent": 2}),
            ("container-4", {"full": 15, "unsent": 1}),
            ("other", {"full": 10 + 11 + 12 + 13, "unsent": 4}),
        ]
        assert buffer.stats().drops_by_host[-1].last_ms is None
        buffer.close()

    @pytest.mark.parametrize("bad", [b"", b"\x00", b"not a frame", msgpack.packb([1, 2, 3])])
    def test_bad_frames_are_refused_whole(self, buffer: Buffer, producer: Producer, bad: bytes) -> None:
        """Bytes that are not a frame are refused before any of the others is stored."""
        with pytest.raises(BadFrame):
            buffer.append([producer.frame(), bad])
        assert buffer.stats().stored == 0

    def test_newer_frames_are_refused_whole(self, buffer: Buffer, producer: Producer) -> None:
        """A frame of a later version is refused before any of the others is stored."""
        newer = msgpack.packb([2, *msgpack.unpackb(producer.frame_at(3))[1:]])
        with pytest.raises(FrameTooNew, match="upgrade"):
            buffer.append([producer.frame(), newer])
        assert buffer.stats().stored == 0

    def test_overlapping_frames_are_refused(self, buffer: Buffer, producer: Producer) -> None:
        """A frame with records below and above the next sequence is no repetition, and is refused."""
        buffer.append([producer.frame_at(0, 4)])
        with pytest.raises(BadFrame, match="overlap"):
            buffer.append([producer.frame_at(2, 4)])
        assert buffer.stats().stored == 4

    def test_huge_numbers(self, buffer: Buffer) -> None:
        """Sequences and drops at the limits of their types break nothing, and no sum wraps around."""
        most = (1 << 63) - 1
        for _ in range(2):
            frame = Producer().frame_at(most - 3, 3, {"full": most})
            assert buffer.append([frame], accept_gap=True) is None
        stats = buffer.stats()
        assert stats.stored == 6
        assert stats.lost >= most - 3
        assert stats.drops == {"full": 2 * most}
        assert in_total(buffer) == stats.drops

    def test_source_in_any_script(self, buffer: Buffer) -> None:
        """A source is shown as it was sent."""
        buffer.append([Producer("naïve ☃").frame()])
        assert buffer.stats().producers[0].source == "naïve ☃"

    def test_producer_has_host_and_pid_of_the_appender(self, home: Home, buffer: Buffer) -> None:
        """A producer is known with the host and process that appended its frames."""
        code = """
from making import Producer
from pumpkit.buffers import open_buffer
buffer = open_buffer(url)
buffer.append([Producer("over there").frame()])
buffer.close()
"""
        with other(code, home.url) as process:
            process.finish()
            (known,) = buffer.stats().producers
            assert known.pid == process.process.pid
        assert known.host == socket.gethostname()
        assert known.source == "over there"

    def test_many_threads_append(self, buffer: Buffer) -> None:
        """Threads may share a buffer; each producer's frames stay in order."""
        producers = [Producer() for _ in range(4)]

        def append(producer: Producer) -> None:
            for _ in range(25):
                assert buffer.append([producer.frame(1)], timeout=60) is None

        threads = [threading.Thread(target=append, args=(producer,)) for producer in producers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert buffer.stats().stored == 100
        assert all(known.next_seq == 25 for known in buffer.stats().producers)

    def test_processes_append_at_once(self, home: Home, buffer: Buffer) -> None:
        """Processes append beside each other while a pump drains: every frame arrives once, in its producer's order."""
        code = """
from making import Producer
from pumpkit.buffers import open_buffer
buffer, producer = open_buffer(url), Producer()
for _ in range(50):
    assert buffer.append([producer.frame(2)], timeout=60) is None
buffer.close()
"""
        cursor = buffer.cursor("audit")
        with other(code, home.url) as one, other(code, home.url) as two, other(code, home.url) as three:
            frames = []
            while any(process.process.poll() is None for process in (one, two, three)):
                frames += drain(cursor)
            for process in (one, two, three):
                process.finish()
        frames += drain(cursor)
        cursor.close()
        assert len(frames) == 150
        starts: dict[bytes, list[int]] = {}
        for frame in frames:
            _, producer, first, *_ = msgpack.unpackb(frame)
            starts.setdefault(producer, []).append(first)
        assert all(firsts == list(range(0, 100, 2)) for firsts in starts.values())

    # The size cap -------------------------------------------------------------------------------------------

    def test_cap_refuses_and_trimming_helps(self, home: Home, buffer: Buffer, producer: Producer) -> None:
        """At the cap appends are refused whole, by every connection; after trimming they go on."""
        early = open_buffer(home.url)
        cursor = buffer.cursor("audit")
        buffer.set_max_bytes(200_000)
        frames = [producer.frame(10, size=1_000) for _ in range(100)]
        with pytest.raises(BufferFull, match="200000"):
            append_each(early, frames)
        stats = buffer.stats()
        assert 0 < stats.stored < 990
        assert stats.size_bytes <= 200_000
        code = """
import sys
from making import Producer
from pumpkit.buffers import open_buffer
from pumpkit.errors import BufferFull
buffer = open_buffer(url)
try:
    buffer.append([Producer().frame(20, size=1_000)])
except BufferFull:
    print("full")
buffer.close()
"""
        with other(code, home.url) as process:
            assert process.finish() == "full"
        drain(cursor)
        while buffer.trim():
            pass
        assert early.append([frames[stats.stored // 10]]) is None
        cursor.close()
        early.close()

    def test_farewell_passes_a_full_buffer(self, buffer: Buffer, producer: Producer) -> None:
        """What a producer dropped can be told to a full buffer."""
        buffer.append([producer.frame()])
        buffer.set_max_bytes(1)
        with pytest.raises(BufferFull):
            buffer.append([producer.frame_at(3)])
        assert buffer.append([producer.frame_at(3, 0, {"full": 9})]) is None
        assert buffer.stats().drops == {"full": 9}

    def test_repeating_passes_a_full_buffer(self, buffer: Buffer, producer: Producer) -> None:
        """Frames that are already there are acknowledged by a full buffer."""
        frame = producer.frame()
        buffer.append([frame])
        buffer.set_max_bytes(1)
        assert buffer.append([frame]) is None

    @pytest.mark.parametrize("cap", [0, -1])
    def test_senseless_caps(self, buffer: Buffer, cap: int) -> None:
        """A cap below one byte is refused."""
        with pytest.raises(ValueError, match="cap"):
            buffer.set_max_bytes(cap)

    # Fetching -----------------------------------------------------------------------------------------------

    def test_fetch_of_nothing(self, buffer: Buffer) -> None:
        """On an empty log a fetch returns at once, with nothing."""
        cursor = buffer.cursor("audit")
        assert cursor.fetch(10, PLENTY) == []
        cursor.close()

    def test_fetch_goes_on_after_the_commit(self, buffer: Buffer, producer: Producer) -> None:
        """A fetch begins after the committed position, every time."""
        buffer.append(producer.frames(4))
        cursor = buffer.cursor("audit")
        first = cursor.fetch(3, PLENTY)
        assert cursor.fetch(3, PLENTY) == first
        deliver(cursor, first)
        second = cursor.fetch(3, PLENTY)
        assert second[0].position > first[0].position
        assert second[0].frame != first[0].frame
        cursor.close()

    def test_fetch_after(self, buffer: Buffer, producer: Producer) -> None:
        """With `after`, a fetch goes on behind frames in hand, without committing them."""
        frames = producer.frames(3)
        buffer.append(frames)
        cursor = buffer.cursor("audit")
        (first,) = cursor.fetch(1, PLENTY)
        (second,) = cursor.fetch(1, PLENTY, after=first.position)
        (third,) = cursor.fetch(1, PLENTY, after=second.position)
        assert [first.frame, second.frame, third.frame] == frames
        assert cursor.fetch(1, PLENTY, after=third.position) == []
        cursor.commit(third.position, Counts(9))
        assert cursor.fetch(1, PLENTY, after=third.position) == []
        balance(buffer, "audit")
        cursor.close()

    def test_fetch_after_an_unknown_position(self, buffer: Buffer, producer: Producer) -> None:
        """`after` has to be a position handed out before, or records would be passed over in silence."""
        buffer.append(producer.frames(3))
        cursor = buffer.cursor("audit")
        last = cursor.fetch(100, PLENTY)[-1]
        cursor.close()
        cursor = buffer.cursor("audit")
        with pytest.raises(ValueError, match="handed out"):
            cursor.fetch(1, PLENTY, after=last.position)
        cursor.close()

    @pytest.mark.parametrize(
        ("records", "size", "fetched"), [(6, PLENTY, 2), (8, PLENTY, 2), (0, PLENTY, 1), (PLENTY, 1, 1), (9, PLENTY, 3)]
    )
    def test_fetch_is_bounded(self, buffer: Buffer, producer: Producer, records: int, size: int, fetched: int) -> None:
        """A fetch is whole frames within both bounds, and at least one frame."""
        buffer.append(producer.frames(5))
        cursor = buffer.cursor("audit")
        assert len(cursor.fetch(records, size)) == fetched
        cursor.close()

    def test_fetch_is_bounded_in_bytes(self, buffer: Buffer, producer: Producer) -> None:
        """The bound in bytes is one of the frames as stored."""
        frames = producer.frames(5)
        buffer.append(frames)
        cursor = buffer.cursor("audit")
        size = len(frames[0]) + len(frames[1]) + len(frames[2])
        assert len(cursor.fetch(PLENTY, size)) == 3
        assert len(cursor.fetch(PLENTY, size - 1)) == 2
        cursor.close()

    def test_delivery_has_the_number_of_records(self, buffer: Buffer, producer: Producer) -> None:
        """`total` is what the ledger counts for a frame."""
        buffer.append([producer.frame(1), producer.frame(7)])
        cursor = buffer.cursor("audit")
        assert [delivery.total for delivery in cursor.fetch(100, PLENTY)] == [1, 7]
        cursor.close()

    # Committing ---------------------------------------------------------------------------------------------

    def test_commit_counts(self, buffer: Buffer, producer: Producer) -> None:
        """A commit moves the position and adds its counts, for good."""
        buffer.append([producer.frame(10), producer.frame(5)])
        cursor = buffer.cursor("audit")
        first, second = cursor.fetch(100, PLENTY)
        cursor.commit(first.position, Counts(delivered=4, filtered=5, dead=1, redelivered=2), [letter("a", 1)])
        stats = balance(buffer, "audit")
        assert stats.position == first.position
        assert (stats.delivered, stats.filtered, stats.dead, stats.redelivered, stats.lag) == (4, 5, 1, 2, 5)
        assert stats.oldest_ms == 1_700_000_000_010
        cursor.commit(second.position, Counts(filtered=5))
        cursor.close()
        stats = balance(buffer, "audit")
        assert (stats.delivered, stats.filtered, stats.dead, stats.lag) == (4, 10, 1, 0)
        assert stats.oldest_ms is None

    def test_commit_of_a_part(self, buffer: Buffer, producer: Producer) -> None:
        """Of a fetch, the first frames can be committed alone; the others are fetched again."""
        buffer.append(producer.frames(3))
        cursor = buffer.cursor("audit")
        first, second, _ = cursor.fetch(100, PLENTY)
        deliver(cursor, [first, second])
        (third,) = cursor.fetch(100, PLENTY)
        deliver(cursor, [third])
        assert balance(buffer, "audit").delivered == 9
        cursor.close()

    def test_commit_must_account_for_every_record(self, buffer: Buffer, producer: Producer) -> None:
        """Counts that do not add up are refused, and nothing changes: the ledger balances always."""
        buffer.append([producer.frame(10)])
        cursor = buffer.cursor("audit")
        (only,) = cursor.fetch(100, PLENTY)
        for counts in (Counts(9), Counts(11), Counts(5, 5, 5)):
            with pytest.raises(ValueError, match="10"):
                cursor.commit(only.position, counts, [letter("a", 1)])
        with pytest.raises(ValueError, match="handed out"):
            cursor.commit(only.position + 1, Counts(10))
        stats = balance(buffer, "audit")
        assert (stats.lag, stats.dead_letters) == (10, 0)
        deliver(cursor, [only])
        with pytest.raises(ValueError, match="handed out"):
            cursor.commit(only.position, Counts(10))
        cursor.close()

    def test_commit_survives_a_kill(self, home: Home, buffer: Buffer, producer: Producer) -> None:
        """Position, counts and dead letters change together, wherever a SIGKILL hits; the ledger balances."""
        code = """
import itertools
from making import letter
from pumpkit.buffers import open_buffer
from pumpkit.buffers.base import Counts
buffer = open_buffer(url, create=False)
cursor = buffer.cursor("audit")
print("open", flush=True)
for n in itertools.count():
    for delivery in cursor.fetch(10, 1 << 30):
        dead = [letter(f"{delivery.position}-{i}", delivery.position, b"x" * 3_000) for i in range(delivery.total)]
        cursor.commit(delivery.position, Counts(dead=delivery.total), dead)
        print(delivery.position, flush=True)
"""
        buffer.register("audit")
        seed = random.randrange(1 << 32)
        print("seed", seed)
        chance = random.Random(seed)
        for _ in range(6):
            buffer.append(producer.frames(50), timeout=60)
            with other(code, home.url) as process:
                assert process.line() == "open"
                for _ in range(chance.randrange(1, 40)):
                    committed = int(process.line())
                process.kill()
            stats = balance(buffer, "audit")
            assert stats.position >= committed
            letters = buffer.dead_letters("audit", limit=PLENTY)
            assert len(letters) == stats.dead == stats.dead_letters
            positions = {one.position for one in letters}
            assert (max(positions), 3 * len(positions)) == (stats.position, len(letters))
            assert stats.dead_bytes == 3_000 * len(letters)

    # Redelivery ---------------------------------------------------------------------------------------------

    def test_redelivered_after_a_crash(self, home: Home, buffer: Buffer, producer: Producer) -> None:
        """Frames that may have been handed out by a worker that was killed say so; later ones do not."""
        buffer.append(producer.frames(2))
        code = """
from pumpkit.buffers import open_buffer
buffer = open_buffer(url, create=False)
cursor = buffer.cursor("audit")
print(len(cursor.fetch(100, 1 << 30)), flush=True)
input()
"""
        with other(code, home.url) as process:
            assert process.line() == "2"
            process.kill()
        buffer.append(producer.frames(1))
        cursor = buffer.cursor("audit")
        buffer.append(producer.frames(1))
        assert [delivery.redelivered for delivery in cursor.fetch(100, PLENTY)] == [True, True, True, False]
        drain(cursor)
        assert balance(buffer, "audit").redelivered == 9
        cursor.close()

    def test_not_redelivered_after_a_clean_close(self, buffer: Buffer, producer: Producer) -> None:
        """After a clean stop with nothing in hand, nothing is redelivered."""
        buffer.append(producer.frames(2))
        cursor = buffer.cursor("audit")
        deliver(cursor, cursor.fetch(1, PLENTY))
        cursor.close()
        cursor = buffer.cursor("audit")
        assert [delivery.redelivered for delivery in cursor.fetch(100, PLENTY)] == [False]
        cursor.close()

    def test_redelivered_after_closing_with_frames_in_hand(self, buffer: Buffer, producer: Producer) -> None:
        """Frames in hand at the close are redelivered, and only they."""
        buffer.append(producer.frames(3))
        cursor = buffer.cursor("audit")
        deliver(cursor, cursor.fetch(1, PLENTY))
        cursor.fetch(1, PLENTY)
        cursor.close()
        for _ in range(2):  # until a commit passes them
            cursor = buffer.cursor("audit")
            cursor.close()
        cursor = buffer.cursor("audit")
        assert [delivery.redelivered for delivery in cursor.fetch(100, PLENTY)] == [True, False]
        cursor.close()

    # Parts that a sink has taken ----------------------------------------------------------------------------

    def test_accepted_until_a_commit_passes(self, buffer: Buffer, producer: Producer) -> None:
        """Parts are remembered over a crash and until a commit passes them."""
        buffer.append([producer.frame(10), producer.frame(10)])
        cursor = buffer.cursor("audit")
        assert cursor.accepted() == []
        first, second = cursor.fetch(100, PLENTY)
        cursor.accept([Part(second.position, 0, 2), Part(first.position, 0, 4)])
        cursor.accept([Part(first.position, 7, 9)])
        expected = [Part(first.position, 0, 4), Part(first.position, 7, 9), Part(second.position, 0, 2)]
        assert cursor.accepted() == expected
        del cursor  # as a crash would
        gc.collect()
        cursor = buffer.cursor("audit")
        assert cursor.accepted() == expected
        deliver(cursor, cursor.fetch(10, PLENTY))
        assert cursor.accepted() == expected[2:]
        drain(cursor)
        assert cursor.accepted() == []
        cursor.close()

    # Skipping -----------------------------------------------------------------------------------------------

    def test_skip(self, buffer: Buffer, producer: Producer) -> None:
        """Skipping moves ahead and counts the records passed; what was in hand is in hand no longer."""
        buffer.append(producer.frames(4))
        cursor = buffer.cursor("audit")
        positions = [delivery.position for delivery in cursor.fetch(100, PLENTY)]
        cursor.accept([Part(positions[0], 0, 1)])
        assert cursor.skip(positions[1]) == 4
        stats = balance(buffer, "audit")
        assert (stats.position, stats.skipped, stats.lag) == (positions[1], 4, 6)
        assert cursor.accepted() == []
        with pytest.raises(ValueError, match="handed out"):
            cursor.commit(positions[0], Counts(3))
        assert [delivery.position for delivery in cursor.fetch(100, PLENTY)] == positions[2:]
        cursor.close()

    def test_skip_leaves_out_what_the_sink_has_taken(self, buffer: Buffer, producer: Producer) -> None:
        """Accepted parts of frames passed, overlapping ones too, count as delivered; those behind stay remembered."""
        buffer.append(producer.frames(3, records=10))
        cursor = buffer.cursor("audit")
        first, second, third = [delivery.position for delivery in cursor.fetch(100, PLENTY)]
        later = Part(third, 0, 9)
        cursor.accept([Part(first, 0, 4), Part(first, 3, 6), Part(second, 9, 9), later])
        assert cursor.skip(second) == 12
        stats = balance(buffer, "audit")
        assert (stats.delivered, stats.skipped, stats.lag) == (8, 12, 10)
        assert cursor.accepted() == [later]
        assert cursor.skip(third) == 0
        stats = balance(buffer, "audit")
        assert (stats.delivered, stats.skipped, stats.lag) == (18, 12, 0)
        cursor.close()

    def test_skip_goes_neither_back_nor_beyond(self, buffer: Buffer, producer: Producer) -> None:
        """Skipping backwards does nothing, skipping beyond the end stops there."""
        buffer.append(producer.frames(2))
        cursor = buffer.cursor("audit")
        deliveries = cursor.fetch(100, PLENTY)
        deliver(cursor, deliveries[:1])
        assert cursor.skip(deliveries[0].position) == 0
        assert cursor.skip(0) == 0
        assert cursor.skip(deliveries[1].position + 1_000) == 3
        balance(buffer, "audit")
        buffer.append([producer.frame()])
        assert len(cursor.fetch(100, PLENTY)) == 1
        assert balance(buffer, "audit").lag == 3
        cursor.close()

    def test_skip_target(self, buffer: Buffer, producer: Producer) -> None:
        """A pump that alone holds the log is told how far to move for so many bytes; others are told None."""
        frames = producer.frames(10)
        size = len(frames[0])
        buffer.append(frames)
        buffer.register("slow")
        fast = buffer.cursor("fast")
        positions = [delivery.position for delivery in fast.fetch(1_000, PLENTY)]
        fast.commit(positions[7], Counts(24))
        assert buffer.skip_target("slow", size * 3) == positions[2]
        assert buffer.skip_target("slow", size * 100) == positions[7]  # there the other one holds it
        assert buffer.skip_target("fast", size) is None
        slow = buffer.cursor("slow")
        slow.skip(positions[7])
        assert buffer.skip_target("slow", size) is None
        assert buffer.skip_target("slow", size, others=["fast"]) == positions[8]
        with pytest.raises(KeyError):
            buffer.skip_target("nobody", size)
        slow.close()
        fast.close()

    def test_skip_target_of_several(self, buffer: Buffer, producer: Producer) -> None:
        """Pumps that are moved together are told one place, and those that are past it None."""
        frames = producer.frames(10)
        buffer.append(frames)
        for pump in ("one", "two", "three", "required"):
            buffer.register(pump)
        movable = ["one", "two", "three"]
        assert buffer.skip_target("one", len(frames[0]), others=movable) is None  # `required` holds it
        for pump in ("three", "required"):
            cursor = buffer.cursor(pump)
            drain(cursor)
            cursor.close()
        target = buffer.skip_target("one", 2 * len(frames[0]), others=movable)
        assert target is not None
        assert buffer.skip_target("two", 2 * len(frames[0]), others=movable) == target
        assert buffer.skip_target("three", 2 * len(frames[0]), others=movable) is None
        for pump in ("one", "two"):
            cursor = buffer.cursor(pump)
            assert cursor.skip(target) == 6
            cursor.close()
        assert buffer.trim() == 2

    # Pausing ------------------------------------------------------------------------------------------------

    def test_wanted(self, home: Home, buffer: Buffer) -> None:
        """What a person wants of a pump reaches its worker from another process, and stays."""
        cursor = buffer.cursor("audit")
        assert cursor.stats().wanted == "run"
        code = """
from pumpkit.buffers import open_buffer
buffer = open_buffer(url, create=False)
buffer.set_wanted("audit", "pause")
buffer.close()
"""
        with other(code, home.url) as process:
            process.finish()
        assert cursor.stats().wanted == "pause"
        assert buffer.stats().cursors["audit"].wanted == "pause"
        cursor.close()
        buffer.set_wanted("audit", "run")
        assert buffer.stats().cursors["audit"].wanted == "run"
        with pytest.raises(KeyError):
            buffer.set_wanted("nobody", "pause")

    # Dead letters -------------------------------------------------------------------------------------------

    @pytest.fixture
    def dead(self, buffer: Buffer, producer: Producer) -> Iterator[Cursor]:
        """A cursor `audit` with five dead letters; e-4 stands for a bad frame of three records."""
        buffer.append([producer.frame(4), producer.frame(3)])
        cursor = buffer.cursor("audit")
        first, second = cursor.fetch(100, PLENTY)
        cursor.commit(first.position, Counts(dead=4), [letter(f"{c}-{n}", 1) for n, c in enumerate("badc")])
        cursor.commit(second.position, Counts(dead=3), [letter("e-4", second.position, b"\xffbad", records=3)])
        yield cursor
        cursor.close()

    def test_dead_letters_in_order(self, buffer: Buffer, dead: Cursor) -> None:
        """Dead letters come back as they were, by position and id, page by page."""
        letters = buffer.dead_letters("audit")
        assert [one.id for one in letters] == ["a-1", "b-0", "c-3", "d-2", "e-4"]
        assert letters[-1] == letter("e-4", letters[-1].position, b"\xffbad", records=3)
        assert buffer.dead_letters("audit", limit=2) == letters[:2]
        assert buffer.dead_letters("audit", limit=2, after="b-0") == letters[2:4]
        assert buffer.dead_letters("audit", after="e-4") == []
        stats = balance(buffer, "audit")
        assert (stats.dead, stats.dead_letters, stats.dead_bytes) == (7, 5, 8)
        for pump, after in (("nobody", None), ("audit", "x-9")):
            with pytest.raises(KeyError):
                buffer.dead_letters(pump, after=after)

    def test_mark(self, home: Home, buffer: Buffer, dead: Cursor) -> None:
        """Marks are set from another process, some or all, and found by the worker in order."""
        assert dead.marked(10) == []
        code = """
from pumpkit.buffers import open_buffer
buffer = open_buffer(url, create=False)
print(buffer.mark("audit", "replay", ["d-2", "a-1", "a-1", "x-9"]))
buffer.close()
"""
        with other(code, home.url) as process:
            assert process.finish() == "2"
        assert [(one.id, one.mark) for one in dead.marked(10)] == [("a-1", "replay"), ("d-2", "replay")]
        assert [one.id for one in dead.marked(1)] == ["a-1"]
        assert buffer.mark("audit", "purge") == 5
        assert {one.mark for one in dead.marked(10)} == {"purge"}
        assert {one.mark for one in buffer.dead_letters("audit")} == {"purge"}
        with pytest.raises(KeyError):
            buffer.mark("nobody", "replay")

    def test_resolve_replayed(self, buffer: Buffer, dead: Cursor) -> None:
        """Replayed letters are gone, and their records move from dead to delivered."""
        buffer.mark("audit", "replay")
        dead.resolve(["a-1", "e-4", "x-9"], [], [])
        stats = balance(buffer, "audit")
        assert (stats.delivered, stats.dead, stats.dead_letters, stats.dead_bytes) == (4, 3, 3, 3)
        assert [one.id for one in dead.marked(10)] == ["b-0", "c-3", "d-2"]

    def test_resolve_purged(self, buffer: Buffer, dead: Cursor) -> None:
        """Purged letters are gone, and stay counted as dead."""
        dead.resolve([], ["a-1", "e-4"], [])
        stats = balance(buffer, "audit")
        assert (stats.delivered, stats.dead, stats.dead_letters) == (0, 7, 3)

    def test_resolve_failed(self, buffer: Buffer, dead: Cursor) -> None:
        """A letter that failed again replaces its row, and is no longer marked."""
        buffer.mark("audit", "replay", ["a-1", "b-0"])
        again = dead.marked(1)[0]._replace(reason="refused again", attempts=3, record=b"\x81longer")
        dead.resolve([], [], [again])
        assert buffer.dead_letters("audit")[0] == again._replace(mark=None)
        assert [one.id for one in dead.marked(10)] == ["b-0"]
        stats = balance(buffer, "audit")
        assert (stats.dead, stats.dead_letters, stats.dead_bytes) == (7, 5, 14)

    def test_odd_text_in_dead_letters(self, buffer: Buffer, producer: Producer) -> None:
        """A reason with lone surrogates or NUL, as an exception may bring it, is kept readable."""
        buffer.append([producer.frame(1)])
        cursor = buffer.cursor("audit")
        (only,) = cursor.fetch(1, PLENTY)
        cursor.commit(only.position, Counts(dead=1), [letter("a-0", 1)._replace(reason="bad \udcff\0 byte")])
        (kept,) = buffer.dead_letters("audit")
        assert kept.reason.startswith("bad ")
        assert kept.reason.endswith("\0 byte")
        cursor.close()

    # Registering, dropping, renaming ------------------------------------------------------------------------

    def test_start(self, buffer: Buffer, producer: Producer) -> None:
        """A new pump begins at the oldest frame, or only at what comes next."""
        buffer.append(producer.frames(3))
        buffer.register("old")
        buffer.register("new", "newest")
        buffer.append(producer.frames(2))
        assert balance(buffer, "old").lag == 15
        stats = balance(buffer, "new")
        assert (stats.began, stats.lag) == (9, 6)
        for pump, frames in (("old", 5), ("new", 2)):
            cursor = buffer.cursor(pump)
            assert len(drain(cursor)) == frames
            cursor.close()
            balance(buffer, pump)

    def test_start_counts_only_for_new_pumps(self, buffer: Buffer, producer: Producer) -> None:
        """Registering or opening a pump again changes nothing."""
        buffer.append(producer.frames(3))
        buffer.register("audit")
        buffer.register("audit", "newest")
        cursor = buffer.cursor("audit", "newest")
        assert cursor.stats().lag == 9
        cursor.close()

    def test_a_late_pump_begins_at_what_is_left(self, buffer: Buffer, producer: Producer) -> None:
        """A pump that comes after a trim begins at the oldest frame there is, and its ledger too."""
        buffer.append(producer.frames(5))
        cursor = buffer.cursor("audit")
        deliver(cursor, cursor.fetch(6, PLENTY))
        assert buffer.trim() == 2
        buffer.register("late")
        stats = balance(buffer, "late")
        assert (stats.began, stats.lag) == (6, 9)
        drain(cursor)
        cursor.close()
        assert buffer.trim() == 0

    @pytest.mark.parametrize("name", ["", "Audit", "a/b", "../audit", ".audit", "a" * 64, "a\n", "ä"])
    def test_bad_names(self, buffer: Buffer, name: str) -> None:
        """A name that no pump can have is refused where a pump is made, and unknown elsewhere."""
        buffer.register("audit")
        with pytest.raises(ValueError, match="name"):
            buffer.register(name)
        with pytest.raises(ValueError, match="name"):
            buffer.cursor(name)
        with pytest.raises(ValueError, match="name"):
            buffer.rename_cursor("audit", name)
        with pytest.raises(KeyError):
            buffer.set_wanted(name, "run")
        assert list(buffer.stats().cursors) == ["audit"]

    def test_drop(self, home: Home, buffer: Buffer, producer: Producer, dead: Cursor) -> None:
        """A dropped pump is forgotten with its dead letters, and no longer holds the log."""
        buffer.append(producer.frames(3))
        elsewhere = open_buffer(home.url)
        assert elsewhere.stats().cursors["audit"].dead_letters == 5
        with pytest.raises(BufferBusy, match="audit"):
            elsewhere.drop_cursor("audit")
        dead.close()
        fast = buffer.cursor("fast")
        drain(fast)
        fast.close()
        assert buffer.trim() == 2
        elsewhere.drop_cursor("audit")
        assert list(buffer.stats().cursors) == ["fast"]
        assert buffer.trim() == 3
        for unknown in ("audit", "nobody"):
            with pytest.raises(KeyError):
                buffer.drop_cursor(unknown)
        buffer.register("audit")
        assert buffer.dead_letters("audit") == []
        assert elsewhere.stats().cursors["audit"].dead == 0
        elsewhere.close()

    def test_rename(self, home: Home, buffer: Buffer, producer: Producer, dead: Cursor) -> None:
        """A renamed pump keeps its place, its ledger and its dead letters."""
        buffer.append(producer.frames(3))
        buffer.register("other")
        elsewhere = open_buffer(home.url)
        before = elsewhere.stats().cursors["audit"]
        with pytest.raises(BufferBusy, match="audit"):
            buffer.rename_cursor("audit", "trail")
        dead.close()
        with pytest.raises(ValueError, match="other"):
            buffer.rename_cursor("audit", "other")
        with pytest.raises(KeyError):
            buffer.rename_cursor("nobody", "trail")
        buffer.rename_cursor("audit", "trail")
        assert set(elsewhere.stats().cursors) == {"trail", "other"}
        assert elsewhere.stats().cursors["trail"] == before._replace(pump="trail")
        assert len(elsewhere.dead_letters("trail")) == 5
        cursor = elsewhere.cursor("trail")
        assert len(drain(cursor)) == 3
        cursor.close()
        balance(buffer, "trail")
        buffer.register("audit")
        assert balance(buffer, "audit").delivered == 0
        elsewhere.close()

    # Locks --------------------------------------------------------------------------------------------------

    def test_a_cursor_is_held_by_one(self, home: Home, buffer: Buffer) -> None:
        """A cursor is busy while anybody has it, in this process or another; a SIGKILL frees it."""
        cursor = buffer.cursor("audit")
        elsewhere = open_buffer(home.url)
        for one in (buffer, elsewhere):
            with pytest.raises(BufferBusy, match=str(os.getpid())):
                one.cursor("audit")
        cursor.close()
        cursor.close()
        code = """
from pumpkit.buffers import open_buffer
buffer = open_buffer(url, create=False)
cursor = buffer.cursor("audit")
print("mine", flush=True)
input()
"""
        with other(code, home.url) as process:
            assert process.line() == "mine"
            with pytest.raises(BufferBusy, match=str(process.process.pid)):
                buffer.cursor("audit")
            with pytest.raises(BufferBusy):
                buffer.drop_cursor("audit")
            buffer.register("audit")  # needs no lock
            buffer.stats()
            process.kill()
        again = buffer.cursor("audit")
        again.close()
        elsewhere.close()

    def test_a_closed_cursor_is_of_no_use(self, buffer: Buffer, producer: Producer) -> None:
        """A cursor that gave its lock back neither reads nor writes."""
        buffer.append([producer.frame()])
        cursor = buffer.cursor("audit")
        (only,) = cursor.fetch(1, PLENTY)
        cursor.close()
        for use in (
            lambda: cursor.fetch(1, PLENTY),
            lambda: cursor.commit(only.position, Counts(3)),
            lambda: cursor.hold(),
            lambda: cursor.accept([]),
            lambda: cursor.skip(only.position),
            lambda: cursor.resolve([], [], []),
        ):
            with pytest.raises(BufferUnavailable, match="closed"):
                use()

    def test_one_runner(self, home: Home, buffer: Buffer) -> None:
        """A buffer has one runner at a time, which says who it is; a SIGKILL makes room for the next."""
        assert buffer.runner() is None
        lock = buffer.runner_lock({"health": "127.0.0.1:7070"})
        elsewhere = open_buffer(home.url)
        for one in (buffer, elsewhere):
            said = one.runner()
            assert said is not None
            assert said["health"] == "127.0.0.1:7070"
            assert (said["pid"], said["host"]) == (str(os.getpid()), socket.gethostname())
            with pytest.raises(BufferBusy, match=str(os.getpid())):
                one.runner_lock({})
        lock.release()
        lock.release()
        assert elsewhere.runner() is None
        code = """
from pumpkit.buffers import open_buffer
buffer = open_buffer(url, create=False)
lock = buffer.runner_lock({"health": "there"})
print("mine", flush=True)
input()
"""
        with other(code, home.url) as process:
            assert process.line() == "mine"
            for _ in range(3):  # asking must not disturb the lock
                assert (buffer.runner() or {})["health"] == "there"
            with pytest.raises(BufferBusy, match=str(process.process.pid)):
                buffer.runner_lock({})
            process.kill()
        assert buffer.runner() is None
        buffer.runner_lock({}).release()
        elsewhere.close()

    def test_two_runners_race(self, home: Home, buffer: Buffer) -> None:
        """Of runners that start at the same time exactly one gets the lock."""
        code = """
from pumpkit.buffers import open_buffer
from pumpkit.errors import BufferBusy
buffer = open_buffer(url, create=False)
print("ready", flush=True)
input()
try:
    lock = buffer.runner_lock({"name": sys.argv[2]})
    print("runner", flush=True)
except BufferBusy:
    print("busy", flush=True)
input()
"""
        with other(code, home.url, "a") as a, other(code, home.url, "b") as b, other(code, home.url, "c") as c:
            processes = (a, b, c)
            for process in processes:
                assert process.line() == "ready"
            for process in processes:
                assert process.process.stdin is not None
                process.process.stdin.write("\n")
                process.process.stdin.flush()
            answers = [process.line() for process in processes]
            assert sorted(answers) == ["busy", "busy", "runner"]
            winner = "abc"[answers.index("runner")]
            assert (buffer.runner() or {})["name"] == winner

    # Trimming -----------------------------------------------------------------------------------------------

    def test_trim_waits_for_every_pump(self, buffer: Buffer, producer: Producer) -> None:
        """Frames go when every registered cursor has passed them, and not before."""
        buffer.append(producer.frames(6))
        assert buffer.trim() == 0  # nobody is registered
        buffer.register("never-started")
        fast, slow = buffer.cursor("fast"), buffer.cursor("slow")
        drain(fast)
        deliver(slow, slow.fetch(6, PLENTY))
        assert buffer.trim() == 0
        buffer.drop_cursor("never-started")
        assert buffer.trim() == 2
        assert buffer.trim() == 0
        assert buffer.stats().frames == 4
        assert buffer.stats().stored == 18
        drain(slow)
        assert buffer.trim() == 4
        for cursor in (fast, slow):
            cursor.close()
            assert balance(buffer, cursor.pump).delivered == 18

    def test_trim_while_pumps_come_and_go(self, home: Home, buffer: Buffer, producer: Producer) -> None:
        """A pump that is being renamed holds the log at every moment; one being registered gets all or nothing."""
        code = """
from pumpkit.buffers import open_buffer
buffer = open_buffer(url, create=False)
for n in range(150):
    buffer.rename_cursor(f"slow-{n}", f"slow-{n + 1}")
    buffer.register(f"new-{n}")
    buffer.drop_cursor(f"new-{n}")
buffer.close()
"""
        buffer.register("slow-0")
        cursor = buffer.cursor("fast")
        with other(code, home.url) as process:
            while process.process.poll() is None:
                buffer.append([producer.frame(1)])
                drain(cursor)
                assert buffer.trim() == 0
            process.finish()
        cursor.close()
        assert balance(buffer, "slow-150").lag == buffer.stats().stored

    def test_trim_takes_slices(self, buffer: Buffer, producer: Producer) -> None:
        """One call deletes a small slice; called until it returns 0, it deletes all."""
        buffer.append([producer.frame(1) for _ in range(1_300)], timeout=60)
        cursor = buffer.cursor("audit")
        drain(cursor)
        slices = list(itertools.takewhile(bool, iter(buffer.trim, None)))
        assert len(slices) > 1
        assert max(slices) <= 500
        assert sum(slices) == 1_300
        cursor.close()

    def test_positions_are_not_used_again(self, buffer: Buffer, producer: Producer) -> None:
        """After everything was trimmed, new frames are still later than a cursor that has passed all."""
        cursor = buffer.cursor("audit")
        positions = []
        for _ in range(3):
            buffer.append([producer.frame()])
            deliveries = cursor.fetch(10, PLENTY)
            positions += [delivery.position for delivery in deliveries]
            deliver(cursor, deliveries)
            assert buffer.trim() == 1
        assert positions == sorted(set(positions))
        assert len(positions) == 3
        cursor.close()

    def test_stats_beside_everything(self, home: Home, buffer: Buffer) -> None:
        """While others append, drain and trim, every look at the log finds a ledger that balances."""
        code = """
from making import Producer
from pumpkit.buffers import open_buffer
buffer, producer = open_buffer(url), Producer()
while True:
    buffer.append([producer.frame()], timeout=60)
"""
        worker = """
from making import drain
from pumpkit.buffers import open_buffer
buffer = open_buffer(url)
cursor = buffer.cursor("audit")
while True:
    drain(cursor)
    buffer.trim()
"""
        buffer.register("audit")
        with other(code, home.url) as one, other(worker, home.url) as two:
            while balance(buffer, "audit").delivered < 150:
                assert one.process.poll() is None
                assert two.process.poll() is None

    # A buffer that was recreated ----------------------------------------------------------------------------

    def test_recreated_buffer(self, home: Home, producer: Producer) -> None:
        """In a recreated buffer a cursor begins again at the oldest frame, with a new ledger and its dead letters."""
        buffer = open_buffer(home.url)
        buffer.append([producer.frame(4), producer.frame(4)])
        cursor = buffer.cursor("audit")
        first, _ = cursor.fetch(100, PLENTY)
        cursor.commit(first.position, Counts(delivered=3, dead=1), [letter("a-0", 1)])
        assert not cursor.was_reset
        cursor.close()
        buffer.close()
        home.remove()

        buffer, fresh = open_buffer(home.url), Producer()
        frames = fresh.frames(3)
        buffer.append(frames)
        stats = balance(buffer, "audit")  # also before anybody has opened the cursor
        assert (stats.position, stats.began, stats.delivered, stats.dead, stats.lag) == (0, 0, 0, 0, 9)
        assert buffer.trim() == 0
        cursor = buffer.cursor("audit")
        assert cursor.was_reset
        assert drain(cursor) == frames
        stats = balance(buffer, "audit")
        assert (stats.delivered, stats.dead, stats.dead_letters) == (9, 0, 1)
        buffer.mark("audit", "replay")
        cursor.resolve(["a-0"], [], [])  # it stands for nothing in the new ledger
        assert balance(buffer, "audit").delivered == 9
        cursor.close()
        cursor = buffer.cursor("audit")
        assert not cursor.was_reset
        cursor.close()
        buffer.close()

    def test_recreated_under_a_live_cursor(self, home: Home, buffer: Buffer, producer: Producer) -> None:
        """A cursor in use notices a recreated buffer at its next fetch, and begins again."""
        buffer.append(producer.frames(3))
        cursor = buffer.cursor("audit")
        drain(cursor)
        home.remove()
        elsewhere = open_buffer(home.url)
        frames = Producer().frames(2)
        elsewhere.append(frames)
        assert [delivery.frame for delivery in cursor.fetch(100, PLENTY)] == frames
        assert cursor.was_reset
        assert drain(cursor) == frames
        assert balance(elsewhere, "audit").delivered == 6
        cursor.close()
        elsewhere.close()

    def test_recreated_with_frames_in_hand(self, home: Home, buffer: Buffer, producer: Producer) -> None:
        """Frames of the old log in hand can be committed; fetching behind them needs a new cursor."""
        buffer.append(producer.frames(3))
        cursor = buffer.cursor("audit")
        (first,) = cursor.fetch(1, PLENTY)
        home.remove()
        elsewhere = open_buffer(home.url)
        elsewhere.append(Producer().frames(5))
        with pytest.raises(BufferConfigError, match="in hand"):
            cursor.fetch(1, PLENTY, after=first.position)
        deliver(cursor, [first])
        assert len(cursor.fetch(100, PLENTY)) == 5
        assert cursor.was_reset
        assert balance(elsewhere, "audit").lag == 15
        cursor.close()
        elsewhere.close()

    def test_removed_under_a_live_producer(self, home: Home, buffer: Buffer, producer: Producer) -> None:
        """A producer whose buffer was removed makes it again, and learns that the new one does not know it."""
        buffer.append([producer.frame()])
        buffer_id = buffer.stats().buffer_id
        home.remove()
        frame = producer.frame()
        assert buffer.append([frame]) == Gap(0)
        assert buffer.append([frame], accept_gap=True) is None
        stats = buffer.stats()
        assert stats.buffer_id != buffer_id
        assert (stats.stored, stats.lost) == (3, 3)
