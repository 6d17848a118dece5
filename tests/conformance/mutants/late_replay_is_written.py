"""It skips what lies below the batch it wrote last, also when that is a replay."""

import attrs

from pumpkit import Meta, Records, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Takes what is early for what is there."""

    last: dict[str, int] = attrs.field(factory=dict, init=False, repr=False)

    @hookimpl
    def write_data(self, records: Records, ids: list[str], timeout: float | None) -> None:
        """Write, unless something later was written."""
        if not ids:
            return
        producer, _, sequence = ids[0].rpartition("-")
        if int(sequence) < self.last.get(producer, 0):
            return
        super().write_data(records, ids, timeout)
        self.last[producer] = int(sequence)


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
