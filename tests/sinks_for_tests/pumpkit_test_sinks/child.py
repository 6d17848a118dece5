"""t-child: leaves a process behind."""

import os
import time

import attrs

from pumpkit import Meta, hookimpl
from pumpkit_test_sinks.base import FileSink


@attrs.define(eq=False)
class ChildSink(FileSink):
    """Starts a process that outlives its worker and holds its pipes and locks, unless somebody ends it."""

    def misbehave(self) -> None:
        """Fork a sleeper, once."""
        if self.writes == 0 and os.fork() == 0:
            time.sleep(600)
            os._exit(0)


@hookimpl
def new(meta: Meta) -> ChildSink:
    """Make the sink."""
    return meta.into(ChildSink)
