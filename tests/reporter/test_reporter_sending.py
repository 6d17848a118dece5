"""How frames reach a buffer that is slow, away, full, wrong, or has forgotten. Time is the test's own."""

import itertools
import os
import threading
import time
from collections import UserDict, deque
from typing import Any

import pytest

from pumpkit import frames
from pumpkit.errors import BufferConfigError, BufferFull, BufferUnavailable
from pumpkit.reporter.sender import Sender
from pumpkit.reporter.settings import Settings
from tests.reporter.conftest import Desk


@pytest.fixture
def desk(log: Any) -> Desk:
    """Return a sender to try out."""
    return Desk(log)


def _numbers(log: Any) -> list[int]:
    return [record["n"] for record in log.records()]


def test_few_records_go_out_after_the_flush_interval(desk: Desk) -> None:
    """A record waits for company, but not longer than flush_interval plus one look."""
    desk.turn()
    desk.record()
    desk.turn(0.1)
    assert desk.log.calls == []
    assert desk.until(lambda: desk.log.calls) <= 0.16
    assert _numbers(desk.log) == [0]


def test_many_records_go_out_at_once(desk: Desk) -> None:
    """A full frame does not wait for the interval; what is left over does."""
    desk.turn()
    desk.record(4_500)
    desk.turn(0.005)
    assert [frames.read_header(frame).total for frame in desk.log.stored] == [2_000, 2_000]
    assert len(desk.queue) == 500
    desk.turn(0.3)
    assert _numbers(desk.log) == list(range(4_500))


def test_what_comes_while_records_are_packed_waits_for_its_own_time(desk: Desk) -> None:
    """Under steady load each interval makes one frame, not a tail of further ones."""

    class Echo(UserDict[str, Any]):
        def keys(self) -> Any:
            desk.queue.append(Echo(n=0))
            return super().keys()

    desk.turn()
    desk.queue.append(Echo(n=0))
    desk.turn(0.3)
    assert [frames.read_header(frame).total for frame in desk.log.stored] == [1]
    assert len(desk.queue) > 0


def test_looks_at_the_queue_come_as_often_as_some_hundred_records(desk: Desk) -> None:
    """They are 200 ms apart at most and 5 ms at least; a look packs some, but only a full or a due frame is sent."""
    assert desk.turn() == 0.2
    desk.record(1_000)
    assert desk.turn(0.05) == pytest.approx(0.05)
    assert len(desk.queue) == 0
    assert desk.log.calls == []
    desk.record(2_000)
    assert desk.turn(0.05) == pytest.approx(0.0125)
    assert _numbers(desk.log) == list(range(2_000))
    pauses = [desk.turn(0.2) for _ in range(8)]
    assert pauses[-1] == 0.2
    assert _numbers(desk.log) == list(range(3_000))


def test_records_that_are_large_all_at_once_hardly_exceed_the_bound(desk: Desk) -> None:
    """A step takes few records until their size is known, however small those before were."""
    desk = Desk(desk.log, buffer_bytes=1 << 20)
    desk.record(3_000)
    desk.until(lambda: desk.sender.idle)
    desk.log.down = BufferUnavailable("no route")
    desk.queue.extend({"data": os.urandom(100_000)} for _ in range(200))
    for _ in range(5):
        desk.turn(0.3)
    assert len(desk.queue) >= 200 - 63


def test_nothing_is_packed_ahead_where_frames_have_no_room(desk: Desk) -> None:
    """What finds `buffer_bytes` reached stays in the queue, whose own bound then holds."""
    desk = Desk(desk.log, buffer_bytes=20_000)
    desk.log.down = BufferUnavailable("no route")
    for _ in range(20):
        desk.queue.extend({"data": os.urandom(100)} for _ in range(200))
        desk.turn(0.3)
    waiting = len(desk.queue)
    desk.record(500)
    desk.turn(0.3)
    assert len(desk.queue) == waiting + 500


def test_a_flush_waits_for_what_was_recorded_before_it_not_for_as_many_records(desk: Desk) -> None:
    """Later records that were rejected settle nothing that is still on its way."""
    desk.record(5)
    desk.log.down = BufferUnavailable("no route")
    desk.turn(0.3)
    desk.turn(0.3)
    target = desk.sender.taken
    desk.queue.extend({"bad": object()} for _ in range(5))
    for _ in range(3):
        desk.turn(0.3, hurry=True)
    assert (desk.sender.taken, desk.sender.settled) == (10, 0)
    desk.log.down = None
    desk.until(lambda: desk.sender.settled >= target)
    assert _numbers(desk.log) == list(range(5))


def test_an_away_buffer_is_tried_again_at_growing_pauses_with_the_same_bytes(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """Pauses grow to 5 s; the bytes of a frame never change; one line tells of the outage and one of its end."""
    desk.log.down = BufferUnavailable("no route")
    desk.turn()
    desk.record()
    times = []
    while len(times) < 12:
        before = len(desk.log.calls)
        desk.until(lambda before=before: len(desk.log.calls) > before)  # type: ignore[misc]
        times.append(desk.now)
    pauses = [b - a for a, b in itertools.pairwise(times)]
    assert pauses[0] < 0.25
    assert 2.4 < max(pauses) < 5.3
    assert {call[0] for call in desk.log.calls} == {desk.log.calls[0][0]}
    assert desk.sender.link.trouble == "the buffer is away: no route"
    desk.log.down = None
    desk.until(lambda: desk.sender.idle)
    assert desk.sender.link.trouble is None
    assert _numbers(desk.log) == [0]
    assert len(caplog.messages) == 2
    assert "the buffer is away: no route" in caplog.messages[0]
    assert "takes records again" in caplog.messages[1]
    assert desk.opened == 5  # a new connection after every third failure


def test_records_of_an_outage_fill_frames(desk: Desk) -> None:
    """While the buffer is away frames are made by size only, so that a long outage is not a heap of tiny frames."""
    desk.log.down = BufferUnavailable("away")
    desk.turn()
    for _ in range(300):
        desk.record(10)
        desk.turn(0.3)
    assert len(desk.sender.pending) == 2
    desk.log.down = None
    desk.until(lambda: desk.sender.idle)
    assert _numbers(desk.log) == list(range(3_000))


def test_a_misconfigured_buffer_is_tried_slowly_and_complained_of_once(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """A BufferConfigError is retried about every 30 s, because a person has to mend it."""
    desk.log.down = BufferConfigError("not a buffer file")
    desk.turn()
    desk.record()
    desk.until(lambda: len(desk.log.calls) == 1)
    assert 15 <= desk.until(lambda: len(desk.log.calls) == 2) <= 30.1
    desk.until(lambda: len(desk.log.calls) == 6)
    assert len(caplog.messages) == 1
    assert "cannot work as configured: not a buffer file" in caplog.text


def test_every_change_of_trouble_is_one_line(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """Away, full, and an error of the driver's own are told apart."""
    errors = [BufferUnavailable("a"), BufferUnavailable("b"), BufferFull("c"), OSError("d"), OSError("e")]
    desk.log.faults.extend(errors)
    desk.turn()
    desk.record()
    desk.until(lambda: desk.sender.idle)
    begins = [message.split(":")[0] for message in caplog.messages]
    assert begins[:3] == ["the buffer is away", "the buffer is full", "the buffer raised OSError"]
    assert len(begins) == 4


@pytest.mark.parametrize("error", [BufferUnavailable("x"), TimeoutError(), ValueError("a bug")])
def test_a_lost_answer_doubles_nothing(desk: Desk, error: Exception) -> None:
    """A log that stored and then failed gets the same frame again, and knows it."""
    desk.log.faults.extend([("lost", error)] * 3)
    for _ in range(3):
        desk.record(10)
        desk.until(lambda: desk.sender.idle)
    assert _numbers(desk.log) == list(range(30))
    assert desk.sender.confirmed == 30


def test_what_the_log_misses_is_sent_again_while_it_is_held(log: Any) -> None:
    """A log that answers Gap gets the frames it has not seen, from those in memory."""
    desk = Desk(log, records_buffer_size=20)
    desk.log.down = BufferUnavailable("away")
    desk.turn()
    desk.record(20)
    desk.turn(0.3)
    desk.record(20)
    desk.turn(0.3)
    assert len(desk.sender.pending) == 2
    producer = desk.sender.producer
    desk.log.down = None
    log.stored.append(desk.sender.pending[0].data)  # it has the first already, by an append whose answer was lost
    log.next_seq[producer] = 20
    desk.until(lambda: desk.sender.idle)
    assert _numbers(log) == list(range(40))
    assert log.lost == 0


def test_what_the_log_has_lost_for_good_is_told_and_passed(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """A recreated log has lost confirmed records; the sender says how many, and goes on."""
    desk.record(30)
    desk.turn(hurry=True)
    desk.log.stored.clear()
    desk.log.next_seq.clear()
    desk.log.faults.extend([None, OSError("while the gap is accepted")])
    desk.record(5)
    desk.turn(hurry=True)
    desk.until(lambda: desk.sender.idle)
    assert desk.log.lost == 30
    assert _numbers(desk.log) == [30, 31, 32, 33, 34]
    assert "lost 30 records that it had confirmed" in caplog.messages[0]


def test_packing_stops_at_the_bound_of_bytes(log: Any) -> None:
    """With the buffer away, frames up to buffer_bytes are kept, with room for one more; other records stay queued."""
    desk = Desk(log, buffer_bytes=20_000, records_buffer_size=1_000)
    log.down = BufferUnavailable("away")
    for _ in range(100):
        desk.record(500)
        desk.turn(0.05)
    sender = desk.sender
    assert 15_000 <= sender.pending_bytes <= 20_000
    assert len(desk.queue) > 30_000
    assert sender.in_memory == 50_000
    log.down = None
    desk.until(lambda: sender.idle)
    assert _numbers(log) == list(range(50_000))
    assert sender.pending_bytes == 0


def test_an_append_carries_several_frames_but_not_all(desk: Desk) -> None:
    """After an outage frames go out some at a time, in order."""
    desk.log.down = BufferUnavailable("away")
    for _ in range(40):
        desk.record(2_000)
        desk.turn()
    desk.log.down = None
    desk.log.calls.clear()
    desk.until(lambda: desk.sender.idle)
    assert [len(call) for call in desk.log.calls] == [16, 16, 8]
    assert _numbers(desk.log) == list(range(80_000))


def test_drops_are_told_though_no_record_follows(desk: Desk) -> None:
    """A frame without records carries new totals within the flush interval, once."""
    desk.record()
    desk.turn(hurry=True)
    desk.sender.full.add()
    desk.turn(0.01)
    assert desk.log.total_drops() == {}
    desk.turn(0.3)
    assert desk.log.total_drops() == {"full": 1}
    calls = len(desk.log.calls)
    desk.turn(10)
    assert len(desk.log.calls) == calls


def test_dropping_is_one_line_when_it_begins_and_one_when_it_is_over(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """However many records are dropped, two lines are logged."""
    for _ in range(50):
        desk.sender.full.add()
        desk.turn(1.0)
    desk.turn(29.0)
    assert len(caplog.messages) == 1
    assert "more than 10000 records wait" in caplog.messages[0]
    desk.turn(2.0)
    desk.turn(100.0)
    assert len(caplog.messages) == 2
    assert "50 were so far" in caplog.messages[1]


def test_a_given_buffer_is_left_open_and_an_opened_one_is_closed(log: Any) -> None:
    """Whoever opened a connection closes it; an error in closing is logged and passed."""
    given = Desk(log, buffer=log)
    opened = Desk(log, buffer="sqlite:////nowhere")
    for desk in (given, opened):
        desk.record()
        desk.turn(hurry=True)
        desk.sender.finish(1.0)
    assert log.closed == 1


def test_records_dropped_under_the_threads_hands_are_not_counted_as_taken(log: Any) -> None:
    """An application thread may drop the oldest record between two steps of the thread."""

    class Shrinking(deque[Any]):
        shorter = 2

        def __len__(self) -> int:
            return super().__len__() + self.shorter

        def popleft(self) -> Any:
            try:
                return super().popleft()
            except IndexError:
                self.shorter = 0
                raise

    queue = Shrinking([{"n": 0}, {"n": 1}])
    sender = Sender(queue, Settings(overflow="drop-oldest").checked(), lambda timeout: log)
    sender.turn(hurry=True)
    assert (sender.taken, sender.settled, sender.in_memory) == (2, 2, 0)


class _Hanging:
    """A log that does not answer in time."""

    may_forget = False

    def __init__(self) -> None:
        self.callers: list[threading.Thread] = []

    def append(self, *_: Any, **__: Any) -> None:
        self.callers.append(threading.current_thread())
        time.sleep(0.02)
        raise BufferUnavailable("hangs")

    def close(self) -> None:
        pass


def test_the_caller_of_close_sends_nothing_after_the_deadline(make_reporter: Any, wait_until: Any) -> None:
    """What the reporter's thread could not send until the deadline is left: the caller does not begin again with it."""
    log = _Hanging()
    reporter = make_reporter(buffer=log)
    reporter.record({"n": 1})
    wait_until(lambda: log.callers)
    assert reporter.close(timeout=0.1).pending == 1
    assert threading.main_thread() not in log.callers
