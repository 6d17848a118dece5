"""It takes a refused token for a refused batch, and rejects every record."""

import contextlib

import attrs

from pumpkit import ConfigError, Meta, PartialWrite, PumpConfig, Records, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ("connection_test_truthful",)


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Makes dead letters of good records."""

    @hookimpl
    def init(self, config: PumpConfig) -> None:
        """Connect; the writes will tell."""
        with contextlib.suppress(ConfigError):
            super().init(config)
        self._is_open = True

    @hookimpl
    def write_data(self, records: Records, ids: list[str], timeout: float | None) -> None:
        """Write; reject what the server did not take."""
        try:
            super().write_data(records, ids, timeout)
        except ConfigError as error:
            raise PartialWrite(dict.fromkeys(range(len(records)), str(error))) from error


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
