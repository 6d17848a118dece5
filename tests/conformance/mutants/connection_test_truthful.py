"""Its `init` logs that the server is away and returns, as if all were well."""

import logging

import attrs

from pumpkit import Meta, PumpConfig, Unavailable, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Connects later, if it can."""

    @hookimpl
    def init(self, config: PumpConfig) -> None:
        """Try to connect."""
        try:
            super().init(config)
        except Unavailable as error:
            logging.getLogger(__name__).warning("not yet connected: %s", error)
            self._is_open = True


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
