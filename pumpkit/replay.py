"""Dead letters that a person marked: the pump's own worker writes or forgets them, between batches.

A replayed record goes to the sink as it was to get it, under the same id and with `late=True`. What is written is
deleted; what is refused stays a dead letter, with the new reason and without its mark. The delivery rules are those
of every batch; only that a letter which killed a worker alone is not tried again.
"""

import time
from collections.abc import Sequence

import attrs

from pumpkit.buffers.base import DeadLetter
from pumpkit.deliver import Dead, Memory, deliver
from pumpkit.hookspecs import Records
from pumpkit.ids import split_record_id
from pumpkit.pump import Pump, backoff
from pumpkit.trouble import Place, Trouble
from pumpkit.values import unpack_record

#: Dead letters taken up at a time, so that new records never wait long for old ones.
LETTERS = 500


class Replayer:
    """What one pump's worker does about marked dead letters."""

    def __init__(self, pump: Pump, trouble: Sequence[Trouble] = ()) -> None:
        self._pump = pump
        self._killers = [one for one in trouble if one.stage == "replay"]
        self._numbers: dict[str, int] = {}  # letter id -> its number in `deliver`, the same at every try
        self._memory = Memory()
        self._accepted_seen = pump.memory.accepted
        self._held_tries = 0
        self._next_try = 0.0

    def turn(self) -> int:
        """Carry out what is asked of some dead letters; return how many were asked for."""
        if time.monotonic() < self._next_try:
            return 0
        letters = self._pump.cursor.marked(1 if self._killers else LETTERS)
        if not letters:
            return 0
        purged = [letter.id for letter in letters if letter.mark == "purge"]
        todo: dict[int, DeadLetter] = {}
        failed: list[DeadLetter] = []
        for letter in letters:
            if letter.mark == "replay":
                dead = self._hopeless(letter)
                if dead:
                    failed.append(_failed(letter, dead))
                else:
                    todo[self._numbers.setdefault(letter.id, len(self._numbers))] = letter
        replayed = self._deliver(todo, failed) if todo else []
        self._pump.cursor.resolve(replayed, purged, failed)
        return len(letters)

    def _deliver(self, todo: dict[int, DeadLetter], failed: list[DeadLetter]) -> list[str]:
        """Write letters; return the ids of those written, and add to `failed` what was refused."""
        pump = self._pump

        def write(numbers: Sequence[int]) -> None:
            some = [todo[number] for number in numbers]
            with pump.watcher.watch("replay", _place(some[0]), _place(some[-1]), pump.timeout):
                records: Records = [unpack_record(letter.record) for letter in some]
                pump.sink.write(records, [letter.id for letter in some], pump.timeout, late=True)

        self._memory.accepted += pump.memory.accepted - self._accepted_seen  # they are witnesses too
        self._accepted_seen = pump.memory.accepted
        policy = attrs.evolve(pump.policy, accepted=lambda numbers: None)
        outcome = deliver(sorted(todo), write, policy, self._memory)
        self._held_tries = self._held_tries + 1 if outcome.held else 0
        self._next_try = time.monotonic() + backoff(self._held_tries) if outcome.held else 0.0
        failed += [_failed(todo[dead.number], dead) for dead in outcome.dead]
        return [todo[number].id for number in outcome.written]

    def _hopeless(self, letter: DeadLetter) -> Dead | None:
        """Return why a letter cannot be replayed at all, if so."""
        try:
            unpack_record(letter.record)
            place = _place(letter)
        except ValueError as error:
            return Dead(0, "bad-frame", f"it cannot be replayed, only purged: {error}")
        for killer in self._killers:
            if killer.first == killer.last == place:
                return Dead(0, killer.kind, f"the worker died replaying it: {killer.kind}")
        return None


def _place(letter: DeadLetter) -> Place:
    """Return where the letter is: its frame's position, and its sequence, since its index in the frame is not kept."""
    _, sequence = split_record_id(letter.id)
    return letter.position, sequence


def _failed(letter: DeadLetter, dead: Dead) -> DeadLetter:
    now = time.time_ns() // 1_000_000
    attempts = letter.attempts + dead.attempts
    return letter._replace(at_ms=now, kind=dead.kind, reason=dead.reason, attempts=attempts, mark=None)
