"""The contract of buffers, for the one in Redis, over every kind of server."""

from collections.abc import Iterator

import pytest
from contract import BufferContract

from tests.conftest import missing
from tests.servers.redis import KINDS, RedisServer, find


class Name:
    """A buffer of its own name in a server."""

    def __init__(self, server: RedisServer, name: str) -> None:
        self._server = server
        self._name = name
        self.url = f"{server.url}?name={name}"

    def remove(self) -> None:
        """Remove the log, as a server without persistence does that is restarted."""
        with self._server.client() as client:
            client.delete(*(f"{{{self._name}}}:{what}" for what in ("log", "meta", "producers")))


def server(kind: str, *options: str) -> Iterator[RedisServer]:
    """Run a server of a kind for the tests of a class."""
    program = find(kind)
    if program is None:
        missing(kind, f"it comes from {KINDS[kind]}")
        return
    running = RedisServer(program, *options).start()
    yield running
    running.stop()


class RedisContract(BufferContract):
    """Every sentence of the contract, in one server."""

    kind = ""

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls) -> Iterator[RedisServer]:
        yield from server(cls.kind)

    @pytest.fixture
    def home(self, server: RedisServer, request: pytest.FixtureRequest) -> Iterator[Name]:
        yield Name(server, "contract")
        with server.client() as client:
            client.flushall()


class TestRedis7(RedisContract):
    """Debian's Redis 7."""

    kind = "redis7"


class TestValkey9(RedisContract):
    """Valkey 9."""

    kind = "valkey9"


class TestRedis6(RedisContract):
    """Redis 6.2, the oldest that is supported."""

    kind = "redis6"
