"""t-hang: never returns."""

import ctypes
import re
import time

import attrs

from pumpkit import Meta, hookimpl
from pumpkit_test_sinks.base import FileSink


@attrs.define(eq=False)
class HangSink(FileSink):
    """Hangs in a sleep, in a C call that holds the interpreter's lock, or in a runaway regular expression."""

    how: str = "sleep"

    def misbehave(self) -> None:
        """Hang."""
        match self.how:
            case "sleep":
                time.sleep(100_000)
            case "gil":
                ctypes.PyDLL(None).sleep(100_000)
            case "regex":
                re.match("(a+)+$", "a" * 100 + "b")
            case _:
                raise ValueError(f"how: {self.how!r}")


@hookimpl
def new(meta: Meta) -> HangSink:
    """Make the sink."""
    return meta.into(HangSink)
