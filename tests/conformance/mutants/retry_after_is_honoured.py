"""It does not look at the pause that a busy server asks for."""

from typing import Any

import attrs

from pumpkit import Meta, Unavailable, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Leaves the pause to the pump."""

    def request(self, method: str, body: bytes, timeout: float | None) -> Any:
        """Ask, and say no more than that it was in vain."""
        try:
            return super().request(method, body, timeout)
        except Unavailable as error:
            raise Unavailable(str(error)) from error.__cause__


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
