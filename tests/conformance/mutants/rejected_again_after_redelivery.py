"""It remembers what it has decided, and skips it when it comes again, also what it rejected."""

import attrs

from pumpkit import Meta, PartialWrite, Records, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ("poison_record_is_permanent",)


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Says of what it rejected that it wrote it, the second time."""

    rejected: set[str] = attrs.field(factory=set, init=False, repr=False)

    @hookimpl
    def write_data(self, records: Records, ids: list[str], timeout: float | None) -> None:
        """Write what was not rejected before."""
        new = [index for index, id_ in enumerate(ids) if id_ not in self.rejected]
        try:
            super().write_data([records[index] for index in new], [ids[index] for index in new], timeout)
        except PartialWrite as error:
            rejected = {new[index]: reason for index, reason in error.rejected.items()}
            self.rejected.update(ids[index] for index in rejected)
            raise PartialWrite(rejected) from error


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
