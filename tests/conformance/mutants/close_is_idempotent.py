"""It takes a second `close` for a fault of whoever calls it."""

import attrs

from pumpkit import Meta, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Is strict."""

    @hookimpl
    def close(self) -> None:
        """Close what is open."""
        was_open = self._is_open
        super().close()
        if not was_open:
            raise RuntimeError("is not open")


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
