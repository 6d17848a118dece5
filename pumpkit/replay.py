"""Dead letters that a person marked: the pump's own worker writes or forgets them, between batches.

A replayed record goes to the sink as it was to get it, under the same id and with `late=True`. What is written is
deleted at once; what is refused stays a dead letter, with the new reason and without its mark. A letter of the kind
`filter` holds the record as it came, and takes the steps before the sink again.

The delivery rules are those of every batch, but that refusals never stop the pump, that an ordered sink's letters may
be taken apart (they are out of order as it is), and that a letter which killed its worker alone, twice, is refused.
"""

import sys
import time
from collections import Counter
from collections.abc import Sequence

import attrs

from pumpkit.buffers.base import DeadLetter
from pumpkit.deliver import Dead, Failure, Kind, Memory, Outcome, deliver
from pumpkit.ids import split_record_id
from pumpkit.pump import Pump, backoff
from pumpkit.trouble import Place, Trouble
from pumpkit.values import pack_record, unpack_record

#: Dead letters taken up at a time, so that new records never wait long for old ones.
LETTERS = 500


@attrs.define
class _Replay:
    """A letter in hand. `record` is packed, and as the sink is to get it."""

    letter: DeadLetter
    place: Place
    record: bytes

    def refused(self, dead: Dead) -> DeadLetter:
        """Return the letter as it is kept from now on."""
        now = time.time_ns() // 1_000_000
        attempts = self.letter.attempts + dead.attempts
        return self.letter._replace(
            at_ms=now, kind=dead.kind, reason=dead.reason, attempts=attempts, record=self.record, mark=None
        )


class Replayer:
    """What one pump's worker does about marked dead letters. `trouble` are the deaths of workers in it."""

    def __init__(self, pump: Pump, trouble: Sequence[Trouble] = ()) -> None:
        self.trouble = [one for one in trouble if one.stage == "replay"]
        self._pump = pump
        self._numbers: dict[str, int] = {}  # letter id -> its number in `deliver`, the same at every try
        self._next_number = 0
        self._memory = Memory()
        self._accepted_seen = pump.memory.accepted
        self._held_tries = 0
        self._next_try = 0.0

    def turn(self) -> int:
        """Carry out what is asked of some dead letters; return how many were asked for."""
        if time.monotonic() < self._next_try:
            return 0
        letters = self._pump.patiently(lambda: self._pump.cursor.marked(LETTERS))
        purged = [letter.id for letter in letters if letter.mark == "purge"]
        failed: list[DeadLetter] = []
        replays = [self._replay(letter, failed) for letter in letters if letter.mark == "replay"]
        ready = [one for one in replays if one is not None and self._prepare(one, purged, failed)]
        outcome = self._deliver(sorted(ready, key=lambda one: one.place), failed)
        if purged or failed:
            self._pump.patiently(lambda: self._pump.cursor.resolve([], purged, failed))
        self.trouble = []
        self._held_tries = self._held_tries + 1 if outcome.held else 0
        self._next_try = time.monotonic() + backoff(self._held_tries) if outcome.held else 0.0
        return len(letters)

    def _replay(self, letter: DeadLetter, failed: list[DeadLetter]) -> _Replay | None:
        """Take a letter in hand, or fail it: it may be no record at all, or have killed two workers alone."""
        try:
            unpack_record(letter.record)
            _, sequence = split_record_id(letter.id)
        except ValueError as error:
            nowhere = _Replay(letter, (letter.position, 0), letter.record)
            failed.append(nowhere.refused(Dead(0, "bad-frame", f"it cannot be replayed, only purged: {error}", 0)))
            return None
        # Its index in the frame is not kept; its sequence orders letters as well.
        one = _Replay(letter, (letter.position, sequence), letter.record)
        alone = Counter(death.first for death in self.trouble if death.first == death.last)
        if alone[one.place] < 2:
            return one
        kind: Kind = next(death.kind for death in self.trouble if death.first == death.last == one.place)
        if letter.kind == "filter":
            kind = "filter"
        failed.append(one.refused(Dead(0, kind, f"the worker died twice replaying it: {kind}", 2)))
        return None

    def _prepare(self, one: _Replay, purged: list[str], failed: list[DeadLetter]) -> bool:
        """Let a record that came no further than the steps before the sink take them; return whether it is to go on.

        One that the pump does not want is forgotten, as it would have been filtered.
        """
        if one.letter.kind != "filter":
            return True
        record, pump = unpack_record(one.letter.record), self._pump
        try:
            with pump.watcher.watch("replay", one.place, one.place, pump.timeout):
                if pump.wanted is not None and not pump.wanted(record):
                    purged.append(one.letter.id)
                    return False
                one.record = pack_record(record if pump.look is None else pump.look(record))
        except (Exception, SystemExit) as error:
            failed.append(one.refused(Dead(0, "filter", f"{type(error).__name__}: {error!s:.2000}", 1)))
            return False
        return True

    def _deliver(self, replays: Sequence[_Replay], failed: list[DeadLetter]) -> Outcome:
        """Write letters; add to `failed` what was refused."""
        pump = self._pump
        hand = {self._number(one.letter.id): one for one in replays}

        def write(numbers: Sequence[int]) -> None:
            some = [hand[number] for number in numbers]
            with pump.watcher.watch("replay", some[0].place, some[-1].place, pump.timeout):
                records = [unpack_record(one.record) for one in some]
                pump.sink.write(records, [one.letter.id for one in some], pump.timeout, late=True)

        def accepted(numbers: Sequence[int]) -> None:
            ids = [hand[number].letter.id for number in numbers]
            pump.patiently(lambda: pump.cursor.resolve(ids, [], []))

        self._memory.accepted += pump.memory.accepted - self._accepted_seen  # they are witnesses too
        self._accepted_seen = pump.memory.accepted
        policy = attrs.evolve(pump.policy, ordered=False, reject_limit=sys.maxsize, accepted=accepted)
        deaths = [
            Failure(part, death.kind, 0, alone=False)
            for death in self.trouble
            if (part := [number for number, one in hand.items() if death.first <= one.place <= death.last])
        ]
        outcome = deliver(list(hand), write, policy, self._memory, deaths)
        failed += [hand[dead.number].refused(dead) for dead in outcome.dead]
        self._numbers = {one.letter.id: number for number in outcome.held if (one := hand[number])}
        return outcome

    def _number(self, id_: str) -> int:
        if id_ not in self._numbers:
            self._numbers[id_] = self._next_number
            self._next_number += 1
        return self._numbers[id_]
