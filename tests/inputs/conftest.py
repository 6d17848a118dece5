"""Real servers, real importers as processes of their own, and what Go programs put into lists."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import redis

from pumpkit.buffers import Buffer, open_buffer
from pumpkit.buffers.base import Counts
from pumpkit.config.inputs import InputConfig
from pumpkit.dialects import DEFAULT_KEYS, encoder
from pumpkit.frames import decode
from pumpkit.ids import record_ids
from tests.servers.redis import RedisServer

#: The longest wait, in seconds, for anything to happen.
PATIENCE = 60.0

KEY = DEFAULT_KEYS["iam"]

ENCODE = encoder("iam")


def items(first: int, count: int) -> list[bytes]:
    """Return what iam-authz-server writes, each with a number of its own."""
    return [
        ENCODE({"timestamp": 1_700_000_000, "username": str(number), "effect": "allow", "request": "x" * 100})
        for number in range(first, first + count)
    ]


def until(condition: Callable[[], bool], what: str = "") -> None:
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


class Importer:
    """An importer process, as a runner starts it."""

    def __init__(self, config: InputConfig, buffer: str) -> None:
        command = [sys.executable, "-P", "-m", "pumpkit.inputs.importer", config.name]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.said: list[dict[str, Any]] = []
        self.errors: list[str] = []
        self.send(
            {
                "v": 1,
                "input": config.name,
                "config": attrs.asdict(config),
                "buffer": buffer,
                "slot": "here",
                "purge_delay": 0.02,
                "runner": os.getpid(),
            }
        )
        self._threads = [threading.Thread(target=read) for read in (self._read_status, self._read_errors)]
        for thread in self._threads:
            thread.start()

    def send(self, order: dict[str, Any]) -> None:
        """Send it a line."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.process.stdin.flush()

    def _read_status(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.said.append(json.loads(line))

    def _read_errors(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.errors.append(line.decode())

    @property
    def states(self) -> list[str]:
        """Every state it told, in order."""
        return [one["state"] for one in self.said if one["status"] == "state"]

    @property
    def reason(self) -> str:
        """The reason of the last state."""
        return str([one["reason"] for one in self.said if one["status"] == "state"][-1])

    @property
    def counts(self) -> dict[str, Any]:
        """What it counted last."""
        return next((one for one in reversed(self.said) if one["status"] == "counts"), {})

    @property
    def memory(self) -> int:
        """The most memory it has had, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) >> 10

    def wait_for(self, state: str) -> "Importer":
        """Wait until it is in a state."""
        until(lambda: self.states[-1:] == [state], f"{state}: {self.said[-3:]} {self.errors}")
        return self

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.process.kill()
        self.end()

    def stop(self) -> int:
        """Stop it as a runner does."""
        with contextlib.suppress(BrokenPipeError):
            self.send({"do": "stop"})
        return self.end()

    def end(self) -> int:
        """Wait for its end; return its exit code."""
        code = self.process.wait(PATIENCE)
        for thread in self._threads:
            thread.join(PATIENCE)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        return code


class Log:
    """A buffer with one pump, which reads all that was ever stored."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.buffer: Buffer = open_buffer(url)
        self.buffer.register("audit")
        self._cursors = [part.cursor("audit") for part in self.buffer.parts()]
        self.records: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.bad: list[tuple[str, bytes]] = []
        self.sources: set[str] = set()

    def read(self) -> "Log":
        """Take all there is."""
        for cursor in self._cursors:
            while fetched := cursor.fetch(100_000, 1 << 24):
                for delivery in fetched:
                    content = decode(delivery.frame)
                    ids = record_ids(content.header.producer, content.header.first, content.header.total)
                    self.ids += ids
                    self.sources.add(content.header.source)
                    self.records += content.records
                    self.bad += [(reason, raw) for _, reason, raw in content.bad]
                cursor.commit(fetched[-1].position, Counts(delivered=sum(one.total for one in fetched)))
        return self

    @property
    def numbers(self) -> list[int]:
        """The numbers of the records, in order of arrival."""
        return [int(record["username"]) for record in self.records]

    def check_numbers(self, count: int) -> None:
        """Assert that every record is there once."""
        self.read()
        assert Counter(self.numbers) == Counter(range(count))

    def check(self, count: int) -> None:
        """Assert that every record is there once, under an id of its own."""
        self.check_numbers(count)
        assert len(set(self.ids)) == len(self.ids)
        stats = self.buffer.stats()
        assert stats.lost == 0
        assert stats.stored == len(self.ids)

    def first_numbers(self, count: int) -> list[int]:
        """Return the numbers of the first records, without those that follow."""
        fetched = self._cursors[0].fetch(count, 1 << 30)
        return [int(record["username"]) for delivery in fetched for record in decode(delivery.frame).records]

    def forget(self) -> None:
        """Close it, if it is open."""
        if self._cursors:
            for cursor in self._cursors:
                cursor.close()
            self.buffer.close()
        self._cursors = []


class World:
    """A Redis with lists in it, logs, and importers; all ends with the test."""

    def __init__(self, server: RedisServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.url = server.url  # where importers find the lists
        self.client: redis.Redis = server.client()
        self._number = 0
        self._importers: list[Importer] = []
        self._logs: list[Log] = []

    def log(self, where: str) -> Log:
        """Return a log in the same Redis (`within`), in a file (`across`), or at a URL."""
        self._number += 1
        ways = {"within": self.url, "across": f"sqlite:///{self.folder}/log{self._number}.db"}
        log = Log(ways.get(where, where))
        self._logs.append(log)
        return log

    def clean(self) -> None:
        """Let go of all logs, and empty the server."""
        for log in self._logs:
            log.forget()
        self.client.flushall()

    def config(self, **settings: Any) -> InputConfig:
        """Return an input."""
        return InputConfig(**{"name": "authz", "dialect": "iam", "url": self.url, "batch": 50, **settings})

    def importer(self, log: Log, port: int | None = None, **settings: Any) -> Importer:
        """Start an importer; with `port` it goes to the Redis through a proxy there."""
        config, url = self.config(**settings), log.url
        if port is not None:
            here, there = f":{self.server.port}", f":{port}"
            config, url = attrs.evolve(config, url=self.url.replace(here, there)), url.replace(here, there)
        importer = Importer(config, url)
        self._importers.append(importer)
        return importer

    def close(self) -> None:
        """End everything but the server."""
        for importer in self._importers:
            if importer.process.poll() is None:
                importer.process.send_signal(signal.SIGCONT)
                importer.kill()
            elif importer.process.stdout and not importer.process.stdout.closed:
                importer.end()
            print(importer.errors, importer.said[-5:])  # which pytest shows if the test failed
        for log in self._logs:
            log.forget()
        self.client.close()


@pytest.fixture
def world(redis_server: RedisServer, tmp_path: Path) -> Iterator[World]:
    """An empty Redis and what belongs to it; of each kind in turn for tests that ask for `redis_kind`."""
    world = World(redis_server, tmp_path)
    yield world
    world.close()
