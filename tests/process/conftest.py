"""Real programs: `pumpkit run` and producers as a user starts them, and a check of what arrived."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pumpkit.buffers import open_buffer
from pumpkit.frames import pack_frame
from pumpkit.ids import new_producer
from pumpkit.values import RecordPacker

#: The longest wait, in seconds, for anything to happen.
PATIENCE = 60.0

SINKS = Path(__file__).parent.parent / "sinks_for_tests"


class Runner:
    """A `pumpkit run` process; its log can be read while it goes on."""

    def __init__(self, config: Path, *args: str) -> None:
        command = [sys.executable, "-m", "pumpkit", "run", "--config", str(config), *args]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, env=environment(), start_new_session=True)
        self.lines: list[str] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stderr
        with self.process.stderr:
            for line in self.process.stderr:
                self.lines.append(line.decode())

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return "".join(self.lines)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def wait(self) -> int:
        """Wait for its end; return the exit code."""
        code = self.process.wait(PATIENCE)
        self._thread.join(PATIENCE)
        return code

    def stop(self) -> int:
        """Stop it as a service manager does."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """Kill it, without a chance to do anything; its workers notice."""
        self.process.kill()
        self.wait()


def environment() -> dict[str, str]:
    """Return an environment in which workers find the sinks for tests."""
    return os.environ | {"PYTHONPATH": str(SINKS)}


def until(ask: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """Wait until the answer is true; return it."""
    deadline = time.monotonic() + patience
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"waited {patience} s in vain; the last answer: {answer!r}"
        time.sleep(0.05)


class World:
    """A folder with a buffer, a configuration, runners and producers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder}/buffer.db"
        self.config = folder / "pumpkit.yaml"
        self.runners: list[Runner] = []
        self.others: list[subprocess.Popen[Any]] = []

    def configure(self, pumps: dict[str, dict[str, Any]], **top: Any) -> None:
        """Write pumpkit.yaml (JSON is YAML); a pump without a path in its meta writes to NAME.jsonl."""
        for name, pump in pumps.items():
            pump.setdefault("meta", {}).setdefault("path", str(self.arrivals(name)))
        document = {"buffer": self.url, "health-check-address": "127.0.0.1:0", "pumps": pumps} | top
        self.config.write_text(json.dumps(document))

    def arrivals(self, pump: str) -> Path:
        """Return the file that a sink for tests writes."""
        return self.folder / f"{pump}.jsonl"

    def run(self, *args: str) -> Runner:
        """Start `pumpkit run`."""
        runner = Runner(self.config, *args)
        self.runners.append(runner)
        return runner

    def fill(self, count: int, start: int = 0, *, frame: int = 500, noise: int = 0, **fields: Any) -> None:
        """Store records `{"n": start ...}` by one producer, as a reporter would; `noise` bytes in each resist zstd."""
        with contextlib.closing(open_buffer(self.url)) as buffer:
            producer, packer = new_producer(), RecordPacker()
            for first in range(0, count, frame):
                numbers = range(first, min(first + frame, count))
                more = [fields | {"noise": random.randbytes(noise)} if noise else fields for _ in numbers]
                runs = packer.pack([{"n": start + n, **m} for n, m in zip(numbers, more, strict=True)]).runs
                created = time.time_ns() // 1_000_000
                buffer.append([pack_frame(producer=producer, first=first, runs=runs, created_ms=created)])

    def fill_records(self, *records: dict[str, Any]) -> None:
        """Store these very records, in one frame."""
        with contextlib.closing(open_buffer(self.url)) as buffer:
            runs = RecordPacker().pack(list(records)).runs
            created = time.time_ns() // 1_000_000
            buffer.append([pack_frame(producer=new_producer(), first=0, runs=runs, created_ms=created)])

    def spawn(self, script: str, *args: str) -> "subprocess.Popen[str]":
        """Start a Python script, such as a producer; its standard output is a pipe."""
        process = subprocess.Popen(
            [sys.executable, "-c", script, self.url, *args], stdout=subprocess.PIPE, text=True, env=environment()
        )
        self.others.append(process)
        return process

    def cli(self, *args: str, code: int = 0) -> str:
        """Run a `pumpkit` command on this configuration; return its standard output."""
        done = subprocess.run(
            [sys.executable, "-m", "pumpkit", *args],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env=environment() | {"PUMPKIT_CONFIG": str(self.config)},
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def health(self) -> str:
        """Return the address of the runner's health endpoint; wait for it."""
        return until(lambda: (self._buffer_says(lambda buffer: buffer.runner()) or {}).get("health"))

    def get(self, path: str) -> tuple[int, bytes]:
        """Ask the health endpoint; return status code and body."""
        try:
            with urllib.request.urlopen(f"http://{self.health()}{path}", timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def status(self) -> dict[str, Any]:
        """Return /status.json."""
        document: dict[str, Any] = json.loads(self.get("/status.json")[1])
        return document

    def pump(self, name: str) -> dict[str, Any]:
        """Return one pump's part of /status.json, {} while it is not there."""
        pump: dict[str, Any] = self.status()["pumps"].get(name, {})
        return pump

    def wait_for_state(self, name: str, *states: str) -> dict[str, Any]:
        """Wait until a pump is in one of these states; return its part of /status.json."""
        return until(lambda: (pump := self.pump(name)).get("state") in states and pump)

    def wait_for_lag(self, name: str, lag: int = 0) -> None:
        """Wait until a pump has no more than this many records before it, by what the log itself says."""
        until(lambda: (cursor := self.stats(name)) is not None and cursor.lag <= lag)

    def stats(self, name: str) -> Any:
        """Return the CursorStats of a pump, from the log."""
        return self._buffer_says(lambda buffer: buffer.stats().cursors.get(name))

    def dead(self, name: str) -> list[Any]:
        """Return a pump's dead letters."""
        return self._buffer_says(lambda buffer: buffer.dead_letters(name, limit=1000))

    def _buffer_says(self, ask: Callable[[Any], Any]) -> Any:
        with contextlib.closing(open_buffer(self.url)) as buffer:
            return ask(buffer)

    def arrived(self, name: str) -> list[int]:
        """Return the `n` of every record that arrived at a sink for tests, in order."""
        path = self.arrivals(name)
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line)["record"]["n"] for line in lines]

    def assert_exactly_once(self, arrived: list[int], count: int) -> None:
        """Check that 0 to count - 1 arrived, each once."""
        seen = Counter(arrived)
        lost = [n for n in range(count) if n not in seen]
        doubled = [n for n, times in seen.items() if times > 1]
        assert (lost[:10], len(lost)) == ([], 0)
        assert (doubled[:10], len(doubled)) == ([], 0)
        assert set(seen) == set(range(count))

    def balance(self, name: str) -> None:
        """Check that a pump's ledger balances."""
        stats = self._buffer_says(lambda buffer: buffer.stats())
        cursor = stats.cursors[name]
        passed = cursor.delivered + cursor.filtered + cursor.dead + cursor.skipped
        assert stats.stored - cursor.began == passed + cursor.lag

    until = staticmethod(until)

    def close(self) -> None:
        """Kill what is left."""
        for runner in self.runners:
            if runner.process.poll() is None:
                runner.kill()
            print(runner.log)  # which pytest shows if the test failed
        for process in self.others:
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A folder with a buffer, a configuration, runners and producers; everything is killed afterwards."""
    world = World(tmp_path)
    try:
        yield world
    finally:
        world.close()
