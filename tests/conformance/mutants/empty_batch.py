"""It looks at the first record of a batch, which may have none."""

import attrs

from pumpkit import Meta, Records, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Names the batch after its first id."""

    batch: str = attrs.field(default="", init=False, repr=False)

    @hookimpl
    def write_data(self, records: Records, ids: list[str], timeout: float | None) -> None:
        """Note which batch it is, then write."""
        self.batch = ids[0]
        super().write_data(records, ids, timeout)


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
