"""It writes the names of fields in lower case, as some databases do."""

import attrs

from pumpkit import Meta, Record, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Has one case."""

    def encode(self, record: Record, id_: str) -> bytes:
        """Change the names."""
        return super().encode({name.lower(): value for name, value in record.items()}, id_)


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
