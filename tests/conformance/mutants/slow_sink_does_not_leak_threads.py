"""It writes in a thread, and after the timeout leaves that thread waiting for its answer."""

import threading
from typing import Any

import attrs

from pumpkit import ConfigError, Meta, Unavailable, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Gives up by not looking any more."""

    def request(self, method: str, body: bytes, timeout: float | None) -> Any:
        """Wait for a thread, which waits for the server."""
        came: list[Any] = []
        thread = threading.Thread(target=self._ask, args=(method, body, came), daemon=True)
        thread.start()
        thread.join(timeout)
        if not came:
            raise Unavailable("no answer in time")
        if isinstance(came[0], Exception):
            raise came[0]
        return came[0]

    def _ask(self, method: str, body: bytes, came: list[Any]) -> None:
        asking = ReferenceSink(url=self.url, token=self.token)
        try:
            came.append(asking.request(method, body, None))
        except (Unavailable, ConfigError) as error:
            came.append(error)
        finally:
            asking.let_go()


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
