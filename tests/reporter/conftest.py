"""What the reporter's tests share: a buffer that fails on demand, and senders with a clock that stands still."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest

from pumpkit import Reporter, frames
from pumpkit.buffers import Gap
from pumpkit.errors import BufferUnavailable
from pumpkit.ids import record_ids
from pumpkit.reporter.sender import Sender
from pumpkit.reporter.settings import Settings
from tests.programs import PATIENCE, wait_until

AWAY = BufferUnavailable("away")


@attrs.define
class FakeLog:
    """A log in memory with the rules of `Buffer.append`. `faults` are used up, one by each append.

    A fault is an error to raise before anything is stored, or ("lost", error) to store and raise all the same.
    """

    may_forget: ClassVar = False

    stored: list[bytes] = attrs.field(factory=list)
    next_seq: dict[bytes, int] = attrs.field(factory=dict)
    drops: dict[bytes, dict[str, int]] = attrs.field(factory=dict)
    lost: int = 0
    faults: deque[Any] = attrs.field(factory=deque)
    down: Exception | None = None
    calls: list[list[bytes]] = attrs.field(factory=list)
    closed: int = 0
    gate: threading.Event | None = None
    pause: float = 0.0
    confirms: set[str] = attrs.field(factory=set)
    answers: int = 0  # which say that nothing is missing

    def append(
        self, frames_: list[bytes], *, accept_gap: bool = False, timeout: float = 5.0, confirm: str = "stored"
    ) -> Gap | None:
        """Store frames as a buffer does, unless a fault is due."""
        self.calls.append(list(frames_))
        self.confirms.add(confirm)
        if self.gate is not None:
            self.gate.wait(PATIENCE)
        time.sleep(self.pause)
        if self.down is not None:
            raise self.down
        fault = self.faults.popleft() if self.faults else None
        if isinstance(fault, Exception):
            raise fault
        answer = self._store(frames_, accept_gap)
        if fault is not None:
            raise fault[1]
        self.answers += answer is None
        return answer

    def _store(self, frames_: list[bytes], accept_gap: bool) -> Gap | None:
        for frame in frames_:
            header = frames.read_header(frame)
            expected = self.next_seq.get(header.producer, 0)
            if header.first > expected and not accept_gap:
                return Gap(expected)
            self._count(header)
            if header.first < expected:
                continue
            if header.first > expected:
                self.lost += header.first - expected
                self.next_seq[header.producer] = header.first
            if header.total:
                self.stored.append(frame)
                self.next_seq[header.producer] = header.next_seq
        return None

    def _count(self, header: frames.Header) -> None:
        drops = self.drops.setdefault(header.producer, {})
        for cause, total in header.drops.items():
            drops[cause] = max(total, drops.get(cause, 0))

    def records(self) -> list[dict[str, Any]]:
        """Return every record stored, in order."""
        return [record for frame in self.stored for record in frames.decode(frame).records]

    def ids(self) -> list[str]:
        """Return the id of every record stored, in order."""
        headers = [frames.read_header(frame) for frame in self.stored]
        return [id_ for header in headers for id_ in record_ids(header.producer, header.first, header.total)]

    def total_drops(self) -> dict[str, int]:
        """Return the drops that producers told of, summed by cause."""
        totals: dict[str, int] = {}
        for drops in self.drops.values():
            for cause, number in drops.items():
                totals[cause] = totals.get(cause, 0) + number
        return totals

    def close(self) -> None:
        """Count how often it was closed."""
        self.closed += 1


class ForgetfulLog(FakeLog):
    """A log in memory that may go back in time, so that reporters keep what they sent for a while."""

    may_forget: ClassVar = True

    def go_back(self, frames_: int) -> None:
        """Forget the last frames, as a fail-over does: be as it was before them."""
        if frames_ == 0:
            return
        del self.stored[-frames_:]
        self.next_seq.clear()
        self.drops.clear()
        for frame in self.stored:
            header = frames.read_header(frame)
            self.next_seq[header.producer] = header.next_seq
            self._count(header)


class SlowLog:
    """A log that takes a twentieth of a second for each append, by the clock of a desk."""

    may_forget = False

    def __init__(self, log: FakeLog) -> None:
        self.log = log
        self.desk: Any = None
        self.seen: list[tuple[int, int, int]] = []

    def append(self, frames_: list[bytes], **options: Any) -> Any:
        """Append, and note what became of the desk's records so far."""
        sender = self.desk.sender
        self.desk.now += 0.05
        self.seen.append((sender.confirmed, sender.spilled, sender.in_memory))
        return self.log.append(frames_, **options)


class Desk:
    """A sender with its queue, its log and a clock that stands still."""

    def __init__(self, log: Any, **options: Any) -> None:
        self.log = log
        self.now = 1000.0
        self.opened = 0
        self.queue: deque[Any] = deque()
        self.sender = Sender(self.queue, Settings(**options).checked(), self.open, lambda: self.now)
        self.recorded = 0
        self.folder: str | None = options.get("spill_folder")

    def open(self, timeout: float) -> Any:
        """Connect to the log."""
        self.opened += 1
        return self.log

    def record(self, number: int = 1) -> None:
        """Record the next numbers."""
        self.queue.extend({"n": n} for n in range(self.recorded, self.recorded + number))
        self.recorded += number

    def turn(self, after: float = 0.0, hurry: bool = False) -> float:
        """Let time pass, then the thread has its turn."""
        self.now += after
        return self.sender.turn(hurry)

    def until(self, condition: Callable[[], object]) -> float:
        """Let the thread's turns come at their own pace; return the seconds it took."""
        began = self.now
        while not condition():
            self.turn(max(self.turn(), 0.0001))
            assert self.now - began < 3600
        return self.now - began


@pytest.fixture
def new_desk(log: FakeLog, tmp_path: Path) -> Any:
    """Return a maker of senders that spill into one file; they report to `log`."""

    def make(**options: Any) -> Desk:
        options = {"buffer": "sqlite:////of/the/test.db", "spill_folder": str(tmp_path), **options}
        return Desk(options.pop("log", log), overflow="spill", **options)

    return make


@pytest.fixture
def desk(new_desk: Any) -> Desk:
    """Return a sender that spills."""
    return new_desk()  # type: ignore[no-any-return]


def spill(desk: Desk, number: int) -> None:
    """Record while the buffer is away, for long enough that it is spilled."""
    desk.log.down = desk.log.down or AWAY
    desk.record(number)
    for seconds in (0.0, 0.5, 2.0):
        desk.turn(seconds)


def balanced(desk: Desk) -> bool:
    """Return whether every record is accounted for."""
    sender = desk.sender
    gone = sum(sender.drops().values())
    return desk.recorded == sender.confirmed + sender.spilled + sender.in_memory + gone


def numbers(log: FakeLog) -> list[int]:
    """Return the numbers of the records stored, in order."""
    return [record["n"] for record in log.records()]


@pytest.fixture(scope="session")
def fake_log() -> type[FakeLog]:
    """Return the class of logs in memory, for tests that need several."""
    return FakeLog


@pytest.fixture(name="wait_until", scope="session")
def _wait_until() -> Callable[..., None]:
    """Return a function that waits for a condition."""
    return wait_until


@pytest.fixture
def log() -> FakeLog:
    """Return an empty log in memory."""
    return FakeLog()


@pytest.fixture
def make_reporter(log: FakeLog) -> Iterator[Callable[..., Reporter]]:
    """Return a maker of reporters into `log` that flush early; they are closed at the end."""
    made: list[Reporter] = []

    def make(**options: Any) -> Reporter:
        options = {"buffer": log, "flush_interval": 0.01, **options}
        made.append(Reporter(**options))
        return made[-1]

    yield make
    log.down, log.gate = None, None
    for reporter in made:
        reporter.close()


@pytest.fixture
def stall(log: FakeLog) -> Callable[[Reporter], None]:
    """Return a function that lets a reporter's thread hang in an append, so that the queue is the test's own."""

    def hang(reporter: Reporter) -> None:
        log.gate = threading.Event()
        reporter.record({"n": -1})
        wait_until(lambda: log.calls, "the append")

    return hang
