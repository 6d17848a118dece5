"""It keeps to the connection of `init`, also when the server has ended it."""

from typing import Any

import attrs

from pumpkit import Meta, Unavailable, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ("transient_is_retryable",)


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Connects once."""

    _is_broken: bool = attrs.field(default=False, init=False, repr=False)

    def request(self, method: str, body: bytes, timeout: float | None) -> Any:
        """Use the connection that there is."""
        if self._is_broken:
            raise Unavailable("the connection is gone")
        try:
            return super().request(method, body, timeout)
        except Unavailable as error:
            self._is_broken = isinstance(error.__cause__, ConnectionResetError | BrokenPipeError)
            raise


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
