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
        if not self._is_open:
            raise RuntimeError("is not open")
        super().close()


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
