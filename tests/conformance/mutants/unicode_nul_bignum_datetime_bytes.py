"""It leaves out what it cannot encode, with a line in the log."""

import logging

import attrs

from pumpkit import Meta, PartialWrite, Records, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Loses records, and says so where nobody looks."""

    @hookimpl
    def write_data(self, records: Records, ids: list[str], timeout: float | None) -> None:
        """Write what can be encoded."""
        good = []
        for index, (record, id_) in enumerate(zip(records, ids, strict=True)):
            try:
                self.encode(record, id_)
                good.append(index)
            except (ValueError, TypeError) as error:
                logging.getLogger(__name__).warning("left out %s: %s", id_, error)
        try:
            super().write_data([records[index] for index in good], [ids[index] for index in good], timeout)
        except PartialWrite as error:
            raise PartialWrite({good[index]: reason for index, reason in error.rejected.items()}) from error


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
