"""It gathers a batch in a list of the module, which all sinks of the process share."""

import time

import attrs

from pumpkit import Meta, Record, Records, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()


GATHERED: list[Record] = []


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Has no list of its own."""

    @hookimpl
    def write_data(self, records: Records, ids: list[str], timeout: float | None) -> None:
        """Gather, then send."""
        GATHERED.clear()
        GATHERED.extend(records)
        time.sleep(0.005)  # as long as a conversion may take
        super().write_data(list(GATHERED), ids, timeout)


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
