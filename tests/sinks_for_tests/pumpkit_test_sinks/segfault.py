"""t-segfault: dies of SIGSEGV."""

import ctypes

import attrs

from pumpkit import Meta, hookimpl
from pumpkit_test_sinks.base import FileSink


@attrs.define(eq=False)
class SegfaultSink(FileSink):
    """Reads the byte at address 0."""

    def misbehave(self) -> None:
        """Die."""
        ctypes.string_at(0)


@hookimpl
def new(meta: Meta) -> SegfaultSink:
    """Make the sink."""
    return meta.into(SegfaultSink)
