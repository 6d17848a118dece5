"""When it is closed it logs how long ago it began to write, which it may not have done."""

import logging
import time

import attrs

from pumpkit import Meta, Records, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Keeps the time."""

    _began: float | None = attrs.field(default=None, init=False, repr=False)

    @hookimpl
    def write_data(self, records: Records, ids: list[str], timeout: float | None) -> None:
        """Note when the first batch came."""
        self._began = self._began or time.monotonic()
        super().write_data(records, ids, timeout)

    @hookimpl
    def close(self) -> None:
        """Say how long it was in use."""
        if self._is_open:
            logging.getLogger(__name__).debug("in use for %s s", time.monotonic() - self._began)  # type: ignore[operator]
        super().close()


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
