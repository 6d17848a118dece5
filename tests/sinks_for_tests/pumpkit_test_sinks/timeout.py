"""t-timeout: asks for a time limit of its own, then exceeds it."""

import attrs

from pumpkit import Meta, PumpConfig, hookimpl
from pumpkit_test_sinks.hang import HangSink


@attrs.define(eq=False)
class TimeoutSink(HangSink):
    """Its `timeout` hook answers `seconds`."""

    seconds: float = 1.0

    @hookimpl
    def timeout(self, config: PumpConfig) -> float:
        """Answer what the configuration does not say."""
        return self.seconds


@hookimpl
def new(meta: Meta) -> TimeoutSink:
    """Make the sink."""
    return meta.into(TimeoutSink)
