"""Records on their way through a buffer that fails: a reporter, a pump, and a check of what became of each record."""

import contextlib
import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from pumpkit import Reporter
from pumpkit.buffers import open_buffer
from pumpkit.buffers.base import BufferStats, Counts, Cursor
from pumpkit.errors import BufferError, BufferUnavailable
from pumpkit.frames import decode
from pumpkit.ids import record_ids

#: Seconds that a test waits for something that normally takes a moment.
PATIENCE = 60.0

#: Records that are recorded in one go, and seconds until the next ones.
_BURST = 20
_PACE = 0.005

log = logging.getLogger(__name__)


def until(true: Callable[[], Any], what: str) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"waited {PATIENCE:.0f} s for {what}"
        time.sleep(0.02)


class Found(NamedTuple):
    """What became of the records, each set by their numbers."""

    lost: set[int]  # recorded, and delivered never
    forgotten: set[int]  # recorded, and not in the log
    doubled: set[int]  # more than once in the log
    unexpected: set[int]  # delivered or stored and never recorded, or under two ids
    again: set[int]  # delivered more than once, which a sink recognises by the id
    recovered: int  # times that the reporter sent one again after it had been confirmed
    dropped: int  # by the reporter, counted


def assert_all_is_well(found: Found) -> None:
    """Check that everything is in the log once, and was delivered: what is promised where nothing may be lost."""
    assert (found.lost, found.forgotten, found.doubled, found.unexpected) == (set(), set(), set(), set()), found


class Flow:
    """A reporter into the buffer at `url`, and a pump that reads it by its own connection, both in this process."""

    def __init__(self, url: str, *, pump_url: str = "", **options: Any) -> None:
        self.url = pump_url or url
        self.reporter = Reporter(url, **{"flush_interval": 0.02, **options})
        self.recorded = 0
        #: Id and number of each record, as it was delivered.
        self.arrived: list[tuple[str, int]] = []
        #: What the pump met with.
        self.troubles: list[str] = []
        self._ended = threading.Event()
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    # Records ------------------------------------------------------------------------------------------------------

    def record(self, number: int, noise: int = 0) -> None:
        """Record so many records, at some thousand a second; `noise` bytes in each resist compression."""
        for first in range(self.recorded, self.recorded + number, _BURST):
            last = min(first + _BURST, self.recorded + number)
            for n in range(first, last):
                self.reporter.record({"n": n, "noise": random.randbytes(noise)})
            time.sleep(_PACE)
        self.recorded += number

    @contextlib.contextmanager
    def load(self) -> Iterator[None]:
        """Record in the background for as long as the block lasts."""
        ended = threading.Event()

        def record() -> None:
            while not ended.is_set():
                self.record(_BURST)

        thread = threading.Thread(target=record)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def flush(self) -> None:
        """Wait until everything is confirmed."""
        until(lambda: self.reporter.flush(1.0).pending == 0, f"the buffer; {self.reporter.stats()}")

    # The pump -----------------------------------------------------------------------------------------------------

    def pump(self) -> "Flow":
        """Begin to deliver."""
        self._threads.append(threading.Thread(target=self._pump))
        self._threads[-1].start()
        return self

    def _pump(self) -> None:
        while not self._stopped.is_set():
            try:
                with self._cursor("pump") as cursor:
                    while not self._stopped.is_set():
                        self._turn(cursor)
            except BufferError as error:  # a worker would leave, and the next one begin
                self._met(error)

    @contextlib.contextmanager
    def _cursor(self, name: str) -> Iterator[Cursor]:
        with contextlib.closing(open_buffer(self.url)) as buffer, contextlib.closing(buffer.cursor(name)) as cursor:
            yield cursor

    def _turn(self, cursor: Cursor) -> None:
        try:
            deliveries = cursor.fetch(1_000, 1 << 20)
            for delivery in deliveries:
                self.arrived += records_of(delivery.frame)
            if deliveries:
                total = sum(delivery.total for delivery in deliveries)
                again = sum(delivery.total for delivery in deliveries if delivery.redelivered)
                self._commit(cursor, deliveries[-1].position, Counts(total, redelivered=again))
        except BufferUnavailable as error:
            self._met(error)
        else:
            self._stopped.wait(0.0 if deliveries else 0.01)

    def _commit(self, cursor: Cursor, through: int, counts: Counts) -> None:
        while not self._stopped.is_set():
            try:
                return cursor.commit(through, counts)
            except BufferUnavailable as error:
                self._met(error)
        return None

    def _met(self, error: BufferError) -> None:
        self.troubles.append(f"{type(error).__name__}: {error}")
        log.info("the pump met %s", self.troubles[-1])
        self._stopped.wait(0.05)

    # What became of them ------------------------------------------------------------------------------------------

    def stats(self) -> BufferStats:
        """Return the state of the log."""
        with contextlib.closing(open_buffer(self.url)) as buffer:
            return buffer.stats()

    def in_log(self) -> list[tuple[str, int]]:
        """Return id and number of each record in the log, as nobody trims it, by a pump of its own."""
        with self._cursor("checker") as cursor:
            return [record for delivery in cursor.fetch(1 << 40, 1 << 40) for record in records_of(delivery.frame)]

    def wait_for_pump(self) -> None:
        """Wait until the pump has delivered everything."""

        def done() -> bool:
            cursor = self.stats().cursors.get("pump")  # it may have to be registered anew
            return cursor is not None and cursor.lag == 0

        until(done, f"the pump; {self.troubles[-5:]}")

    def found(self) -> Found:
        """Wait until everything is confirmed and delivered; return what became of it."""
        self.record(1)  # whose answer says what the buffer has forgotten a moment ago, if anything
        self.flush()
        self.wait_for_pump()
        self.stop()
        stored, delivered = self.in_log(), self.arrived
        result = self.reporter.stats()
        dropped = sum(result.drops.values())
        assert self.recorded == result.sent + dropped + result.pending
        wanted = set(range(self.recorded))
        return Found(
            lost=wanted - numbers(delivered),
            forgotten=wanted - numbers(stored),
            doubled=repeated(stored),
            unexpected=(numbers(stored) | numbers(delivered)) - wanted | under_two_ids(stored + delivered),
            again=repeated(delivered),
            recovered=result.resent,
            dropped=dropped,
        )

    def stop(self) -> None:
        """Stop the pump."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def close(self) -> None:
        """Stop everything."""
        self.stop()
        self.reporter.close(0.5)


def records_of(frame: bytes) -> list[tuple[str, int]]:
    """Return id and number of each record of a frame."""
    content = decode(frame)
    ids = record_ids(content.header.producer, content.header.first, content.header.total)
    return [(id_, record["n"]) for id_, record in zip(ids, content.records, strict=True)]


def numbers(records: list[tuple[str, int]]) -> set[int]:
    """Return their numbers."""
    return {n for _, n in records}


def repeated(records: list[tuple[str, int]]) -> set[int]:
    """Return the numbers of those that are there more than once."""
    return {n for n, times in Counter(n for _, n in records).items() if times > 1}


def under_two_ids(records: list[tuple[str, int]]) -> set[int]:
    """Return the numbers that have several ids, and those that share one with another."""
    pairs = set(records)
    ids, many = Counter(id_ for id_, _ in pairs), Counter(n for _, n in pairs)
    return {n for id_, n in pairs if ids[id_] > 1 or many[n] > 1}
