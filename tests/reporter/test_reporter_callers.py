"""What a reporter is made of and who may call it: signal handlers, finalizers, log handlers, forgotten references."""

import gc
import logging
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from pumpkit import Reporter
from pumpkit.errors import BufferUnavailable
from pumpkit.reporter.reentrant import Bell, Tally

Make = Callable[..., Reporter]


def _numbers(log: Any) -> list[int]:
    return [record["n"] for record in log.records()]


# Primitives -------------------------------------------------------------------------------------------------


def test_a_tally_loses_no_count_of_many_threads() -> None:
    """Counts of eight threads and a reader all arrive."""
    tally = Tally()

    def add() -> None:
        for _ in range(20_000):
            tally.add()

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    seen = [tally.read() for _ in range(1_000)]
    for thread in threads:
        thread.join()
    assert seen == sorted(seen)
    assert tally.read() == tally.read() == 160_000


def test_a_tally_can_be_read_while_it_is_read() -> None:
    """A signal handler that asks for the count changes nothing for whom it interrupted."""
    tally = Tally()
    for _ in range(5):
        tally.add()
    seen: list[int] = []

    def interrupted(frame: object, event: str, argument: object) -> None:
        sys.setprofile(None)
        seen.append(tally.read())

    sys.setprofile(interrupted)
    seen.append(tally.read())
    sys.setprofile(None)
    assert [*seen, tally.read()] == [5, 5, 5]


def test_a_bell_that_was_rung_before_ends_the_next_wait_only() -> None:
    """Ringing twice is ringing once."""
    bell = Bell()
    bell.ring()
    bell.ring()
    bell.wait(60)
    began = time.monotonic()
    bell.wait(0.01)
    assert time.monotonic() - began >= 0.01


# Callers in unusual places ----------------------------------------------------------------------------------


def test_a_signal_handler_may_record_and_flush(make_reporter: Make, log: Any) -> None:
    """A handler that interrupts record, flush or itself deadlocks nothing and loses nothing."""
    reporter = make_reporter(records_buffer_size=100_000, exit_timeout=30.0)
    handled = depth = 0

    def handle(number: int, frame: object) -> None:
        nonlocal handled, depth
        handled += 1
        depth += 1
        reporter.record({"n": -1})
        if depth < 4:
            reporter.flush(0.01)
        depth -= 1

    previous = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        for number in range(300):
            for _ in range(20):
                reporter.record({"n": number})
            reporter.flush(30)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    result = reporter.close()
    assert handled > 10
    assert result == (6_000 + handled, 0, 0)
    assert len(set(log.ids())) == result.sent


def test_a_finalizer_may_record(make_reporter: Make, log: Any) -> None:
    """Objects that record when they are collected, also by the reporter's own thread."""
    reporter = make_reporter(exit_timeout=30.0)

    class Doomed(dict[str, Any]):
        def __del__(self) -> None:
            reporter.record({"n": 1})

    for _ in range(1_000):
        cycle = Doomed(n=0)
        reporter.record(cycle)
        del cycle
    gc.collect()
    reporter.flush(30)
    gc.collect()
    reporter.close()
    assert sorted(_numbers(log)) == [0] * 1_000 + [1] * 1_000


def test_a_log_handler_that_records_our_own_lines_does_not_feed_itself(
    make_reporter: Make, log: Any, wait_until: Any, stall: Any
) -> None:
    """A handler on the root logger gets our few lines too, and that is the end of it."""
    reporter = make_reporter(records_buffer_size=50)

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            reporter.record({"n": record.levelno, "message": record.getMessage()})
            if record.levelno >= logging.CRITICAL:
                reporter.flush(1)

    handler = Handler()
    logging.getLogger().addHandler(handler)
    try:
        stall(reporter)
        log.down = BufferUnavailable("away")
        for _ in range(200):
            logging.getLogger("app").warning("something")
        log.gate.set()
        wait_until(lambda: reporter.stats().trouble)
        log.down = None
        reporter.flush(30)
        reporter.flush(30)
    finally:
        logging.getLogger().removeHandler(handler)
    ours = [record["message"] for record in log.records() if "something" not in record.get("message", "something")]
    assert len(ours) <= 4
    assert reporter.stats().drops["full"] >= 150


# Memory -----------------------------------------------------------------------------------------------------


def test_reporters_are_not_kept_alive(log: Any, wait_until: Any) -> None:
    """Unused, closed, and even running reporters are collected; a running one sends what it has first."""
    unused = Reporter(log)
    closed = Reporter(log)
    closed.record({"n": 1})
    closed.close()
    running = Reporter(log, flush_interval=60)
    for _ in range(2):
        running.record({"n": 2})
    threads = [thread for thread in (running._outbox._thread,) if thread]
    references = [weakref.ref(one) for one in (unused, closed, running)]
    outboxes = [weakref.ref(one._outbox) for one in (unused, closed, running)]
    del unused, closed, running
    gc.collect()
    assert [reference() for reference in references] == [None] * 3
    wait_until(lambda: not threads[0].is_alive())
    gc.collect()
    assert [reference() for reference in outboxes] == [None] * 3
    assert _numbers(log) == [1, 2, 2]


def test_a_subclass_may_have_a_record_method_of_its_own(log: Any) -> None:
    """It is called, and what it hands on is recorded."""

    class Mine(Reporter):
        def record(self, record: object) -> None:
            assert isinstance(record, dict)
            super().record({**record, "tenant": "t1"})

    with Mine(log) as reporter:
        reporter.record({"n": 1})
        reporter.record({"n": 2})
    assert log.records() == [{"n": 1, "tenant": "t1"}, {"n": 2, "tenant": "t1"}]


def test_a_record_method_keeps_its_reporter(log: Any) -> None:
    """`record = Reporter(...).record` is enough to hold on to."""
    record = Reporter(log, flush_interval=0.01).record
    gc.collect()
    record({"n": 1})
    reporter: Reporter = vars(record)["reporter"]
    assert reporter.close() == (1, 0, 0)
