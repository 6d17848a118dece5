"""t-exit-filter: t-exit in its filter."""

import attrs

from pumpkit import Meta, hookimpl
from pumpkit_test_sinks.exit import ExitSink


@attrs.define(eq=False)
class ExitFilterSink(ExitSink):
    """Misbehaves over a record that it is asked about."""

    where: str = "filters"


@hookimpl
def new(meta: Meta) -> ExitFilterSink:
    """Make the sink."""
    return meta.into(ExitFilterSink)
