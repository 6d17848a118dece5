"""t-poison: knows only batch errors."""

import attrs

from pumpkit import Meta, hookimpl
from pumpkit_test_sinks.base import FileSink


@attrs.define(eq=False)
class PoisonSink(FileSink):
    """Refuses a whole batch over one record, without saying which."""

    def misbehave(self) -> None:
        """Refuse the batch."""
        raise ValueError("cannot write this batch")


@hookimpl
def new(meta: Meta) -> PoisonSink:
    """Make the sink."""
    return meta.into(PoisonSink)
