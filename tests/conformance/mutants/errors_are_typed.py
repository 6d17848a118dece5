"""It says that the server is away without a word why."""

import attrs

from pumpkit import Meta, Records, Unavailable, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Is short."""

    @hookimpl
    def write_data(self, records: Records, ids: list[str], timeout: float | None) -> None:
        """Write, or be unavailable."""
        try:
            super().write_data(records, ids, timeout)
        except Unavailable as error:
            raise Unavailable(retry_after=error.retry_after) from error


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
