"""t-thread: leaves a thread behind."""

import threading

import attrs

from pumpkit import Meta, hookimpl
from pumpkit_test_sinks.base import FileSink


@attrs.define(eq=False)
class ThreadSink(FileSink):
    """Starts a thread, not a daemon, that never ends."""

    def misbehave(self) -> None:
        """Start it, once."""
        if self.writes == 0:
            threading.Thread(target=threading.Event().wait, name="t-thread").start()


@hookimpl
def new(meta: Meta) -> ThreadSink:
    """Make the sink."""
    return meta.into(ThreadSink)
