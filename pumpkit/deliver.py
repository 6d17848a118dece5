"""From verdicts to an outcome: retry, back-off, halving and the witness rule. Pure: no plugins, no processes, no clock.

`deliver` gets the numbers of the records to write (their places in the batch) and a `write` callable that takes some
of them and returns, or raises a verdict. Until every number is written, dead or held, it goes on.

The witness rule: a record is dead only if others were accepted between two of its failures alone. So an outage,
which fails everything, kills nothing, and a record that breaks every batch it is in is found by halving. What failed
with nothing accepted since is *held*, a record that failed alone as well as a whole part of which nothing was
accepted: it is tried again after the next batch.
"""

import math
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import attrs

from pumpkit.errors import ConfigError, PartialWrite, RefusesEverything, Unavailable

Kind = Literal["rejected", "unknown", "timeout", "crash", "filter", "bad-frame"]

#: Writes the records with these numbers, or raises a verdict.
Write = Callable[[Sequence[int]], None]

#: The longest pause between two tries, in seconds; a sink may ask for a longer one, up to the second.
LONGEST_PAUSE = 30.0
LONGEST_ASKED = 3600.0


@attrs.frozen
class Dead:
    """A record that will not be delivered, and why; `attempts` counts the failed writes it was part of."""

    number: int
    kind: Kind
    reason: str
    attempts: int = 1


@attrs.frozen
class Failure:
    """A write that never answered: the worker died in it. `accepted` is how many writes had succeeded before.

    `numbers` may leave out what was decided since; `alone` is whether the write was of one record.
    """

    numbers: list[int]
    kind: Kind
    accepted: int
    alone: bool


@attrs.define
class Outcome:
    """What became of a batch: numbers written, dead, and held for the next batch to be a witness."""

    written: list[int] = attrs.field(factory=list)
    dead: list[Dead] = attrs.field(factory=list)
    held: list[int] = attrs.field(factory=list)


@attrs.define
class Memory:
    """What one batch must know of the others."""

    accepted: int = 0  # writes that succeeded, ever
    rejected: int = 0  # records rejected since one was accepted
    pauses: int = 0  # in a row
    suspects: dict[int, int] = attrs.field(factory=dict)  # failed alone: number -> `accepted` at that time
    parked: dict[int, int] = attrs.field(factory=dict)  # failed with all of its part: the same
    failed: dict[int, int] = attrs.field(factory=dict)  # number -> failed writes it was part of

    def let_go(self, number: int) -> None:
        """Forget a record that is decided."""
        for known in (self.suspects, self.parked, self.failed):
            known.pop(number, None)


@attrs.frozen
class Policy:
    """How a pump wants its batches delivered, and the three things that deliver asks of its surroundings.

    `pause(seconds, reason)` sleeps, or raises to leave; `accepted(numbers)` is told what the sink has taken; `hold()`
    is called before each write, and raises if these records are no longer this pump's to write.
    """

    batch_records: int
    max_attempts: int
    reject_limit: int
    ordered: bool
    pause: Callable[[float, str], None]
    accepted: Callable[[Sequence[int]], None]
    hold: Callable[[], None] = lambda: None
    random: Callable[[], float] = random.random


def deliver(
    numbers: Sequence[int], write: Write, policy: Policy, memory: Memory, failures: Iterable[Failure] = ()
) -> Outcome:
    """Write all records, in batches of at most `batch_records`; return what became of each.

    `failures` are writes of these very records that killed a worker, oldest first. Raises ConfigError when the sink
    cannot work as configured or refuses everything; whatever `policy.pause` and `policy.hold` raise passes through.
    """
    run = _Run(write, policy, memory)
    deaths = [] if policy.ordered else list(failures)  # an ordered sink's batch is never taken apart
    for failure in deaths:
        run.died(failure)
    decided = memory.suspects.keys() | memory.parked.keys() | run.settled
    todo = [number for number in numbers if number not in decided] if decided else list(numbers)
    for part in run.parts(todo, deaths):
        run.deliver(part)
    if memory.parked or memory.suspects:
        alone = not todo and not deaths  # what a worker has just died of waits for a witness in the next batch
        run.try_parked([number for number in numbers if number in memory.parked], alone=alone)
        run.try_suspects([number for number in numbers if number in memory.suspects], alone=alone)
        run.outcome.held = [number for number in numbers if number in memory.suspects or number in memory.parked]
    return run.outcome


class _Run:
    """The delivery of one batch."""

    def __init__(self, write: Write, policy: Policy, memory: Memory) -> None:
        self.write = write
        self.policy = policy
        self.memory = memory
        self.outcome = Outcome()
        self.settled: set[int] = set()  # dead

    def died(self, failure: Failure) -> None:
        """Take in a write that killed a worker: one unknown verdict; alone, it makes a suspect or a dead record."""
        self._count(failure.numbers)
        if failure.alone:
            self._failed_alone(failure.numbers[0], failure.accepted, failure.kind, f"the worker died: {failure.kind}")

    def parts(self, numbers: list[int], failures: list[Failure]) -> list[list[int]]:
        """Cut into writes, none of which killed a worker before: the halves of those, smallest first, and the rest."""
        parts: list[list[int]] = []
        rest = set(numbers) if failures else set()
        for failure in sorted(failures, key=lambda failure: len(failure.numbers)):
            part = [number for number in failure.numbers if number in rest]
            rest.difference_update(part)
            parts += _halves(part)
        size, numbers = self.policy.batch_records, sorted(rest) if failures else numbers
        return parts + [numbers[at : at + size] for at in range(0, len(numbers), size)]

    def deliver(self, part: list[int], attempts: int = 0) -> None:
        """Write a part whole, again and again; after `max_attempts` unknown verdicts look for the record in it."""
        while part:
            part, error = self._write(part)
            if error is None:
                return
            attempts += 1
            if attempts < self.policy.max_attempts or self.policy.ordered:
                self._pause(_told(error))
            elif len(part) == 1:
                return self._failed_alone(part[0], self.memory.accepted, "unknown", _told(error))
            else:
                return self._halve(part)

    def try_parked(self, numbers: list[int], *, alone: bool) -> None:
        """Try parts of which nothing was accepted again if others were since, or there are none; else hold them."""
        size = self.policy.batch_records
        for part in [numbers[at : at + size] for at in range(0, len(numbers), size)]:
            if alone or self._has_witness(part):
                self.deliver(part, attempts=self.policy.max_attempts - 1)

    def try_suspects(self, suspects: list[int], *, alone: bool) -> None:
        """Try what failed alone once more if others were accepted since, or there are none; else hold it."""
        for number in suspects:
            if alone or self.memory.accepted > self.memory.suspects[number]:
                _, error = self._write([number])
                if error is not None:
                    self._failed_alone(number, self.memory.accepted, "unknown", _told(error))

    def _halve(self, part: list[int]) -> None:
        """Find the records that break a part, depth first.

        If nothing is accepted within log2(n) + 8 failures it is an outage, unless others were accepted since the part
        was parked: then it is all bad. Which half comes first is left to chance, so that no row of bad records hides
        the good ones for ever.
        """
        before = self.memory.accepted
        budget = math.inf if self._has_witness(part) else math.ceil(math.log2(len(part))) + 8
        broken = [part]
        while broken:
            halves = _halves(broken.pop())
            if self.policy.random() < 0.5:
                halves.reverse()
            for half in halves:
                left, error = self._write(half)
                if error is None:
                    continue
                if len(left) == 1:
                    self._failed_alone(left[0], self.memory.accepted, "unknown", _told(error))
                else:
                    broken.append(left)
                budget -= 1
                if budget < 0 and self.memory.accepted == before:
                    self._park(part)
                    return self._pause(_told(error))

    def _park(self, part: list[int]) -> None:
        """Hold what is left of a part; what failed alone in an outage proves nothing."""
        for number in part:
            if number not in self.settled:
                self.memory.suspects.pop(number, None)
                self.memory.parked[number] = self.memory.accepted

    def _has_witness(self, part: list[int]) -> bool:
        """Return whether others were accepted since all of this part was parked."""
        parked = self.memory.parked
        return all(number in parked and parked[number] < self.memory.accepted for number in part)

    def _write(self, part: list[int]) -> tuple[list[int], Exception | SystemExit | None]:
        """Write until nothing is left or the verdict is unknown; return what is left then, and the error."""
        error = None
        while part and error is None:
            part, error = self._call(part)
        return part, error

    def _call(self, part: list[int]) -> tuple[list[int], Exception | SystemExit | None]:
        """Write once. Return what is left to write of a known verdict, or the error of an unknown one."""
        self.policy.hold()
        try:
            self.write(part)
        except PartialWrite as verdict:
            return self._partial(part, verdict)
        except (Unavailable, ConnectionError, TimeoutError) as verdict:
            self._count(part)
            self._pause(_told(verdict), getattr(verdict, "retry_after", None))
            return part, None
        except ConfigError:
            raise
        except (Exception, SystemExit) as error:
            self._count(part)
            return part, error
        self._accepted(part)
        return [], None

    def _partial(self, part: list[int], verdict: PartialWrite) -> tuple[list[int], Exception | None]:
        named = [*verdict.rejected, *verdict.retry]
        valid = all(type(index) is int and 0 <= index < len(part) for index in named)
        if not named or not valid or len(set(named)) != len(named):
            self._count(part)
            return part, ValueError(f"PartialWrite names {named[:5]!r:.200} of a batch of {len(part)}")
        for index, reason in sorted(verdict.rejected.items()):
            self._dead(part[index], "rejected", str(reason))
        unnamed = sorted(set(range(len(part))).difference(named))
        if unnamed:
            self._accepted([part[index] for index in unnamed])
        self.memory.rejected += len(verdict.rejected)
        if self.memory.rejected >= self.policy.reject_limit:
            reason = next(iter(verdict.rejected.values()), "")
            raise RefusesEverything(f"{self.memory.rejected} records in a row rejected, the last: {reason}")
        again = [part[index] for index in sorted(verdict.retry)]
        if again:
            self._count(again)
            self._pause(f"{len(again)} of {len(part)} records to be retried")
        return again, None

    def _accepted(self, part: list[int]) -> None:
        self.memory.accepted += 1
        self.memory.rejected = self.memory.pauses = 0
        self.outcome.written += part
        if self.memory.failed:
            for number in part:
                self.memory.let_go(number)
        self.policy.accepted(part)

    def _failed_alone(self, number: int, accepted: int, kind: Kind, reason: str) -> None:
        """Note a failure alone, after `accepted` writes: the second one with a witness in between is the end."""
        self.memory.parked.pop(number, None)
        if accepted > self.memory.suspects.setdefault(number, accepted):
            self._dead(number, kind, reason)

    def _dead(self, number: int, kind: Kind, reason: str) -> None:
        attempts = self.memory.failed.get(number, 0) + (kind == "rejected")
        self.memory.let_go(number)
        self.settled.add(number)
        self.outcome.dead.append(Dead(number, kind, reason, attempts))

    def _count(self, part: Iterable[int]) -> None:
        for number in part:
            self.memory.failed[number] = self.memory.failed.get(number, 0) + 1

    def _pause(self, reason: str, asked: float | None = None) -> None:
        """Back off: what the sink asked for, else uniform(0, min(30, 0.5 * 2^n)) seconds."""
        seconds = self.policy.random() * longest_pause(self.memory.pauses)
        self.memory.pauses += 1
        if isinstance(asked, int | float) and asked >= 0:  # not the text of a header, nor nan
            seconds = min(asked, LONGEST_ASKED)
        self.policy.pause(seconds, reason)


def longest_pause(tries: int) -> float:
    """Return the longest pause, in seconds, after so many tries in a row: a random part of it is taken."""
    return min(LONGEST_PAUSE, 0.5 * float(2 ** min(tries, 10)))


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error!s:.2000}"


def _halves(part: list[int]) -> list[list[int]]:
    middle = (len(part) + 1) // 2
    return [half for half in (part[:middle], part[middle:]) if half]
