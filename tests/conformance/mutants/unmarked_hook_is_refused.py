"""It has a method `filter`, which is to narrow what it gets; the hook is `filters`."""

import attrs

from pumpkit import Meta, Predicate, PumpConfig, Record, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Gets everything all the same."""

    def filter(self, config: PumpConfig) -> Predicate:
        """Return what it wants."""

        def wanted(record: Record) -> bool:
            return record.get("effect") != "ignored"

        return wanted


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
