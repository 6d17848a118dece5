"""The default of a setting is half a second, and its type takes whole numbers."""

import attrs

from pumpkit import Meta, hookimpl, key
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Has a setting that nobody can write down."""

    pause: int = key(0.5, about="Seconds between two requests.")


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
