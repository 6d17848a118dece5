"""t-nth: dies in every n-th write of a process."""

import os
import signal

import attrs

from pumpkit import Meta, Records, hookimpl
from pumpkit_test_sinks.base import FileSink


@attrs.define(eq=False)
class NthSink(FileSink):
    """SIGKILLs itself before or after the `calls`th write of this process is in the file."""

    calls: int = 3
    accepted: bool = False

    @hookimpl
    def write_data(self, records: Records, ids: list[str], late: bool) -> None:
        """Write, or die."""
        dies = self.writes + 1 == self.calls and any(map(self.provokes, records)) and self.armed()
        if not dies or self.accepted:
            self.accept(records, ids, late)
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)


@hookimpl
def new(meta: Meta) -> NthSink:
    """Make the sink."""
    return meta.into(NthSink)
