"""It sorts a batch by a field of its records, for a better index."""

import attrs

from pumpkit import Meta, PartialWrite, Records, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Puts records of one user side by side."""

    @hookimpl
    def write_data(self, records: Records, ids: list[str], timeout: float | None) -> None:
        """Sort, then write; name what was rejected by its place in the list given."""
        order = sorted(range(len(records)), key=lambda index: str(records[index].get("username")))
        try:
            super().write_data([records[index] for index in order], [ids[index] for index in order], timeout)
        except PartialWrite as error:
            raise PartialWrite({order[index]: reason for index, reason in error.rejected.items()}) from error


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
