"""It logs each record that it wrote."""

import logging

import attrs

from pumpkit import Meta, Records, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Tells everything."""

    @hookimpl
    def write_data(self, records: Records, ids: list[str], timeout: float | None) -> None:
        """Write, and say so."""
        super().write_data(records, ids, timeout)
        for id_ in ids:
            logging.getLogger(__name__).info("written: %s", id_)


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
