"""t-ordered: accepts everything, strictly in order."""

from typing import ClassVar

import attrs

from pumpkit import Meta, hookimpl
from pumpkit_test_sinks.base import FileSink


@attrs.define(eq=False)
class OrderedSink(FileSink):
    """An ordered sink is never halved."""

    ordered: ClassVar[bool] = True


@hookimpl
def new(meta: Meta) -> OrderedSink:
    """Make the sink."""
    return meta.into(OrderedSink)
