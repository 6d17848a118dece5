"""It notes its process when it is made, and takes any other for an intruder."""

import os

import attrs

from pumpkit import Meta, PumpConfig, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Belongs to the process that made it."""

    _process: int = attrs.field(factory=os.getpid, init=False, repr=False)

    @hookimpl
    def init(self, config: PumpConfig) -> None:
        """Connect, at home."""
        if os.getpid() != self._process:
            raise RuntimeError("made in another process")
        super().init(config)


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
