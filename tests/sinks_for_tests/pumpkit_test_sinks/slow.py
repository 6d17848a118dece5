"""t-slow: takes its time."""

import time

import attrs

from pumpkit import Meta, hookimpl
from pumpkit_test_sinks.base import FileSink


@attrs.define(eq=False)
class SlowSink(FileSink):
    """Sleeps `seconds` before each write."""

    seconds: float = 0.1

    def misbehave(self) -> None:
        """Sleep."""
        time.sleep(self.seconds)


@hookimpl
def new(meta: Meta) -> SlowSink:
    """Make the sink."""
    return meta.into(SlowSink)
