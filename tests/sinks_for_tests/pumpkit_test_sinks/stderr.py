"""t-stderr: floods standard error."""

import sys

import attrs

from pumpkit import Meta, hookimpl
from pumpkit_test_sinks.base import FileSink


@attrs.define(eq=False)
class StderrSink(FileSink):
    """Writes `size` bytes to standard error before each write: more than a pipe holds."""

    size: int = 1 << 20

    def misbehave(self) -> None:
        """Flood."""
        sys.stderr.write(("x" * 99 + "\n") * (self.size // 100))
        sys.stderr.flush()


@hookimpl
def new(meta: Meta) -> StderrSink:
    """Make the sink."""
    return meta.into(StderrSink)
