"""When it sends a batch in several requests its indices are those of the request."""

import attrs

from pumpkit import Meta, PartialWrite, Records, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Counts each request from 0."""

    @hookimpl
    def write_data(self, records: Records, ids: list[str], timeout: float | None) -> None:
        """Write; name what was rejected by its place in its request."""
        try:
            super().write_data(records, ids, timeout)
        except PartialWrite as error:
            lines = {
                index: self.encode(record, id_) for index, (record, id_) in enumerate(zip(records, ids, strict=True))
            }
            named = {
                part.index(index): error.rejected[index]
                for part in self.parts(lines)
                for index in part
                if index in error.rejected
            }
            raise PartialWrite(named) from error


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
