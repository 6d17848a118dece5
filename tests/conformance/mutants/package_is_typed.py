"""Its package has types, and no `py.typed`."""

import attrs

from pumpkit import Meta, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()

FILES = {"README": "no marker"}


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Has no fault but in its packaging."""


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
