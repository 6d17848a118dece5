"""t-segfault-filter: t-segfault in its filter."""

import attrs

from pumpkit import Meta, hookimpl
from pumpkit_test_sinks.segfault import SegfaultSink


@attrs.define(eq=False)
class SegfaultFilterSink(SegfaultSink):
    """Misbehaves over a record that it is asked about."""

    where: str = "filters"


@hookimpl
def new(meta: Meta) -> SegfaultFilterSink:
    """Make the sink."""
    return meta.into(SegfaultFilterSink)
