"""It computes with the `timeout` of a write, which may be None."""

from typing import Any

import attrs

from pumpkit import Meta, Records, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Leaves a tenth of the time for the way back."""

    @hookimpl
    def write_data(self, records: Records, ids: list[str], timeout: Any) -> None:
        """Write in nine tenths of the time."""
        super().write_data(records, ids, timeout * 0.9)


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
