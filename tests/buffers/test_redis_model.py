"""The buffer in Redis against models of it, through whatever sequence of events hypothesis finds."""

from collections.abc import Iterator

import pytest
import redis
from hypothesis import settings
from machine import ANY_SPEED, BufferMachine

from tests.servers.fixtures import program
from tests.servers.redis import RedisServer

_running: list[RedisServer] = []


@pytest.fixture(scope="module", autouse=True)
def _server() -> Iterator[None]:
    """Run a server for these tests."""
    _running.append(RedisServer(program()).start())
    yield
    _running.pop().stop()


class ContractMachine(BufferMachine):
    """What every buffer does, in Redis."""

    def __init__(self) -> None:
        super().__init__()
        self.client = redis.Redis(port=_running[0].port)
        self.client.flushall()
        self.url = f"{_running[0].url}?name=model"

    def positions(self) -> list[int]:
        """Return the positions of all frames in the log."""
        return [int(id_.split(b"-")[0]) for id_, _ in self.client.xrange("{model}:log")]

    def remove_log(self, everything: bool) -> None:
        """Remove the log, perhaps with what is known of it and its producers."""
        self.client.delete("{model}:log")
        if everything:
            self.client.delete("{model}:meta", "{model}:producers")

    def teardown(self) -> None:
        """Leave nothing behind."""
        super().teardown()
        self.client.close()


class TestRedisContractModel(ContractMachine.TestCase):  # type: ignore[misc, valid-type]
    """Some sequences of events."""

    settings = settings(max_examples=25, stateful_step_count=40, **ANY_SPEED)


@pytest.mark.slow
@pytest.mark.timeout(3_000)
class TestRedisContractModelAtLength(ContractMachine.TestCase):  # type: ignore[misc, valid-type]
    """Many, and longer ones."""

    settings = settings(max_examples=150, stateful_step_count=80, **ANY_SPEED)
