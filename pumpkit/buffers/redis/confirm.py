"""How sure it is that what a script wrote stays: waiting for the server's disk, or for its replicas."""

import time
from collections.abc import Iterable, Sequence
from typing import Any

import redis

from pumpkit.buffers.base import Confirm
from pumpkit.buffers.redis.link import Argument, Link
from pumpkit.errors import BufferConfigError, Unconfirmed

#: Seconds of a call's patience that are kept back when the server is to wait: it looks at its clock ten times a second.
_MARGIN = 0.15

#: The shortest patience that leaves time to wait.
_SHORTEST = 0.25

#: Seconds for which it is believed that the server syncs each write: that can be changed while it runs.
_BELIEF = 5.0


class Confirmation:
    """Runs scripts that write, and whose repetition is harmless, until what they wrote is confirmed."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._aof_always = False
        self._asked_at = -_BELIEF

    def call(
        self, name: str, keys: Sequence[str], arguments: Iterable[Argument], confirm: Confirm, timeout: float
    ) -> Any:
        """Run a script and return its answer. `timeout` is in seconds.

        Raises Unconfirmed while it is written but not confirmed, BufferConfigError if it can never be.
        """
        if confirm == "stored" or (confirm == "synced" and self._syncs_always()):
            return self._link.call(name, keys, arguments, timeout=timeout)
        timeout = max(timeout, _SHORTEST)
        milliseconds = int(1000 * (self._link.patience(timeout) - _MARGIN))
        replicas = self._link.place.replicas
        then = ("WAIT", replicas, milliseconds) if confirm == "replicated" else ("WAITAOF", 1, 0, milliseconds)
        answer, reached = self._link.call_then(name, keys, arguments, then, timeout=timeout)
        self._check(confirm, reached)
        return answer

    def _check(self, confirm: Confirm, reached: Any) -> None:
        shown, replicas = self._link.place.shown, self._link.place.replicas
        if isinstance(reached, redis.ResponseError):
            advice = "set `appendonly yes`" if "appendonly" in str(reached) else "set `appendfsync always`"
            raise BufferConfigError(f"{shown} cannot confirm records as {confirm}: {reached}; {advice}")
        if isinstance(reached, Exception):
            raise Unconfirmed(f"{shown}: stored, and not known to be {confirm}: {reached}") from reached
        if confirm == "replicated" and reached < replicas:
            raise Unconfirmed(f"{shown}: stored, but only {reached} of {replicas} replicas have it")
        if confirm == "synced" and reached[0] < 1:
            raise Unconfirmed(f"{shown}: stored, but not synced to its disk in time")

    def _syncs_always(self) -> bool:
        """Whether the server syncs each write before it answers, so that nothing has to be waited for."""
        if time.monotonic() - self._asked_at >= _BELIEF:
            self._asked_at = time.monotonic()
            try:
                said = self._link.command("CONFIG", "GET", "append*")
            except BufferConfigError:  # not allowed to ask
                self._aof_always = False
            else:
                pairs = dict(said.items() if isinstance(said, dict) else zip(said[::2], said[1::2], strict=True))
                self._aof_always = pairs.get(b"appendonly") == b"yes" and pairs.get(b"appendfsync") == b"always"
        return self._aof_always
