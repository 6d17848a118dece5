"""The contract of buffers in Redis, for every way to keep and to reach it: sentinels, clusters, TLS, a socket file."""

from typing import Any

import pytest
from contract import BufferContract

from pumpkit.buffers.redis.connect import connect
from pumpkit.buffers.redis.url import parse


class Home:
    """A buffer of a name of its own, wherever the servers are."""

    def __init__(self, url: str) -> None:
        self.url = f"{url}{'&' if '?' in url else '?'}name=contract"

    def remove(self) -> None:
        """Remove the log, as servers without persistence do that are restarted."""
        client = connect(parse(self.url), 5.0)
        client.delete(*(f"{{contract}}:{what}" for what in ("log", "meta", "producers")))
        client.close()


class TestSentinel(BufferContract):
    """Behind sentinels, with a replica."""

    @pytest.fixture
    def home(self, redis_sentinel: Any) -> Home:
        return Home(redis_sentinel.url)


class TestCluster(BufferContract):
    """In a cluster."""

    @pytest.fixture
    def home(self, redis_cluster: Any) -> Home:
        return Home(redis_cluster.url)


class TestTls(BufferContract):
    """Over TLS."""

    @pytest.fixture
    def home(self, redis_tls: Any) -> Home:
        return Home(redis_tls.url)


class TestSocket(BufferContract):
    """At a socket file."""

    @pytest.fixture
    def home(self, redis_server: Any) -> Home:
        return Home(redis_server.unix_url)
