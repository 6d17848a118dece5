"""When the server rejects a whole batch it takes the server to be away."""

import attrs

from pumpkit import Meta, PartialWrite, Records, Unavailable, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Blames the server for a record that came alone."""

    @hookimpl
    def write_data(self, records: Records, ids: list[str], timeout: float | None) -> None:
        """Write; try again later if nothing of it was stored."""
        try:
            super().write_data(records, ids, timeout)
        except PartialWrite as error:
            if len(error.rejected) == len(records):
                raise Unavailable("the shelf takes nothing") from error
            raise


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
