"""When it was connected and not written to, it leaves a line that says so."""

import attrs

from pumpkit import Meta, Records, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ("init_then_close_without_write",)


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Keeps a diary where the records are."""

    _is_idle: bool = attrs.field(default=True, init=False, repr=False)

    @hookimpl
    def write_data(self, records: Records, ids: list[str], timeout: float | None) -> None:
        """Note that something came."""
        self._is_idle = False
        super().write_data(records, ids, timeout)

    @hookimpl
    def close(self) -> None:
        """Note that nothing came."""
        if self._is_open and self._is_idle:
            self.request("PUT", b'{"_id": "idle", "event": "nothing to do"}', 10.0)
        super().close()


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
