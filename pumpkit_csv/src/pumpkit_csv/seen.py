"""Which records were decided before, so that what is handed out again after a crash is written once.

It is enough to know the last ones: the log hands out again at most what it handed out last, in the same order for
every producer, and that is either at most 1,000 records (`batch-records`) or one frame of at most 2,000.
"""

import itertools
from collections.abc import Mapping, Sequence

import attrs

#: How many producers are remembered, at least those of the last batch.
PRODUCERS = 1_024

#: How many rejected and how many late records are remembered, at least those of the last batch.
RECORDS = 2_048


@attrs.frozen
class Seen:
    """What was decided: written, or rejected with a reason.

    `next_seq` is, for each producer, the sequence after its last decided record. `rejected` are ids below those
    marks that were not written: they are judged again, by other settings perhaps. `late` are ids that were written
    when the pump replayed them. The latest are last in each.
    """

    next_seq: Mapping[str, int] = attrs.field(factory=dict)
    rejected: Sequence[str] = ()
    late: Sequence[str] = ()

    def fresh(self, ids: Sequence[str], late: bool) -> list[int]:
        """Return the indexes of the ids that are not written yet. Raises ValueError for what is no record id."""
        if late:
            written = set(self.late)
            return [index for index, id_ in enumerate(ids) if id_ not in written]
        marks, rejected = self.next_seq, set(self.rejected)
        return [
            index
            for index, (producer, sequence) in enumerate(map(_place, ids))
            if sequence >= marks.get(producer, 0) or ids[index] in rejected
        ]

    def after(self, ids: Sequence[str], rejected: Sequence[str], late: bool) -> "Seen":
        """Return what is known once all these were decided, and some of them rejected."""
        if late:
            refused = set(rejected)
            written = [id_ for id_ in ids if id_ not in refused]
            return attrs.evolve(self, late=_last(self.late, written, RECORDS))
        ends = dict(map(_place, ids))  # in order, so the last one of a producer stays
        marks = {producer: max(sequence + 1, self.next_seq.get(producer, 0)) for producer, sequence in ends.items()}
        kept = {producer: mark for producer, mark in self.next_seq.items() if producer not in marks}
        surplus = max(0, len(kept) + len(marks) - max(PRODUCERS, len(marks)))
        kept = dict(itertools.islice(kept.items(), surplus, None))
        if self.rejected:
            decided = set(ids)
            earlier = [id_ for id_ in self.rejected if id_ not in decided]
        else:
            earlier = []
        return attrs.evolve(self, next_seq=kept | marks, rejected=_last(earlier, rejected, RECORDS))


def _last(earlier: Sequence[str], new: Sequence[str], most: int) -> list[str]:
    together = [*earlier, *new]
    return together[-max(most, len(new)) :]


def _place(id_: str) -> tuple[str, int]:
    producer, _, sequence = id_.rpartition("-")
    try:
        return producer, int(sequence)
    except ValueError:
        raise ValueError(f"not a record id: {id_!r}") from None
