"""It takes the `timeout` of a write and waits as long as the server likes."""

import attrs

from pumpkit import Meta, Records, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = (
    "cancel_releases_resources",
    "slow_sink_does_not_leak_threads",
    "close_drains_within_deadline",
)


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Has no deadline for the answer to a write."""

    @hookimpl
    def write_data(self, records: Records, ids: list[str], timeout: float | None) -> None:
        """Write, without it."""
        super().write_data(records, ids, None)


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
