"""It takes a destination that is away for a mistake in the configuration."""

from typing import Any

import attrs

from pumpkit import ConfigError, Meta, Unavailable, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ("reconnect_after_server_restart",)


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Waits for a person, instead of for the server."""

    def request(self, method: str, body: bytes, timeout: float | None) -> Any:
        """Turn one verdict into another."""
        try:
            return super().request(method, body, timeout)
        except Unavailable as error:
            if method == "PUT" and isinstance(error.__cause__, ConnectionError):
                raise ConfigError(str(error)) from error
            raise


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
