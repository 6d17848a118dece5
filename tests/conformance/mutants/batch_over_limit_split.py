"""When it sends a batch in several requests it forgets the last one, which is not full."""

from collections.abc import Iterator

import attrs

from pumpkit import Meta, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ("outcome_arithmetic",)


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Sends what is full."""

    def parts(self, lines: dict[int, bytes]) -> Iterator[list[int]]:
        """Give the indices of each request but the last, if there are several."""
        parts = list(super().parts(lines))
        yield from parts[:-1] or parts


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
