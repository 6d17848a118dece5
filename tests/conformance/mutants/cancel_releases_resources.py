"""It forgets the connection of a write that ran out of time, and does not close it."""

import sys

import attrs

from pumpkit import Meta, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Leaves sockets open."""

    def let_go(self) -> None:
        """Leave the socket as it is, if something has gone wrong."""
        if sys.exc_info()[0] is not None and self._connection is not None and self._connection.sock is not None:
            self._connection.sock.detach()
        super().let_go()


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
