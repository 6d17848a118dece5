"""Processes with one buffer and one spill file, by a hypothesis state machine: they fork, fail, flush and end."""

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
from pumpkit.reporter import sampling
from pumpkit.reporter.sampling import Sample
from pumpkit.reporter.sender import Sender
from pumpkit.reporter.settings import Overflow, Settings
from tests.reporter.conftest import FakeLog

_ERRORS = [BufferUnavailable("away"), BufferFull("full"), BufferConfigError("wrong"), OSError("broken")]
_FAULTS = [*_ERRORS, *[("lost", error) for error in _ERRORS]]
_BOUND = 40
_TAKE = sampling.chooser(Sample(0.8, key="user"))


class Process:
    """One process: what it has recorded, and the sender that its reporter has there."""

    def __init__(self, machine: "Processes", name: int) -> None:
        self.name = name
        self.queue: deque[Any] = deque()
        self.sender = Sender(self.queue, machine.settings, lambda timeout: machine.log, lambda: machine.now)
        self.sender.link._jitter.seed(name)  # the same sequence has to end the same way each time
        self.recorded = 0
        self.good: list[tuple[int, int]] = []  # taken by the queue, and neither bad nor dropped since

    def record(self, kind: str, overflow: Overflow) -> None:
        """Do what an outbox does with a record."""
        self.recorded += 1
        extra = {"good": random.Random(self.recorded).randbytes(12), "bad": object(), "large": "x" * 400}[kind]
        record = {"p": self.name, "n": self.recorded, "user": self.recorded, "extra": extra}
        if not _TAKE(record):
            self.sender.sampled.add()
            return
        if len(self.queue) >= _BOUND:
            self.sender.full.add()
            if overflow != "drop-oldest":
                return
            dropped = self.queue.popleft()
            self.good = [one for one in self.good if one != (self.name, dropped["n"])]
        self.queue.append(record)
        if kind == "good":
            self.good.append((self.name, self.recorded))

    def balance(self) -> None:
        """Recorded is confirmed, spilled, sampled, rejected, dropped or in memory."""
        sender = self.sender
        dropped = sum(sender.drops().values())
        known = sender.confirmed + sender.spilled + sender.sampled.read() + dropped + sender.in_memory
        assert self.recorded == known


class Processes(RuleBasedStateMachine):
    """Records come, time passes, the log fails or loses answers; processes fork, end and are killed."""

    overflow: Overflow = "spill"

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        self.log = FakeLog()
        self.now = 0.0
        self.settings = Settings(
            buffer="sqlite:////of/the/test.db",
            records_buffer_size=_BOUND,
            buffer_bytes=4_000,
            max_record_bytes=300,
            overflow=self.overflow,
            spill_folder=self.folder,
        ).checked()
        self.made = 0
        self.living: list[Process] = []
        self.expected: set[tuple[int, int]] = set()  # what ended processes left behind in buffer or file
        self.possible: set[tuple[int, int]] = set()  # what killed ones had in memory: it may have been sent
        self.told: dict[str, int] = {}
        self.fork()

    @precondition(lambda self: len(self.living) < 3)
    @rule()
    def fork(self) -> None:
        """A child begins with nothing in memory, under numbers of its own."""
        self.living.append(Process(self, self.made))
        self.made += 1

    @rule(
        which=st.integers(0, 2), kinds=st.lists(st.sampled_from(["good", "good", "good", "bad", "large"]), max_size=60)
    )
    def record(self, which: int, kinds: list[str]) -> None:
        """A process records."""
        process = self.living[which % len(self.living)]
        for kind in kinds:
            process.record(kind, self.overflow)

    @rule(faults=st.lists(st.sampled_from(_FAULTS), min_size=1, max_size=4))
    def fail(self, faults: list[Any]) -> None:
        """The next appends fail: before they store, or after."""
        self.log.faults.extend(faults)

    @rule(away=st.booleans())
    def go_away(self, away: bool) -> None:
        """The buffer goes away until it is back."""
        self.log.down = _ERRORS[0] if away else None

    @rule(which=st.integers(0, 2), seconds=st.sampled_from([0.0, 0.01, 0.2, 1.5, 6.0, 60.0]), hurry=st.booleans())
    def turn(self, which: int, seconds: float, hurry: bool) -> None:
        """Time passes and a thread has its turn; in a hurry as for a flush."""
        self.now += seconds
        sender = self.living[which % len(self.living)].sender
        if hurry:
            sender.retry_now()
        assert sender.turn(hurry) >= 0

    @precondition(lambda self: len(self.living) > 1)
    @rule(which=st.integers(0, 2))
    def end(self, which: int) -> None:
        """A process stops: it sends or spills, counts as unsent what comes too late, and says what is left."""
        process = self.living.pop(which % len(self.living))
        for _ in range(3):
            process.sender.retry_now()
            process.sender.turn(True)
        process.recorded += 1
        process.sender.unsent.add()
        process.sender.finish(1.0)
        process.balance()
        self.leave(process)

    @precondition(lambda self: len(self.living) > 1)
    @rule(which=st.integers(0, 2))
    def kill(self, which: int) -> None:
        """A process is killed: what it has in memory is lost, unless an answer was."""
        process = self.living.pop(which % len(self.living))
        if process.sender._spill:
            process.sender._spill.close()  # as the kernel does
        self.leave(process)

    def leave(self, process: Process) -> None:
        """Note what of a process has to arrive: a frame that left its memory is in the buffer or in the file."""
        sender = process.sender
        settled = sender.confirmed + sender.spilled
        good = process.good[:settled]
        self.expected |= set(good)
        self.possible |= set(process.good)

    @invariant()
    def ledgers_balance(self) -> None:
        """At any moment, in every process."""
        for process in self.living:
            process.balance()

    @invariant()
    def nothing_is_doubled_or_out_of_order(self) -> None:
        """Ids are unique, and those of one process come in order."""
        ids = self.log.ids()
        assert len(ids) == len(set(ids))
        for name in range(self.made):
            numbers = [record["n"] for record in self.log.records() if record["p"] == name]
            assert numbers == sorted(numbers)

    @invariant()
    def memory_is_bounded(self) -> None:
        """Frames in memory keep to the bound of bytes, but for the one that is over it."""
        for process in self.living:
            largest = max((len(frame.data) for frame in process.sender.pending), default=0)
            assert process.sender.pending_bytes <= 4_000 + largest

    def teardown(self) -> None:
        """Once the log works again everything that had to arrive does, and every process knows it."""
        try:
            self.log.faults.clear()
            self.log.down = None
            for _ in range(300):
                self.now += 0.3
                for process in self.living:
                    process.sender.retry_now()
                    process.sender.turn(True)
            arrived = {(record["p"], record["n"]) for record in self.log.records()}
            for process in self.living:
                assert process.sender.idle
                process.balance()
                self.expected |= set(process.good)
                assert process.sender.confirmed == len(process.good)
                process.sender.finish(1.0)
            assert self.expected <= arrived <= self.expected | self.possible
        finally:
            shutil.rmtree(self.folder)


class DropNewest(Processes):
    """The same without a spill file."""

    overflow = "drop-newest"


class DropOldest(Processes):
    """The same where the oldest make room."""

    overflow = "drop-oldest"


@pytest.mark.parametrize("machine", [Processes, DropNewest, DropOldest])
def test_every_record_of_every_process_is_accounted_for(
    machine: type[Processes], request: pytest.FixtureRequest
) -> None:
    """Under any sequence of records, flushes, forks, failures, stops and kills the ledgers balance.

    What was confirmed or spilled arrives once and in order, whatever became of its process.
    """
    full = request.config.getoption("--full")
    examples = 1_000 if full else 20 if machine.overflow == "spill" else 100
    settings = hypothesis_settings(max_examples=examples, stateful_step_count=40, deadline=None)
    run_state_machine_as_test(machine, settings=settings)
