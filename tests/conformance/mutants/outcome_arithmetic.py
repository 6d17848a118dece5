"""When it sends a batch in several requests its indices are those of the request."""

from collections.abc import Iterator

import attrs

from pumpkit import Meta, PartialWrite, Records, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Counts each request from 0."""

    requests: list[list[int]] = attrs.field(factory=list, init=False, repr=False)

    def parts(self, lines: dict[int, bytes]) -> Iterator[list[int]]:
        """Note what is in which request."""
        self.requests = list(super().parts(lines))
        return iter(self.requests)

    @hookimpl
    def write_data(self, records: Records, ids: list[str], timeout: float | None) -> None:
        """Write; name what was rejected by its place in its request."""
        try:
            super().write_data(records, ids, timeout)
        except PartialWrite as error:
            places = {index: part.index(index) for part in self.requests for index in part}
            raise PartialWrite({places.get(index, index): why for index, why in error.rejected.items()}) from error


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
