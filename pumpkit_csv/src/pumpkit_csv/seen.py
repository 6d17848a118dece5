"""Which records were decided before, so that what is handed out again after a crash is written once.

It is enough to know the last ones: the log hands out again at most what it handed out last, in the same order for
every producer, and that is either at most 1,000 records (`batch-records`) or one frame of at most 2,000.
"""

import itertools
import operator
from collections.abc import Iterable, Mapping, Sequence

import attrs

#: How many producers are remembered, at least those of the last batch.
PRODUCERS = 1_024

#: How many rejected and how many late records are remembered, at least those of the last batch.
RECORDS = 2_048


#: Takes a record id apart: producer, dash, sequence.
_SPLIT = operator.methodcaller("rpartition", "-")


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

    def fresh(self, ids: Sequence[str], late: bool) -> Sequence[int]:
        """Return the indexes of the ids that are not written yet. Raises ValueError for what is no record id."""
        if late:
            written = set(self.late)
            return [index for index, id_ in enumerate(ids) if id_ not in written]
        marks = self.next_seq
        firsts = _last_of_each(reversed(ids))
        if all(sequence >= marks.get(producer, 0) for producer, sequence in firsts.items()):
            return range(len(ids))  # as it mostly is
        rejected = set(self.rejected)
        return [index for index, id_ in enumerate(ids) if id_ in rejected or self._is_new(id_)]

    def _is_new(self, id_: str) -> bool:
        producer, _, sequence = id_.rpartition("-")
        return int(sequence) >= self.next_seq.get(producer, 0)

    def after(self, ids: Sequence[str], rejected: Sequence[str], late: bool) -> "Seen":
        """Return what is known once all these were decided, and some of them rejected."""
        if late:
            refused = set(rejected)
            written = [id_ for id_ in ids if id_ not in refused]
            return attrs.evolve(self, late=_last(self.late, written, RECORDS))
        lasts = _last_of_each(ids)
        marks = {producer: max(last + 1, self.next_seq.get(producer, 0)) for producer, last in lasts.items()}
        kept = {producer: mark for producer, mark in self.next_seq.items() if producer not in marks}
        surplus = max(0, len(kept) + len(marks) - max(PRODUCERS, len(marks)))
        kept = dict(itertools.islice(kept.items(), surplus, None))
        decided = set(ids) if self.rejected else set()
        earlier = [id_ for id_ in self.rejected if id_ not in decided]
        return attrs.evolve(self, next_seq=kept | marks, rejected=_last(earlier, rejected, RECORDS))


def _last_of_each(ids: Iterable[str]) -> dict[str, int]:
    """Return the sequence of the last id of each producer; raises ValueError for what is no record id."""
    ends = {producer: sequence for producer, _, sequence in map(_SPLIT, ids)}
    try:
        return {producer: int(sequence) for producer, sequence in ends.items()}
    except ValueError:
        wrong = [sequence for sequence in ends.values() if not sequence.isdecimal()]
        raise ValueError(f"a record id ends in a sequence, not in {', '.join(wrong)!r:.80}") from None


def _last(earlier: Sequence[str], new: Sequence[str], most: int) -> list[str]:
    together = [*earlier, *new]
    return together[-max(most, len(new)) :]
