"""Which records were decided before, so that what is handed out again after a crash is written once.

It is enough to know the last ones. The log hands out again at most the frames that it handed out last, in the same
order: one frame of at most 2,000 records, which may come in several batches, or frames that came in one batch, of up
to 100,000 (`batch-records`). They may come again in smaller batches, if that setting was changed meanwhile. So what is
known is cut down to the bounds below only by a batch that has a record never seen before: the log has then handed out
again all that it had to.
"""

import itertools
import operator
from collections.abc import Mapping, Sequence

import attrs

#: How many producers are remembered, at least those of the last batch, and all until something newer comes.
PRODUCERS = 1_024

#: How many rejected records are remembered, in the same way: more than one frame has. How many late ones, at least
#: those of the last batch: a pump replays fewer at a time.
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
        firsts = _last_of_each(ids[::-1])
        if all(sequence >= marks.get(producer, 0) for producer, sequence in firsts.items()):
            return range(len(ids))  # as it mostly is
        rejected = set(self.rejected)
        return [index for index, id_ in enumerate(ids) if id_ in rejected or self._is_new(id_)]

    def _is_new(self, id_: str) -> bool:
        producer, _, sequence = id_.rpartition("-")
        return int(sequence) >= self.next_seq.get(producer, 0)

    def after(self, ids: Sequence[str], rejected: Sequence[str], late: bool) -> "Seen":
        """Return what is known once a whole batch was decided, and some of it rejected.

        `ids` are those of the whole batch, with what was written before: it may be handed out again, too.
        """
        if late:
            written = set(ids).difference(rejected)
            earlier = [id_ for id_ in self.late if id_ not in written]
            return attrs.evolve(self, late=_last(earlier, [id_ for id_ in ids if id_ in written], RECORDS))
        lasts = _last_of_each(ids)
        marks = {producer: max(last + 1, self.next_seq.get(producer, 0)) for producer, last in lasts.items()}
        kept = {producer: mark for producer, mark in self.next_seq.items() if producer not in marks}
        decided = set(ids) if self.rejected else set()
        earlier = [id_ for id_ in self.rejected if id_ not in decided]
        if all(self.next_seq.get(producer) == mark for producer, mark in marks.items()):  # nothing newer
            return attrs.evolve(self, next_seq=kept | marks, rejected=[*earlier, *rejected])
        surplus = max(0, len(kept) + len(marks) - max(PRODUCERS, len(marks)))
        kept = dict(itertools.islice(kept.items(), surplus, None))
        return attrs.evolve(self, next_seq=kept | marks, rejected=_last(earlier, rejected, RECORDS))


def _last_of_each(ids: Sequence[str]) -> dict[str, int]:
    """Return the sequence of the last id of each producer; raises ValueError for what is no record id."""
    stem = ids[-1][: ids[-1].rfind("-") + 1] if ids else ""
    if all(map(operator.methodcaller("startswith", stem), ids)):  # of one producer, as they mostly are
        ids = ids[-1:]
    ends = {producer: sequence for producer, _, sequence in map(_SPLIT, ids)}
    try:
        return {producer: int(sequence) for producer, sequence in ends.items()}
    except ValueError:
        wrong = [sequence for sequence in ends.values() if not sequence.isdecimal()]
        raise ValueError(f"a record id ends in a sequence, not in {', '.join(wrong)!r:.80}") from None


def _last(earlier: Sequence[str], new: Sequence[str], most: int) -> list[str]:
    together = [*earlier, *new]
    return together[-max(most, len(new)) :]
