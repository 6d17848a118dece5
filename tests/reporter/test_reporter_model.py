"""The sender against a log that fails in every way a log may fail, by a hypothesis state machine."""

import random
import shutil
import tempfile
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from pumpkit.errors import BufferConfigError, BufferFull, BufferUnavailable
from pumpkit.frames import read_header
from pumpkit.reporter.sender import Sender
from pumpkit.reporter.settings import Settings
from tests.reporter.conftest import FakeLog, ForgetfulLog

_ERRORS = [
    BufferUnavailable("away"),
    BufferFull("full"),
    BufferConfigError("wrong"),
    OSError("broken"),
    KeyError("bug"),
]
_FAULTS = [*_ERRORS, *[("lost", error) for error in _ERRORS]]
_BOUND = 50
_BYTES = 2_000
_WINDOW = 10.0
_SETTINGS = hypothesis_settings(max_examples=100, stateful_step_count=30, deadline=None)


class SenderMachine(RuleBasedStateMachine):
    """Records come, time passes, the log fails or loses answers."""

    make_log: type[FakeLog] = FakeLog

    def __init__(self) -> None:
        super().__init__()
        self.log = self.make_log()
        self.now = 0.0
        self.queue: deque[Any] = deque()
        options = Settings(buffer=self.log, records_buffer_size=_BOUND, buffer_bytes=_BYTES, max_record_bytes=300)
        options = options._replace(resend_window=_WINDOW, **self.options())
        self.sender = Sender(self.queue, options.checked(), lambda timeout: self.log, lambda: self.now)
        self.sender.link._jitter.seed(0)  # the same sequence has to end the same way each time
        self.recorded = 0
        self.good: list[int] = []

    def options(self) -> dict[str, Any]:
        """Return what is special about the reporter's settings."""
        return {}

    @rule(kinds=st.lists(st.sampled_from(["good", "good", "good", "bad", "large"]), max_size=60))
    def record(self, kinds: list[str]) -> None:
        """The application records, and drops what finds the queue full."""
        for kind in kinds:
            self.recorded += 1
            if len(self.queue) >= _BOUND:
                self.sender.full.add()
                continue
            extra = {"good": random.Random(self.recorded).randbytes(12), "bad": object(), "large": "x" * 400}[kind]
            self.queue.append({"n": self.recorded, "extra": extra})
            if kind == "good":
                self.good.append(self.recorded)

    @rule(faults=st.lists(st.sampled_from(_FAULTS), min_size=1, max_size=4))
    def fail(self, faults: list[Any]) -> None:
        """The next appends fail: before they store, or after."""
        self.log.faults.extend(faults)

    @rule(seconds=st.sampled_from([0.0, 0.01, 0.2, 1.0, 6.0, 60.0]), hurry=st.booleans())
    def turn(self, seconds: float, hurry: bool) -> None:
        """Time passes and the thread has its turn."""
        self.now += seconds
        assert self.have_turn(hurry) >= 0

    def have_turn(self, hurry: bool = False) -> float:
        """Let the thread have its turn."""
        return self.sender.turn(hurry)

    @precondition(lambda self: self.sender.link.trouble)
    @rule()
    def retry(self) -> None:
        """A flush asks for an attempt at once."""
        self.sender.retry_now()
        self.have_turn(True)

    @invariant()
    def ledger_balances(self) -> None:
        """Recorded is confirmed, spilled, rejected, dropped or in memory."""
        dropped = sum(self.sender.drops().values())
        assert self.recorded == self.sender.confirmed + self.sender.spilled + dropped + self.sender.in_memory

    @invariant()
    def nothing_is_doubled_or_out_of_order(self) -> None:
        """Ids are unique and in the order of recording."""
        ids = self.log.ids()
        assert len(ids) == len(set(ids))
        numbers = [record["n"] for record in self.log.records()]
        assert numbers == sorted(numbers)
        assert set(numbers) <= set(self.good)

    @invariant()
    def memory_is_bounded(self) -> None:
        """Packing stops above the bound of bytes, so only one frame is over it."""
        largest = max((len(frame.data) for frame in self.sender.pending), default=0)
        assert self.sender.pending_bytes + self.sender.window.size <= _BYTES + largest
        assert self.sender.pending_bytes == sum(len(frame.data) for frame in self.sender.pending)

    def teardown(self) -> None:
        """Once the log works again everything good arrives, and the log knows of every drop."""
        self.log.faults.clear()
        self.log.down = None
        for _ in range(1000):
            self.now += 1.0
            self.sender.retry_now()
            self.sender.turn(True)
            self.sender.turn()  # asks, if there is a window
            if self.sender.idle and not self.sender.spilled:
                break
        assert self.sender.idle
        assert not self.sender.spilled
        self.sender.finish(1.0)
        assert self.log.total_drops() == self.sender.drops()
        self.check_arrivals()

    def check_arrivals(self) -> None:
        """Everything good is there."""
        assert [record["n"] for record in self.log.records()] == self.good
        assert self.sender.confirmed == len(self.good)


class RecreatedMachine(SenderMachine):
    """The same with a log that is recreated empty."""

    @rule()
    def recreate(self) -> None:
        """Somebody puts an empty log in the place of this one."""
        self.log.stored.clear()
        self.log.next_seq.clear()
        self.log.lost = 0

    def check_arrivals(self) -> None:
        """What is not there is counted as lost."""
        if self.log.next_seq:
            assert len(self.log.records()) + self.log.lost == self.sender.confirmed


class ForgottenMachine(RecreatedMachine):
    """The same with a log that may forget, so that a window is kept, but forgets more than that covers."""

    make_log = ForgetfulLog


class WindowMachine(SenderMachine):
    """The same with a log that goes back in time, as far as the window reaches."""

    make_log = ForgetfulLog

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[int, tuple[float, int]] = {}  # by first sequence: when a frame came first, and its bytes
        self.answers = 0
        self.answered = 0.0  # when the log last said that nothing is missing

    def have_turn(self, hurry: bool = False) -> float:
        """Take down what the log has, and when it answered."""
        pause = super().have_turn(hurry)
        for frame in self.log.stored:
            self.stored.setdefault(read_header(frame).first, (self.now, len(frame)))
        if self.log.answers != self.answers:
            self.answers, self.answered = self.log.answers, self.now
        return pause

    @rule(number=st.integers(1, 30))
    def send(self, number: int) -> None:
        """Some records become a frame."""
        self.record(["good"] * number)
        self.now += 0.5
        self.have_turn(True)

    @precondition(lambda self: self.log.stored)
    @rule(data=st.data())
    def go_back(self, data: st.DataObject) -> None:
        """The log forgets some of its last frames; the window has to bring them back."""
        most = self.covered()
        self.log.go_back(data.draw(st.sampled_from([most, min(most, 1)])))

    def covered(self) -> int:
        """Return how many of the last frames the window reaches back."""
        number = 0
        for frame in reversed(self.log.stored):
            first = read_header(frame).first
            when = self.stored[first][0]
            size = sum(size for other, (_, size) in self.stored.items() if other >= first)
            if when + _WINDOW <= self.answered or size > _BYTES // 2:
                break
            number += 1
        return number


class SpillMachine(WindowMachine):
    """The same with a spill file between."""

    def options(self) -> dict[str, Any]:
        """Spill into a folder of its own."""
        self.folder = tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        return {"buffer": "sqlite:////of/the/test.db", "overflow": "spill", "spill_folder": self.folder}

    @rule(away=st.booleans())
    def go_away(self, away: bool) -> None:
        """The buffer goes away until it is back."""
        self.log.down = BufferUnavailable("away") if away else None

    def teardown(self) -> None:
        """As before."""
        try:
            super().teardown()
        finally:
            shutil.rmtree(self.folder)


@pytest.mark.parametrize("machine", [SenderMachine, RecreatedMachine, ForgottenMachine, WindowMachine, SpillMachine])
def test_no_record_is_lost_or_doubled_whatever_the_log_does(machine: type[SenderMachine]) -> None:
    """Under any sequence of faults the ledger balances and every good record arrives once.

    So it does if the log goes back in time, as far as the resend window covers. What is lost beyond that is counted.
    """
    settings = hypothesis_settings(_SETTINGS, max_examples=25) if machine is SpillMachine else _SETTINGS
    run_state_machine_as_test(machine, settings=settings)
