"""Its entry point names an object inside the module."""

import sys

import attrs

from pumpkit import Meta, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()

ENTRY = "conformance_entry_point_names_a_module:plugin"

plugin = sys.modules[__name__]


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Has no fault but in its packaging."""


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
