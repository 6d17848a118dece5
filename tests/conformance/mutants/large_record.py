"""It cuts long text, so that a record fits into its column."""

import attrs

from pumpkit import Meta, Record, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Has room for 256 KiB of text."""

    def encode(self, record: Record, id_: str) -> bytes:
        """Cut what is too long."""
        return super().encode({k: v[: 256 << 10] if isinstance(v, str) else v for k, v in record.items()}, id_)


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
