"""t-returns-false: answers something."""

from typing import Any

import attrs

from pumpkit import Meta, Records, hookimpl
from pumpkit_test_sinks.base import FileSink


@attrs.define(eq=False)
class ReturnsFalseSink(FileSink):
    """Writes, then returns False when provoked: whether it wrote is unknown."""

    @hookimpl
    def write_data(self, records: Records, ids: list[str], late: bool) -> Any:
        """Write, and leave it open whether it did."""
        self.accept(records, ids, late)
        return False if any(map(self.provokes, records)) and self.armed() else None


@hookimpl
def new(meta: Meta) -> ReturnsFalseSink:
    """Make the sink."""
    return meta.into(ReturnsFalseSink)
