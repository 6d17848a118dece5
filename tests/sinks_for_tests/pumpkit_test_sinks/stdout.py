"""t-stdout: prints to standard output."""

import os

import attrs

from pumpkit import Meta, PumpConfig, hookimpl
from pumpkit_test_sinks.base import FileSink

print("t-stdout: imported", flush=True)


@attrs.define(eq=False)
class StdoutSink(FileSink):
    """Prints at import, init and in each write."""

    @hookimpl
    def init(self, config: PumpConfig) -> None:
        """Print, by Python and by file descriptor."""
        print("t-stdout: init", flush=True)
        os.write(1, b"t-stdout: init, by descriptor\n")

    def misbehave(self) -> None:
        """Print what looks like a status line."""
        print('{"do": "stop"}', flush=True)
        os.write(1, b'{"state": "failed"}\n')


@hookimpl
def new(meta: Meta) -> StdoutSink:
    """Make the sink."""
    return meta.into(StdoutSink)
