"""Its wheel holds its tests, as a package of their own."""

import attrs

from pumpkit import Meta, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()

BESIDE = ["tests/__init__.py", "tests/test_sink.py"]


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Has no fault but in its packaging."""


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
