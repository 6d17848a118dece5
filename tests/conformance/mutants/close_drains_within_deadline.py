"""After a write that failed, its `close` waits for the server, as long as it takes."""

import contextlib

import attrs

from pumpkit import ConfigError, Meta, Records, Unavailable, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Says goodbye, and waits for the answer."""

    _failed: bool = attrs.field(default=False, init=False, repr=False)

    @hookimpl
    def write_data(self, records: Records, ids: list[str], timeout: float | None) -> None:
        """Note whether it went well."""
        self._failed = True
        super().write_data(records, ids, timeout)
        self._failed = False

    @hookimpl
    def close(self) -> None:
        """Ask whether the server has it after all."""
        if self._failed:
            self._failed = False
            with contextlib.suppress(Unavailable, ConfigError):
                self.request("GET", b"", None)
        super().close()


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
