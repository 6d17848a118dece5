"""It logs, for those who look for a fault, what it sends, with the token in the header."""

import logging
from typing import Any

import attrs

from pumpkit import Meta, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Tells too much at level DEBUG."""

    def request(self, method: str, body: bytes, timeout: float | None) -> Any:
        """Log the request, then send it."""
        headers = {"Authorization": f"Bearer {self.token.reveal()}"}
        logging.getLogger(__name__).debug("%s, %s bytes, %s", method, len(body), headers)
        return super().request(method, body, timeout)


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
