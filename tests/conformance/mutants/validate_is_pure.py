"""It makes its working directory as soon as it is made, and not when it connects."""

from pathlib import Path

import attrs

from pumpkit import Meta, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Has a directory before it needs one."""

    def __attrs_post_init__(self) -> None:
        Path(__file__).with_name("spool").mkdir(exist_ok=True)


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
