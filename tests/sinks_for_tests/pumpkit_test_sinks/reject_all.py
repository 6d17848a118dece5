"""t-reject-all: accepts nothing."""

import attrs

from pumpkit import Meta, Record, hookimpl
from pumpkit_test_sinks.reject import RejectSink


@attrs.define(eq=False)
class RejectAllSink(RejectSink):
    """Refuses every record by itself."""

    def provokes(self, record: Record) -> bool:
        """Return True: every record does."""
        return True


@hookimpl
def new(meta: Meta) -> RejectAllSink:
    """Make the sink."""
    return meta.into(RejectAllSink)
