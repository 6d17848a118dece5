"""It connects again by itself when it is written to after `close`."""

import attrs

from pumpkit import Meta, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Does not know that it is closed."""

    @hookimpl
    def close(self) -> None:
        """Close the connection, and nothing more."""
        is_open = self._is_open
        super().close()
        self._is_open = is_open


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
