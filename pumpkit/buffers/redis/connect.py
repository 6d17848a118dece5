"""Connecting to Redis: clients that never repeat a command by themselves, for one server, sentinels and clusters.

redis-py repeats a command whose answer got lost. For a command that changes something, only its caller knows whether
that is harmless: here every failure comes to the caller at once, and `explained` says in words what it is. Redirections
inside a cluster (MOVED, ASK) are followed: they say that nothing was done.
"""

import os
from collections.abc import Iterator
from typing import Any, TypeAlias

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.credentials import CredentialProvider
from redis.retry import Retry
from redis.sentinel import SentinelConnectionPool

from pumpkit.buffers.redis.explain import explained, explanation
from pumpkit.buffers.redis.url import Login, Place
from pumpkit.errors import BufferConfigError, BufferError, BufferUnavailable

__all__ = ["Client", "connect", "explained", "sentinel_states"]

Client: TypeAlias = redis.Redis | redis.RedisCluster


def connect(place: Place, timeout: float) -> Client:
    """Return a client for a place; it connects when it is first used, for a cluster at once.

    `timeout` is in seconds and bounds every single answer; connecting takes at most the `connect-timeout` of the URL
    as well. Answers are bytes. Passwords in files and in the environment are read anew for every connection. Raises
    BufferConfigError for files that cannot be read; a cluster also BufferUnavailable.
    """
    options = _options(place, place.login, timeout)
    if place.mode == "unix":
        return redis.Redis(unix_socket_path=place.path, db=place.db, **options)
    if place.mode == "single":
        (host, port), *_ = place.hosts
        return redis.Redis(host=host, port=port, db=place.db, **options)
    if place.mode == "sentinel":
        pool = SentinelConnectionPool(place.master, _Sentinels(place, timeout), db=place.db, **options)  # type: ignore[no-untyped-call]
        return redis.Redis.from_pool(pool)
    nodes = [ClusterNode(host, port) for host, port in place.hosts]  # type: ignore[no-untyped-call]
    with explained(place):
        return redis.RedisCluster(startup_nodes=nodes, **options)


def sentinel_states(place: Place, timeout: float) -> Iterator[tuple[str, "dict[str, Any] | BufferError"]]:
    """Yield what each sentinel is called, and what it says of the master, or why it says nothing."""
    for _, who, state in _Sentinels(place, timeout).states(place.master):
        yield who, state


def _options(place: Place, login: Login, timeout: float) -> dict[str, Any]:
    """Return the options that all kinds of clients share."""
    options: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": min(timeout, place.connect_timeout),
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "client_name": place.client_name,
    }
    if login != Login():
        login.read()  # what is missing is said now, not at the first command
        options["credential_provider"] = _Credentials(login)
    if place.tls:
        files = {"ca-file": place.ca_file, "cert-file": place.cert_file, "key-file": place.key_file}
        for name, file in files.items():
            if file is not None and not os.access(file, os.R_OK):
                raise BufferConfigError(f"{place.shown}: {file}, named by {name}, is not there or cannot be read")
        checked = place.verify_cert
        options |= {"ssl": True, "ssl_cert_reqs": "required" if checked else "none"}
        options["ssl_check_hostname"] = checked and place.verify_host
        options |= {"ssl_ca_certs": place.ca_file, "ssl_certfile": place.cert_file, "ssl_keyfile": place.key_file}
    return options


class _Credentials(CredentialProvider):
    """User and password, read for every connection: a new password in the file is good for the next one."""

    def __init__(self, login: Login) -> None:
        self._login = login

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        username, password = self._login.read()
        return (username, password or "") if username else (password or "",)


class _Sentinels:
    """Asks sentinels for their master, whenever a connection to it is made.

    In place of redis-py's `Sentinel`, which keeps to itself why a sentinel did not answer, and keeps a connection to
    each open.
    """

    def __init__(self, place: Place, timeout: float) -> None:
        self._place = place
        self._first = 0  # the sentinel that answered last is asked first
        self._options = _options(place, place.sentinel_login, min(timeout, place.connect_timeout))

    def discover_master(self, service_name: str) -> tuple[str, int]:
        """Return where the master is. Raises BufferUnavailable, or BufferConfigError if no sentinel can know it."""
        failures: list[BufferError] = []
        down = False
        for number, _, state in self.states(service_name):
            if isinstance(state, BufferError):
                failures.append(state)
            elif state["is_sdown"] or state["is_odown"] or not state["is_master"]:
                down = True
            else:
                self._first = number
                return state["ip"], state["port"]
        if down or not failures:
            raise BufferUnavailable(
                f"{self._place.shown}: the master {service_name} is down, and the sentinels have not promoted a replica"
                " yet; trying again finds it once they have"
            )
        # One that cannot be reached may know better than one that answered.
        raise next((error for error in failures if not isinstance(error, BufferConfigError)), failures[0])

    def states(self, service_name: str) -> Iterator[tuple[int, str, "dict[str, Any] | BufferError"]]:
        """Ask one sentinel after the other; yield its number, what it is called, and what it says of the master."""
        hosts = self._place.hosts
        for step in range(len(hosts)):
            number = (self._first + step) % len(hosts)
            host, port = hosts[number]
            who = f"the sentinel {host}:{port}"
            try:
                with redis.Redis(host=host, port=port, **self._options) as sentinel:
                    masters = sentinel.sentinel_masters()
            except (redis.RedisError, OSError) as error:
                yield number, who, explanation(self._place, error, who)
                continue
            if service_name in masters:
                yield number, who, masters[service_name]
            else:
                known = f"knows no master {service_name!r}, only {', '.join(sorted(masters)) or 'none'}"
                yield number, who, BufferConfigError(f"{self._place.shown}: {who} {known}")
