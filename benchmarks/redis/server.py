"""The server of these benchmarks, what is put into it, and what it used."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import redis

from benchmarks.authz import records
from benchmarks.backlog import fill
from benchmarks.rounds import Measures
from benchmarks.world import PATIENCE, PUMP
from pumpkit.dialects import DEFAULT_KEYS, encoder
from tests.servers.redis import KINDS, RedisServer, find

#: The list that iam-authz-server fills and iam-pump drains.
LIST = DEFAULT_KEYS["iam"]

#: Different records; the items of a list repeat them.
_DIFFERENT = 2_000

#: Items pushed by one command while a list is filled, and seconds between two looks at how far a pump is.
_PUSHED = 500
_LOOK = 0.01


class Server:
    """A server that runs, as one process sees it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = connect(url)

    def empty(self) -> None:
        """Remove everything, and forget what was counted."""
        self.client.flushall()
        self.client.config_resetstat()
        self.client.slowlog_reset()

    def fill_log(self, frames: int, size: int) -> None:
        """Put frames of `size` records into the log, as reporters would have."""
        fill(self.url, frames, size)

    def fill_list(self, count: int) -> None:
        """Put records into the list, as iam-authz-server would have."""
        items = itertools.islice(itertools.cycle(go_items()), count)
        while some := list(itertools.islice(items, _PUSHED)):
            self.client.rpush(LIST, *some)

    def memory(self) -> int:
        """Return the bytes of memory in use."""
        return int(self.client.info("memory")["used_memory"])

    def cpu(self) -> float:
        """Return the seconds of processor time that the server has used so far."""
        used = self.client.info("cpu")
        return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])

    def longest_command(self) -> float:
        """Return the milliseconds of the longest command since `empty`, of those over a millisecond; else 1."""
        return max([1.0, *(float(one["duration"]) / 1e3 for one in self.client.slowlog_get(128))])

    def delivered(self) -> int:
        """Return how many records the pump has delivered and committed."""
        found: Any = self.client.hget(f"{{pumpkit}}:pump:{PUMP}", "delivered")
        return int(found or 0)

    def drained(self, count: int, after: float = 0.0) -> "Drained":
        """Wait until the pump has delivered so many records; the time counts from when it has this part of them."""
        first = self._progress(lambda done: done > after * count)
        began, used = time.monotonic(), self.cpu()
        last = self._progress(lambda done: done >= count)
        return Drained(last - first, time.monotonic() - began, self.cpu() - used)

    def _progress(self, enough: Callable[[int], bool]) -> int:
        deadline = time.monotonic() + PATIENCE
        while not enough(delivered := self.delivered()):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{delivered} records were delivered within {PATIENCE} s")
            time.sleep(_LOOK)
        return delivered


class Drained:
    """How many records were delivered in how many seconds, and the processor seconds the server used meanwhile."""

    def __init__(self, records: int, seconds: float, server: float) -> None:
        self.per_second = records / max(seconds, 1e-9)
        self.server_share = server / max(seconds, 1e-9)


def go_items() -> list[bytes]:
    """Return records as iam-authz-server writes them."""
    encode = encoder("iam")
    return [encode(record) for record in records(_DIFFERENT)]


@contextmanager
def running() -> Iterator[Server]:
    """Start a server. Raises RuntimeError if none is installed."""
    program = next(filter(None, map(find, KINDS)), None)
    if program is None:
        raise RuntimeError(f"no Redis is installed; it comes from {' or '.join(KINDS.values())}")
    process = RedisServer(program, "--slowlog-log-slower-than", "1000").start()
    try:
        server = Server(process.url)
        with closing(server.client):
            yield server
    finally:
        process.stop()


def connect(url: str) -> Any:
    """Return a client as one has it who writes everything by hand."""
    return redis.Redis.from_url(url)


def rates(records: int, cpu: float, seconds: float) -> Measures:
    """Return what is measured of a way to carry so many records."""
    return {CPU: 1e6 * cpu / records, RATE: records / seconds}


CPU, RATE = "cpu_us", "records_per_second"
