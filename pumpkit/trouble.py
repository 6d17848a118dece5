"""What killed a pump's worker: the records it had in hand, remembered by the runner for the worker that follows."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import attrs

from pumpkit.batch import Batch
from pumpkit.buffers.base import Position
from pumpkit.deliver import Failure, Kind

#: What a worker does with plugin code; records are in hand in all but the first and the last.
Stage = Literal["init", "select", "shorten", "write", "replay", "close"]

#: A record's place in the log: its frame's position, and its index in the frame.
Place = tuple[Position, int]

NOWHERE: Place = (0, 0)


@attrs.frozen
class Trouble:
    """A worker died in `stage` with the records `first` to `last` in hand.

    `accepted` is how many writes had succeeded before, over all workers of the pump: it tells whether there was a
    witness between two deaths.
    """

    stage: Stage
    first: Place
    last: Place
    kind: Kind
    accepted: int

    def within(self, other: "Trouble") -> bool:
        """Return whether this one lies in the other and is smaller: the search for the culprit gets on."""
        return (
            self.stage == other.stage
            and other.first <= self.first
            and self.last <= other.last
            and (self.first, self.last) != (other.first, other.last)
        )

    def to_json(self) -> dict[str, Any]:
        """Return what travels to the worker."""
        return attrs.asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Trouble":
        """Take up what the runner sent."""
        return cls(**document | {"first": tuple(document["first"]), "last": tuple(document["last"])})


def failures(trouble: Iterable[Trouble], batch: Batch, numbers: Sequence[int]) -> list[Failure]:
    """Return trouble as failed writes of those of its records that are among these."""
    starts = {slot.delivery.position: slot.start for slot in batch.slots}
    found = []
    for one in trouble:
        if one.first[0] in starts and one.last[0] in starts:
            first, last = (starts[position] + index for position, index in (one.first, one.last))
            part = [number for number in numbers if first <= number <= last]
            if part:
                found.append(Failure(part, one.kind, one.accepted, alone=one.first == one.last))
    return found
