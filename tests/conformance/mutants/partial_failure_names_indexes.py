"""Of the errors that a server tells it passes on the first."""

import attrs

from pumpkit import Meta, PartialWrite, Records, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ("outcome_arithmetic",)


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Stops at the first error."""

    @hookimpl
    def write_data(self, records: Records, ids: list[str], timeout: float | None) -> None:
        """Write; name one record that was rejected."""
        try:
            super().write_data(records, ids, timeout)
        except PartialWrite as error:
            raise PartialWrite(dict(sorted(error.rejected.items())[:1])) from error


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
