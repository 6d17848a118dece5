"""It makes ids of its own, so that a record written again is there twice."""

import attrs

from pumpkit import Meta, Record, Records, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ("late_replay_is_written", "parts_of_a_batch_are_each_written")


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Adds to each id how often it was written."""

    times: dict[str, int] = attrs.field(factory=dict, init=False, repr=False)

    def encode(self, record: Record, id_: str) -> bytes:
        """Number the second and later ones."""
        times = self.times.get(id_, 0)
        return super().encode(record, f"{id_}#{times}" if times else id_)

    @hookimpl
    def write_data(self, records: Records, ids: list[str], timeout: float | None) -> None:
        """Count what was written."""
        super().write_data(records, ids, timeout)
        for id_ in ids:
            self.times[id_] = self.times.get(id_, 0) + 1


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
