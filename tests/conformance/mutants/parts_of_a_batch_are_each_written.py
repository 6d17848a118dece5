"""It remembers batches by their first id, and takes one that begins alike for the same."""

import attrs

from pumpkit import Meta, Records, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Looks at one record of a batch."""

    begun: set[str] = attrs.field(factory=set, init=False, repr=False)

    @hookimpl
    def write_data(self, records: Records, ids: list[str], timeout: float | None) -> None:
        """Write, unless a batch that begins so was written."""
        if ids and ids[0] in self.begun:
            return
        super().write_data(records, ids, timeout)
        self.begun.update(ids[:1])


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
