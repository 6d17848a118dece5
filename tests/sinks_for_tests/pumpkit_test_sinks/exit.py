"""t-exit: leaves the process."""

import os
import signal
import sys

import attrs

from pumpkit import Meta, hookimpl
from pumpkit_test_sinks.base import FileSink


@attrs.define(eq=False)
class ExitSink(FileSink):
    """Leaves by sys.exit, os._exit or SIGKILL."""

    how: str = "sys"
    code: int = 3

    def misbehave(self) -> None:
        """Leave."""
        match self.how:
            case "sys":
                sys.exit(self.code)
            case "os":
                os._exit(self.code)
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case _:
                raise ValueError(f"how: {self.how!r}")


@hookimpl
def new(meta: Meta) -> ExitSink:
    """Make the sink."""
    return meta.into(ExitSink)
