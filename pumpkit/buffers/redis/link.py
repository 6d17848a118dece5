"""Talking to the server: one script at a time, within a time, and never twice unless that is harmless.

redis-py repeats commands by itself, ten times by default. Clients are made without that (`connect`): an entry handed
out twice is lost to the one who asked, and only the caller knows what may be repeated.
"""

import contextlib
import functools
import hashlib
import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import redis

from pumpkit.buffers.redis.connect import connect, explained
from pumpkit.buffers.redis.url import Place
from pumpkit.errors import BufferUnavailable

#: Seconds that a call may take unless somebody says otherwise.
PATIENCE = 5.0

#: Clients are kept by the seconds they wait for an answer; the longest that is not too long is taken.
_TIMEOUTS = (0.05, 0.25, 1.0, 5.0, 60.0)

#: Clients of parents of this process. To collect them would close them, and for that wait for locks that nobody holds.
_parked: list[dict[float, Any]] = []

_LUA = Path(__file__).parent / "lua"

Argument = bytes | str | int


class Script(NamedTuple):
    """A script as the server knows it."""

    source: bytes
    sha: str


@functools.cache
def script(name: str) -> Script:
    """Return the script in `lua/NAME.lua`."""
    source = (_LUA / "common.lua").read_bytes() + (_LUA / f"{name}.lua").read_bytes()
    return Script(source, hashlib.sha1(source, usedforsecurity=False).hexdigest())  # as EVALSHA wants it


class Link:
    """Connections to one place. Threads may share it; a forked process connects anew."""

    def __init__(self, place: Place, timeout: float = PATIENCE) -> None:
        """Connect when it is first needed. `timeout` is what a call may take, in seconds, that names none."""
        self.place = place
        self._timeout = timeout
        self._clients: dict[float, Any] = {}
        self._guard = threading.RLock()  # what is collected meanwhile may have something to say to the server
        self._pid = os.getpid()
        self._closed = False

    def call(
        self, name: str, keys: Sequence[str], arguments: Iterable[Argument] = (), *, timeout: float | None = None
    ) -> Any:
        """Run a script whose repetition is harmless: a connection that the server had closed is made again.

        Raises BufferUnavailable and what else `explained` does.
        """
        arguments = list(arguments)
        with explained(self.place, lambda: self._closed):
            client = self.client(timeout)
            try:
                return _run(client, script(name), keys, arguments)
            except redis.TimeoutError:
                raise
            except redis.ConnectionError:
                return _run(self.client(timeout), script(name), keys, arguments)

    def call_once(self, name: str, keys: Sequence[str], arguments: Iterable[Argument] = ()) -> Any:
        """Run a script that must not be repeated. Whoever calls sees to what may have happened if this raises."""
        with explained(self.place, lambda: self._closed):
            return _run(self.client(), script(name), keys, list(arguments))

    def call_then(
        self,
        name: str,
        keys: Sequence[str],
        arguments: Iterable[Argument],
        then: Sequence[Argument],
        *,
        timeout: float | None = None,
    ) -> tuple[Any, Any]:
        """Run a script and a command right after it on the same connection, as WAIT needs it; return both answers.

        An answer may be a redis.ResponseError.
        """
        arguments = list(arguments)
        with explained(self.place, lambda: self._closed):
            client = self.client(timeout)
            answers = _run_then(client, script(name), keys, arguments, then)
            if isinstance(answers[0], redis.exceptions.MovedError) and isinstance(client, redis.RedisCluster):
                _look_around(client)
                answers = _run_then(client, script(name), keys, arguments, then)
            if isinstance(answers[0], Exception):
                raise answers[0]
            return answers[0], answers[1]

    def command(self, *words: Argument, timeout: float | None = None) -> Any:
        """Run one command that reads, or is harmless to repeat."""
        with explained(self.place, lambda: self._closed):
            client = self.client(timeout)
            try:
                return client.execute_command(*words)
            except redis.TimeoutError:
                raise
            except redis.ConnectionError:
                return self.client(timeout).execute_command(*words)

    def client(self, timeout: float | None = None) -> Any:
        """Return a client that waits for about `timeout` seconds at most. Raises BufferUnavailable once closed."""
        seconds = self.patience(self._timeout if timeout is None else timeout)
        self._begin_if_forked()
        with self._guard:
            if self._closed:
                raise BufferUnavailable(f"{self.place.shown} is closed")
            if seconds not in self._clients:
                self._clients[seconds] = connect(self.place, seconds)
            return self._clients[seconds]

    def patience(self, timeout: float) -> float:
        """Return how many seconds a call with this `timeout` waits for an answer: a tenth longer, or less."""
        return max((known for known in _TIMEOUTS if known <= 1.1 * timeout), default=_TIMEOUTS[0])

    def close(self) -> None:
        """Close every connection. Idempotent."""
        self._begin_if_forked()
        with self._guard:
            self._closed = True
            clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            client.close()

    def _begin_if_forked(self) -> None:
        """In a forked child, connect anew. The guard may have been held in the parent, whose clients are left alone."""
        if self._pid != os.getpid():
            _parked.append(self._clients)
            self._guard, self._clients, self._pid = threading.RLock(), {}, os.getpid()


def _run(client: Any, known: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
    try:
        return client.evalsha(known.sha, len(keys), *keys, *arguments)
    except redis.exceptions.NoScriptError:
        pass  # the server was restarted, or told to forget
    return client.eval(known.source, len(keys), *keys, *arguments)


def _run_then(
    client: Any, known: Script, keys: Sequence[str], arguments: Sequence[Argument], then: Sequence[Argument]
) -> list[Any]:
    """Run a script and a command on one connection. In a cluster that is one to a node, past what knows the nodes."""
    cluster = client if isinstance(client, redis.RedisCluster) else None
    if cluster is not None:
        client = cluster.get_redis_connection(cluster.get_node_from_key(keys[0]))  # type: ignore[no-untyped-call]
    for again in (False, True):
        try:
            with client.pipeline(transaction=False) as pipe:
                pipe.execute_command("EVALSHA", known.sha, len(keys), *keys, *arguments)
                pipe.execute_command(*then)
                answers: list[Any] = pipe.execute(raise_on_error=False)
        except (redis.ConnectionError, redis.TimeoutError):
            if cluster is not None:
                _look_around(cluster)
            raise
        if again or not isinstance(answers[0], redis.exceptions.NoScriptError):
            break
        client.script_load(known.source)
    return answers


def _look_around(cluster: "redis.RedisCluster") -> None:
    """Learn anew which node of a cluster has which slots, if one of them answers."""
    with contextlib.suppress(redis.RedisError, redis.exceptions.RedisClusterException):
        cluster.nodes_manager.initialize()
