"""It says that it wrote, and keeps the records until there are two."""

from typing import Any

import attrs

from pumpkit import Meta, Records, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ("poison_record_is_permanent",)


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Forgets a lone record."""

    @hookimpl
    def write_data(self, records: Records, ids: list[str], timeout: float | None) -> Any:
        """Write, if it is worth it."""
        if len(records) > 1:
            super().write_data(records, ids, timeout)


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
