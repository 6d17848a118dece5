"""t-unmarked: forgot the marker, so pluggy would never call it."""

import attrs

from pumpkit import Meta, Records, hookimpl


@attrs.define(eq=False)
class UnmarkedSink:
    """Looks like a sink."""

    path: str

    def write_data(self, records: Records, ids: list[str]) -> None:
        """Never called."""
        raise AssertionError("called without its marker")


@hookimpl
def new(meta: Meta) -> UnmarkedSink:
    """Make the sink."""
    return meta.into(UnmarkedSink)
