"""It remembers what it wrote by the number in an id, which every producer counts from 0."""

import attrs

from pumpkit import Meta, PartialWrite, Records, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Takes one producer for another."""

    written: set[str] = attrs.field(factory=set, init=False, repr=False)

    @hookimpl
    def write_data(self, records: Records, ids: list[str], timeout: float | None) -> None:
        """Write the numbers that are new."""
        new = [index for index, id_ in enumerate(ids) if id_.rpartition("-")[2] not in self.written]
        rejected: dict[int, str] = {}
        try:
            super().write_data([records[index] for index in new], [ids[index] for index in new], timeout)
        except PartialWrite as error:
            rejected = {new[index]: reason for index, reason in error.rejected.items()}
        self.written.update(ids[index].rpartition("-")[2] for index in new if index not in rejected)
        if rejected:
            raise PartialWrite(rejected)


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
