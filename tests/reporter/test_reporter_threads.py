"""The reporter in one process: its bounds, its thread, flush and close."""

import ctypes
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from pumpkit import Reporter
from pumpkit.errors import BufferUnavailable

Make = Callable[..., Reporter]


def _numbers(log: Any) -> list[int]:
    return [record["n"] for record in log.records()]


# The ordinary way -------------------------------------------------------------------------------------------


def test_nothing_is_started_before_the_first_record(make_reporter: Make, log: Any) -> None:
    """Making a reporter starts no thread and opens nothing; closing it unused neither."""
    before = threading.active_count()
    reporter = make_reporter()
    assert threading.active_count() == before
    assert reporter.close() == (0, 0, 0)
    assert log.calls == []


def test_records_of_many_threads_arrive_in_the_order_of_each(make_reporter: Make, log: Any) -> None:
    """Four threads that begin together lose nothing, and each one's records keep their order."""
    reporter = make_reporter(records_buffer_size=200_000, exit_timeout=30.0)
    barrier = threading.Barrier(4)

    def work(name: int) -> None:
        barrier.wait()
        for number in range(5_000):
            reporter.record({"n": number, "by": name})

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reporter.close() == (20_000, 0, 0)
    for name in range(4):
        assert [record["n"] for record in log.records() if record["by"] == name] == list(range(5_000))
    assert len(set(log.ids())) == 20_000


def test_a_queue_that_is_half_full_wakes_the_thread(
    make_reporter: Make, log: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looks are rare, so a burst does not wait for the next one, again and again; nothing is dropped."""
    monkeypatch.setattr("pumpkit.reporter.sender._LONGEST_PAUSE", 1200)
    reporter = make_reporter(records_buffer_size=100, flush_interval=1200)
    reporter.record({"n": -1})
    reporter.flush()
    for burst in range(5):
        for number in range(51):
            reporter.record({"n": number})
        wait_until(lambda burst=burst: len(log.records()) >= 51 * burst, "the burst before")
        wait_until(lambda: not reporter._outbox.queue, "the thread")
    assert reporter.flush().dropped == 0


def test_the_context_manager_sends_everything(log: Any) -> None:
    """Leaving the block waits for what was recorded in it."""
    with Reporter(log, flush_interval=60) as reporter:
        reporter.record({"n": 1})
    assert _numbers(log) == [1]


def test_a_disabled_reporter_does_nothing(log: Any) -> None:
    """enabled=False takes records and keeps none; also by a method taken from the class."""
    reporter = Reporter(log, enabled=False)
    reporter.record({"n": 1})
    Reporter.record(reporter, {"n": 2})
    assert reporter.flush() == reporter.close() == (0, 0, 0)
    assert log.calls == []


# Bounds -----------------------------------------------------------------------------------------------------


def test_drop_newest_keeps_the_first(make_reporter: Make, log: Any, stall: Any) -> None:
    """A full queue drops what comes, counts it, and the frames tell of it."""
    reporter = make_reporter(records_buffer_size=10)
    stall(reporter)
    for number in range(25):
        reporter.record({"n": number})
    assert reporter.stats().drops == {"full": 15}
    log.gate.set()
    assert reporter.close() == (11, 0, 15)
    assert _numbers(log) == [-1, *range(10)]
    assert log.total_drops() == {"full": 15}


def test_drop_oldest_keeps_the_last(make_reporter: Make, log: Any, stall: Any) -> None:
    """A full queue drops what waits longest, and counts it."""
    reporter = make_reporter(records_buffer_size=10, overflow="drop-oldest")
    stall(reporter)
    for number in range(25):
        reporter.record({"n": number})
    log.gate.set()
    assert reporter.close() == (11, 0, 15)
    assert _numbers(log) == [-1, *range(15, 25)]
    assert log.total_drops() == {"full": 15}


def test_block_waits_for_room(make_reporter: Make, log: Any, stall: Any) -> None:
    """A caller that waits loses nothing when room comes in time."""
    reporter = make_reporter(records_buffer_size=10, overflow="block", block_timeout=30.0)
    stall(reporter)
    for number in range(10):
        reporter.record({"n": number})
    threading.Timer(0.05, log.gate.set).start()
    reporter.record({"n": 10})
    assert reporter.close() == (12, 0, 0)
    assert _numbers(log) == [-1, *range(11)]


def test_block_drops_after_its_timeout(make_reporter: Make, log: Any, stall: Any) -> None:
    """A caller that waited in vain goes on, and the record is counted."""
    reporter = make_reporter(records_buffer_size=2, overflow="block", block_timeout=0.01)
    stall(reporter)
    for number in range(4):
        reporter.record({"n": number})
    assert reporter.stats().drops == {"full": 2}
    log.gate.set()
    reporter.close()
    assert _numbers(log) == [-1, 0, 1]


@pytest.mark.parametrize("overflow", ["drop-newest", "drop-oldest", "block"])
def test_the_ledger_balances_when_threads_overflow_the_queue(make_reporter: Make, log: Any, overflow: str) -> None:
    """Eight threads into a queue of ten: each record is either in the log or counted."""
    reporter = make_reporter(records_buffer_size=10, overflow=overflow, block_timeout=0.001, exit_timeout=30.0)

    def work() -> None:
        for number in range(2_000):
            reporter.record({"n": number})

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    result = reporter.close()
    assert result.sent + result.dropped == 16_000
    assert result.pending == 0
    assert len(log.records()) == len(set(log.ids())) == result.sent
    assert log.total_drops().get("full", 0) == result.dropped


def test_memory_is_bounded_by_records_and_by_bytes_while_the_buffer_is_away(
    make_reporter: Make, log: Any, wait_until: Any
) -> None:
    """Above both bounds records are dropped as full; when the buffer is back, all others arrive."""
    log.down = BufferUnavailable("away")
    reporter = make_reporter(records_buffer_size=1_000, buffer_bytes=10_000, exit_timeout=30.0)
    recorded = 0
    while reporter.stats().drops.get("full", 0) < 500:
        reporter.record({"n": recorded})
        recorded += 1
        time.sleep(0.00001)
    stats = reporter.stats()
    assert 7_500 <= stats.frame_bytes < 10_000
    assert stats.trouble == "the buffer is away: away"
    log.down = None
    result = reporter.close()
    assert result.pending == 0
    assert result.sent + result.dropped == recorded
    assert len(log.records()) == result.sent
    assert log.total_drops() == {"full": result.dropped}


# flush, close, the thread -----------------------------------------------------------------------------------


def test_flush_waits_for_more_than_one_append(make_reporter: Make, log: Any) -> None:
    """A backlog of many frames is in the log when flush returns."""
    reporter = make_reporter(flush_interval=60, records_buffer_size=100_000)
    for number in range(70_000):
        reporter.record({"n": number})
    assert reporter.flush(60) == (70_000, 0, 0)
    assert len(log.records()) == 70_000


@pytest.mark.parametrize("starting", [False, True], ids=["", "another-caller-is-starting-the-thread"])
def test_flush_does_not_wait_for_what_comes_after_it(make_reporter: Make, log: Any, starting: bool) -> None:
    """Another thread that goes on recording does not keep a flush from ending, whoever does the sending."""
    log.pause = 0.01
    reporter = make_reporter(flush_interval=60, records_buffer_size=1_000_000, exit_timeout=30.0)
    if starting:
        reporter._outbox._starting.acquire()
    going = True

    def noise() -> None:
        while going:
            reporter.record({"n": 0})
            time.sleep(0.0001)

    thread = threading.Thread(target=noise, daemon=True)
    thread.start()
    for number in range(1, 10):
        reporter.record({"n": number})
        reporter.flush(600)
        assert number in _numbers(log)
    going = False
    thread.join()


def test_flush_obeys_its_timeout(make_reporter: Make, log: Any, stall: Any) -> None:
    """With a buffer that hangs, flush says what is pending; without anything recorded it returns at once."""
    reporter = make_reporter()
    assert reporter.flush(0) == (0, 0, 0)
    stall(reporter)
    assert reporter.flush(0.05) == (0, 1, 0)
    log.gate.set()
    assert reporter.flush(30) == (1, 0, 0)


def test_flush_does_not_wait_for_the_back_off(
    make_reporter: Make, log: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flush makes an attempt at once, though the next one was to come much later."""
    monkeypatch.setattr("pumpkit.reporter.link._FIRST_RETRY", 1200)
    monkeypatch.setattr("pumpkit.reporter.link._LONGEST_RETRY", 1200)
    log.down = BufferUnavailable("away")
    reporter = make_reporter()
    reporter.record({"n": 1})
    wait_until(lambda: reporter.stats().trouble)
    log.down = None
    assert reporter.flush(600) == (1, 0, 0)
    assert len(log.calls) == 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_thread_is_started_again(make_reporter: Make, log: Any, wait_until: Any) -> None:
    """A thread killed from outside loses nothing and hangs nobody: a flush or a full queue starts another."""
    reporter = make_reporter(records_buffer_size=5)
    reporter.record({"n": 0})
    reporter.flush(30)
    for number in (1, 2):
        thread = reporter._outbox._thread
        assert thread is not None
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))
        reporter._outbox._bell.ring()
        wait_until(lambda thread=thread: not thread.is_alive(), "the thread to die")
        reporter.record({"n": number})
        if number == 1:
            reporter.flush(30)
        else:
            while reporter._outbox._thread is thread:
                reporter.record({"n": number})
            wait_until(lambda: not reporter._outbox.queue)
    assert reporter.close().pending == 0
    assert sorted(set(_numbers(log))) == [0, 1, 2]


def test_a_close_that_comes_while_the_thread_is_starting_is_not_undone(
    make_reporter: Make, log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first record and a close may be under way at once; afterwards the reporter is closed."""
    start = threading.Thread.start
    reporter = make_reporter()

    def start_late(thread: threading.Thread) -> None:
        start(thread)
        if thread.name == "pumpkit-reporter":
            reporter.close()

    monkeypatch.setattr(threading.Thread, "start", start_late)
    for number in range(3):
        reporter.record({"n": number})
    assert reporter.stats().drops == {"unsent": 2}


def test_without_threads_a_flush_sends_by_itself(
    make_reporter: Make, log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no thread can be started records wait in memory, and flush and close send them."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    reporter = make_reporter(records_buffer_size=3)
    for number in range(5):
        reporter.record({"n": number})
    assert reporter.flush(30) == (3, 0, 2)
    reporter.record({"n": 5})
    assert reporter.close() == (4, 0, 2)
    assert _numbers(log) == [0, 1, 2, 5]
    assert log.total_drops() == {"full": 2}


def test_records_after_close_are_counted_as_unsent(make_reporter: Make, log: Any) -> None:
    """After close, record neither raises nor keeps anything, and close may be repeated."""
    reporter = make_reporter()
    reporter.record({"n": 1})
    assert reporter.close() == (1, 0, 0)
    reporter.record({"n": 2})
    reporter.record({"n": 3})
    assert reporter.stats().drops == {"unsent": 2}
    assert reporter.close() == reporter.flush() == (1, 0, 2)
    assert _numbers(log) == [1]


def test_a_flush_after_a_close_that_left_something_tries_again(make_reporter: Make, log: Any) -> None:
    """Without starting a thread: the reporter stays closed."""
    log.down = BufferUnavailable("away")
    reporter = make_reporter()
    reporter.record({"n": 1})
    assert reporter.close(0) == (0, 1, 0)
    threads = threading.active_count()
    log.down = None
    assert reporter.flush(30) == (1, 0, 0)
    assert threading.active_count() == threads
    assert _numbers(log) == [1]


def test_records_that_come_while_closing_are_told_to_the_log(
    make_reporter: Make, log: Any, wait_until: Any, stall: Any
) -> None:
    """What is refused during a close is in the last frame's drops."""
    reporter = make_reporter(exit_timeout=30.0)
    stall(reporter)
    closing = threading.Thread(target=reporter.close)
    closing.start()
    wait_until(lambda: reporter._outbox.limit == 0)
    reporter.record({"n": 1})
    log.gate.set()
    closing.join()
    assert log.total_drops() == {"unsent": 1}


def test_close_obeys_its_timeout_and_says_what_it_left(
    make_reporter: Make, log: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """With the buffer away a close ends in time, and one line gives the counts."""
    log.down = BufferUnavailable("no route")
    reporter = make_reporter()
    reporter.record({"n": 1})
    assert reporter.close(0.05) == (0, 1, 0)
    lines = [message for message in caplog.messages if message.startswith("closed")]
    assert len(lines) == 1
    assert "1 records could not be sent" in lines[0]
    assert "no route" in lines[0]


def test_a_fault_of_ours_does_not_end_the_thread(
    make_reporter: Make, log: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An unexpected exception while sending is logged, and the next turn goes on."""
    monkeypatch.setattr("pumpkit.reporter.outbox._AGAIN", 0.01)
    reporter = make_reporter()
    turn = reporter._outbox.sender.turn
    turns = iter([ZeroDivisionError("bug")])

    def once(hurry: bool, timeout: float) -> float:
        for error in turns:
            raise error
        return turn(hurry, timeout)

    monkeypatch.setattr(reporter._outbox.sender, "turn", once)
    reporter.record({"n": 1})
    assert reporter.flush(30) == (1, 0, 0)
    assert "failed unexpectedly" in caplog.text
