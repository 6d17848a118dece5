"""t-unavailable: a destination that is down."""

import attrs

from pumpkit import Meta, Unavailable, hookimpl
from pumpkit_test_sinks.base import FileSink


@attrs.define(eq=False)
class UnavailableSink(FileSink):
    """Raises Unavailable, or what a simple client would raise."""

    how: str = "unavailable"

    def misbehave(self) -> None:
        """Be away."""
        match self.how:
            case "unavailable":
                raise Unavailable("down for maintenance")
            case "connection":
                raise ConnectionRefusedError("connection refused")
            case "timeout":
                raise TimeoutError("timed out")
            case _:
                raise RuntimeError("cannot reach the server")


@hookimpl
def new(meta: Meta) -> UnavailableSink:
    """Make the sink."""
    return meta.into(UnavailableSink)
