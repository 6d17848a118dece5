"""From verdicts to an outcome: retry, back-off, halving and the witness rule. Pure: no plugins, no processes, no clock.

`deliver` gets the numbers of the records to write (their places in the batch) and a `write` callable that takes some
of them and returns, or raises a verdict. Until every number is written, dead or held, it goes on.

The witness rule: a record is dead only if others were accepted between two of its failures alone. So an outage,
which fails everything, kills nothing, and a record that breaks every batch it is in is found by halving. A record
that failed alone with nothing accepted since is *held*: it is tried again after the next batch.
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

#: The longest pause between two tries, in seconds.
LONGEST_PAUSE = 30.0


@attrs.frozen
class Dead:
    """A record that will not be delivered, and why; `attempts` counts the failed writes it was part of."""

    number: int
    kind: Kind
    reason: str
    attempts: int = 1


@attrs.frozen
class Failure:
    """A write that never answered: the worker died in it. `accepted` is how many writes had succeeded before."""

    numbers: list[int]
    kind: Kind
    accepted: int


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


@attrs.frozen
class Policy:
    """How a pump wants its batches delivered, and the two things that deliver asks of its surroundings.

    `pause(seconds, reason)` sleeps, or raises to leave; `accepted(numbers)` is told what the sink has taken.
    """

    batch_records: int
    max_attempts: int
    reject_limit: int
    ordered: bool
    pause: Callable[[float, str], None]
    accepted: Callable[[Sequence[int]], None]
    random: Callable[[], float] = random.random


def deliver(
    numbers: Sequence[int], write: Write, policy: Policy, memory: Memory, failures: Iterable[Failure] = ()
) -> Outcome:
    """Write all records, in batches of at most `batch_records`; return what became of each.

    `failures` are writes of these very records that killed a worker, oldest first. Raises ConfigError when the sink
    cannot work as configured or refuses everything; whatever `policy.pause` raises passes through.
    """
    run = _Run(write, policy, memory)
    deaths = [] if policy.ordered else list(failures)  # an ordered sink's batch is never taken apart
    for failure in deaths:
        run.died(failure)
    todo = [number for number in numbers if number not in memory.suspects and number not in run.settled]
    for part in run.parts(todo, deaths):
        run.deliver(part)
    run.try_suspects([number for number in numbers if number in memory.suspects], alone=not todo)
    return run.outcome


class _Run:
    """The delivery of one batch."""

    def __init__(self, write: Write, policy: Policy, memory: Memory) -> None:
        self.write = write
        self.policy = policy
        self.memory = memory
        self.outcome = Outcome()
        self.settled: set[int] = set()  # dead before anything was written
        self.failed: dict[int, int] = {}  # number -> failed writes it was part of

    def died(self, failure: Failure) -> None:
        """Take in a write that killed a worker: one unknown verdict; alone, it makes a suspect or a dead record."""
        self._count(failure.numbers)
        if len(failure.numbers) == 1:
            self._failed_alone(failure.numbers[0], failure.accepted, failure.kind, f"the worker died: {failure.kind}")

    def parts(self, numbers: list[int], failures: list[Failure]) -> list[list[int]]:
        """Cut into writes: the halves of the smallest part that killed a worker first, then what is left."""
        here = set(numbers) if failures else set()
        killers = [[number for number in failure.numbers if number in here] for failure in failures]
        suspected = min(filter(None, killers), key=len, default=[])
        rest = sorted(here.difference(suspected)) if suspected else numbers
        size = self.policy.batch_records
        return _halves(suspected) + [rest[at : at + size] for at in range(0, len(rest), size)]

    def deliver(self, part: list[int]) -> None:
        """Write a part whole, again and again; after `max_attempts` unknown verdicts look for the record in it."""
        attempts = 0
        while part:
            left, error = self._call(part)
            if error is None:
                part = left
                continue
            attempts += 1
            if attempts < self.policy.max_attempts or self.policy.ordered:
                self._pause(f"{type(error).__name__}: {error}")
            else:
                part = self._halve(part)

    def try_suspects(self, suspects: list[int], *, alone: bool) -> None:
        """Try what failed alone once more if others were accepted since, or there are none; else hold it."""
        for number in suspects:
            if alone or self.memory.accepted > self.memory.suspects[number]:
                self._try_alone(number)
            if number in self.memory.suspects:
                self.outcome.held.append(number)

    def _try_alone(self, number: int) -> None:
        left = [number]
        while left:
            left, error = self._call(left)
            if error is not None:
                self._failed_alone(number, self.memory.accepted, "unknown", f"{type(error).__name__}: {error}")
                return
        self.memory.suspects.pop(number, None)

    def _halve(self, part: list[int]) -> list[int]:
        """Find the records that break a part, depth first; return what to try again whole, after an outage."""
        before = self.memory.accepted
        budget = math.ceil(math.log2(len(part))) + 8 if len(part) > 1 else 1
        stack = list(reversed(_halves(part)))
        alone: list[int] = []
        while stack:
            piece = stack.pop()
            left, error = self._call(piece)
            if error is None:
                stack += [left] if left else []
                continue
            budget -= 1
            if budget < 0 and self.memory.accepted == before:
                # Nothing at all was accepted: an outage. What failed alone in it proves nothing.
                for number in alone:
                    self.memory.suspects.pop(number, None)
                self._pause(f"{type(error).__name__}: {error}")
                return sorted([*alone, *piece, *(number for rest in stack for number in rest)])
            if len(piece) == 1:
                self._failed_alone(piece[0], self.memory.accepted, "unknown", f"{type(error).__name__}: {error}")
                alone += piece
            else:
                stack += reversed(_halves(piece))
        return []

    def _call(self, part: list[int]) -> tuple[list[int], Exception | SystemExit | None]:
        """Write once. Return what is left to write of a known verdict, or the error of an unknown one."""
        try:
            self.write(part)
        except PartialWrite as verdict:
            return self._partial(part, verdict)
        except (Unavailable, ConnectionError, TimeoutError) as verdict:
            self._count(part)
            self._pause(f"{type(verdict).__name__}: {verdict}", getattr(verdict, "retry_after", None))
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
        if len(set(named)) != len(named) or not all(type(i) is int and 0 <= i < len(part) for i in named):
            self._count(part)
            return part, ValueError(f"PartialWrite names {sorted(named, key=repr)[:5]} of a batch of {len(part)}")
        if not named:
            self._count(part)
            return part, ValueError("PartialWrite names no record")
        for index, reason in sorted(verdict.rejected.items()):
            self._dead(part[index], "rejected", str(reason))
        written = [number for index, number in enumerate(part) if index not in set(named)]
        if written:
            self._accepted(written)
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
        self.policy.accepted(part)

    def _failed_alone(self, number: int, accepted: int, kind: Kind, reason: str) -> None:
        """Note a failure alone, after `accepted` writes: the second one with a witness in between is the end."""
        if accepted > self.memory.suspects.setdefault(number, accepted):
            del self.memory.suspects[number]
            self._dead(number, kind, reason)

    def _dead(self, number: int, kind: Kind, reason: str) -> None:
        self.settled.add(number)
        self.memory.suspects.pop(number, None)
        self.outcome.dead.append(Dead(number, kind, reason, self.failed.get(number, 0) + (kind == "rejected")))

    def _count(self, part: Iterable[int]) -> None:
        for number in part:
            self.failed[number] = self.failed.get(number, 0) + 1

    def _pause(self, reason: str, retry_after: float | None = None) -> None:
        """Back off: what the sink asked for, else uniform(0, min(30, 0.5 * 2^n)) seconds."""
        longest = min(LONGEST_PAUSE, 0.5 * 2 ** min(self.memory.pauses, 10))
        self.memory.pauses += 1
        self.policy.pause(self.policy.random() * longest if retry_after is None else retry_after, reason)


def _halves(part: list[int]) -> list[list[int]]:
    middle = (len(part) + 1) // 2
    return [half for half in (part[:middle], part[middle:]) if half]
