"""One configured pump: the way of a record from the log to its sink, step by step in `Pump.turn`."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from random import uniform
from typing import Any, Protocol, TypeVar

import attrs

from pumpkit.batch import Batch, bury, decode, forget, runs, select, shorten, take, without
from pumpkit.buffers import Cursor, Delivery
from pumpkit.buffers.base import Counts, DeadLetter
from pumpkit.config import PumpConfig
from pumpkit.deliver import Memory, Outcome, Policy, deliver, longest_pause
from pumpkit.errors import BufferUnavailable, ConfigError
from pumpkit.plugins import Sink
from pumpkit.shaping import shortener, wanted
from pumpkit.trouble import Place, Stage, Trouble, failures

#: Dead letters kept for one pump; at the cap it stops (`failed`), never drops.
MAX_DEAD_LETTERS = 100_000
MAX_DEAD_BYTES = 256 << 20

#: So many records held for want of a witness, and no more are fetched until they are decided: several fetches, since
#: a whole fetch of bad records is held until later ones are accepted.
MAX_HELD = 20_000

#: The longest pause between two tries of the buffer, in seconds: nothing gets on without it.
LONGEST_BUFFER_PAUSE = 5.0

T = TypeVar("T")

#: A step before the sink: takes some records of a batch and what to do to each; returns which of them go on.
Step = Callable[[Batch, Sequence[int], Any], list[int]]


class Watcher(Protocol):
    """What a pump needs of the process it runs in."""

    def watch(self, stage: Stage, first: Place, last: Place, limit: float | None) -> AbstractContextManager[None]:
        """Guard a call of plugin code: it ends within `limit` seconds (None: no limit), or the process does."""

    def pause(self, seconds: float, reason: str) -> None:
        """Sleep, or raise to leave."""

    def wrote(self, records: int, seconds: float) -> None:
        """Hear that the sink accepted records."""


class Pump:
    """One pump at work: its cursor, its sink, and the records in hand."""

    def __init__(
        self,
        config: PumpConfig,
        sink: Sink,
        cursor: Cursor,
        buffer_id: str,
        watcher: Watcher,
        *,
        trouble: Sequence[Trouble] = (),
        accepted: int = 0,
    ) -> None:
        self.config = config
        self.sink = sink
        self.cursor = cursor
        self.buffer_id = buffer_id
        self.watcher = watcher
        self.timeout = sink.timeout()
        self.wanted = wanted(config.filters, sink.predicates())
        self.look = shortener(config, sink.omit_detail() if config.omit_detailed_recording else None)
        self.memory = Memory(accepted=accepted)
        self.policy = Policy(
            batch_records=config.batch_records,
            max_attempts=config.max_attempts,
            reject_limit=config.reject_limit,
            ordered=sink.ordered,
            pause=watcher.pause,
            accepted=self._accepted,
            hold=lambda: self.patiently(self.cursor.hold),
        )
        self.trouble = list(trouble)
        self.batch = Batch(0)
        self._accepted_before = cursor.accepted()  # by the sink, in a worker that died before it could commit
        self._undecided = 0  # records given to `deliver` that the sink has not taken yet
        self._write_seconds = 0.0
        self._held_tries = 0
        self._next_held_try = 0.0

    def turn(self) -> int:
        """Carry the next frames to the sink; return how many there were."""
        deliveries = self._fetch()
        batch = decode(deliveries, self.batch.stop, self.buffer_id, self.config.sources)  # what is unreadable is dead
        self._each("select", select, batch, self.wanted)  # filters
        self._each("shorten", shorten, batch, self.look)  # omit-detail, fields
        outcome = self._deliver(batch)  # verdicts
        self._commit(outcome)
        return len(deliveries)

    def abandon(self) -> None:
        """Let go of what is in hand, uncommitted: it is fetched again, unless the cursor is moved past it."""
        self.batch = Batch(self.batch.stop)
        self.memory = Memory(self.memory.accepted, self.memory.rejected, self.memory.pauses)
        self._accepted_before = self.cursor.accepted()

    def _fetch(self) -> list[Delivery]:
        if len(self.batch.live) >= MAX_HELD:
            return []
        config, after = self.config, self.batch.through
        deliveries = self.patiently(lambda: self.cursor.fetch(config.batch_records, config.batch_bytes, after))
        if self.cursor.was_reset:  # what this process knows of positions is of the old log
            raise BufferUnavailable("the buffer was created anew: beginning at its oldest record")
        if any(delivery.redelivered for delivery in deliveries):  # maybe just taken over from a worker that died
            self._accepted_before = self.patiently(self.cursor.accepted)
        return deliveries

    def _each(self, stage: Stage, step: Step, batch: Batch, function: object | None) -> None:
        """Let a step decide about every live record, guarded like a write: filters are plugin code too.

        A record that kills its worker alone, twice, is dead. No witness is asked for (so every death counts as one
        for the death before): a predicate has no destination whose outage could look like a bad record.
        """
        if function is None or not batch.live:
            return
        batch.plugin = str(self.sink.plugin)
        kept: list[int] = []

        def write(numbers: Sequence[int]) -> None:
            with self.watcher.watch(stage, *batch.part(numbers[0], numbers[-1]), self.timeout):
                kept.extend(step(batch, numbers, function))

        trouble = [one for one in self.trouble if one.stage == stage]
        deaths = failures((attrs.evolve(one, accepted=n) for n, one in enumerate(trouble)), batch, batch.live)
        policy = attrs.evolve(self.policy, ordered=False, accepted=lambda numbers: None, hold=lambda: None)
        outcome = deliver(batch.live, write, policy, Memory(accepted=len(trouble)), deaths)
        if outcome.held:  # a step raises nothing that a plugin raised in it: these must not pass for delivered
            raise RuntimeError(f"{stage} failed for {len(outcome.held)} records")
        for dead in outcome.dead:  # as it came: a replay takes the same steps
            bury(batch, attrs.evolve(dead, kind="filter", reason=f"{stage}: {dead.reason} ({dead.kind})"))
        batch.live = sorted(kept)

    def _deliver(self, batch: Batch) -> Outcome:
        """Write what is new and what was held before."""
        without(batch, self._accepted_before)
        is_new = bool(batch.slots)
        self.batch.join(batch)
        if not self._worth_trying(is_new):
            return Outcome(held=list(self.batch.live))
        self._undecided = len(self.batch.live)
        deaths = failures([one for one in self.trouble if one.stage == "write"], self.batch, self.batch.live)
        self.trouble = [one for one in self.trouble if one.stage != "write" or one.last[0] > (self.batch.through or 0)]
        return deliver(self.batch.live, self._write, self.policy, self.memory, deaths)

    def _worth_trying(self, is_new: bool) -> bool:
        """On an idle log, held records alone are tried again at growing intervals."""
        if is_new:
            self._held_tries, self._next_held_try = 0, 0.0
            return True
        if not self.batch.live or time.monotonic() < self._next_held_try:
            return False
        self._held_tries += 1
        self._next_held_try = time.monotonic() + backoff(self._held_tries)
        return True

    def _write(self, numbers: Sequence[int]) -> None:
        ids = self.batch.ids(numbers)
        began = time.monotonic()
        try:
            with self.watcher.watch("write", *self.batch.part(numbers[0], numbers[-1]), self.timeout):
                records = take(self.batch, numbers, self.look)
                self.sink.write(records, ids, self.timeout, late=False)
        except BaseException:
            forget(self.batch, numbers)
            raise
        finally:
            self._write_seconds = time.monotonic() - began

    def _accepted(self, numbers: Sequence[int]) -> None:
        """Remember what the sink has taken, unless the commit follows at once or the sink knows it by itself."""
        self.watcher.wrote(len(numbers), self._write_seconds)
        self._undecided -= len(numbers)
        if self._undecided > 0 and not self.sink.ordered:
            parts = runs(self.batch, numbers)
            self.patiently(lambda: self.cursor.accept(parts))

    def _commit(self, outcome: Outcome) -> None:
        """Move past the frames that are decided; with their counts and dead letters, in one transaction."""
        for dead in outcome.dead:
            bury(self.batch, dead, str(self.sink.plugin), self.look)
        self.batch.live = outcome.held
        settled = self.batch.settled()
        if not settled:
            return
        letters = [letter for slot in settled for letter in slot.dead]
        if letters:
            self._check_room(letters, outcome)
        counts = Counts(*map(sum, zip(*(slot.counts() for slot in settled), strict=True)))
        through = settled[-1].delivery.position
        self.patiently(lambda: self.cursor.commit(through, counts, letters))
        self.batch.drop(settled)
        self._accepted_before = [part for part in self._accepted_before if part.position > through]

    def _check_room(self, letters: Sequence[DeadLetter], outcome: Outcome) -> None:
        kept = self.cursor.stats()
        size = kept.dead_bytes + sum(len(letter.record) for letter in letters)
        if kept.dead_letters + len(letters) > MAX_DEAD_LETTERS or size > MAX_DEAD_BYTES:
            if not self.sink.ordered:
                self.cursor.accept(runs(self.batch, outcome.written))
            raise ConfigError(
                f"{kept.dead_letters} dead letters ({kept.dead_bytes} bytes) are kept, and {MAX_DEAD_LETTERS} or "
                f"{MAX_DEAD_BYTES} bytes are the most: look at them with `pumpkit dlq ls`, then replay or purge them"
            )

    def patiently(self, call: Callable[[], T]) -> T:
        """Call the buffer until it answers."""
        tries = 0
        while True:
            try:
                return call()
            except BufferUnavailable as error:
                tries += 1
                self.watcher.pause(min(backoff(tries), LONGEST_BUFFER_PAUSE), f"the buffer: {error}")


def backoff(tries: int) -> float:
    """Return how long to wait after so many failed tries, in seconds: uniform(0, min(30, 0.5 * 2^n))."""
    return uniform(0, longest_pause(tries))
