"""t-hang-filter: t-hang in its filter."""

import attrs

from pumpkit import Meta, hookimpl
from pumpkit_test_sinks.hang import HangSink


@attrs.define(eq=False)
class HangFilterSink(HangSink):
    """Misbehaves over a record that it is asked about."""

    where: str = "filters"


@hookimpl
def new(meta: Meta) -> HangFilterSink:
    """Make the sink."""
    return meta.into(HangFilterSink)
