"""Real programs: `pumpkit run` and producers as a user starts them, and a check of what arrived."""

import contextlib
import csv
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


#: A program that reports a number of records, 50 at a time with a pause between; then it leaves as any program does.
COUNTED = """
import sys, time
from pumpkit import Reporter
first, last, pause = int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
with Reporter(sys.argv[1], records_buffer_size=1_000_000, flush_interval=0.02, exit_timeout=30) as reporter:
    for n in range(first, last):
        reporter.record({"n": n})
        if pause and n % 50 == 0:
            time.sleep(pause)
"""


class Runner:
    """A `pumpkit run` process; its log can be read while it goes on. `slot` is its name among several."""

    def __init__(self, config: Path, *args: str, slot: str = "") -> None:
        self.slot = slot
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

    def workers(self) -> list[int]:
        """Return the process ids of its workers."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = stat.read_text().rpartition(")")[2].split()
                if int(fields[1]) == self.process.pid:
                    found.append(int(stat.parent.name))
        return found

    def signal_all(self, number: int) -> None:
        """Send a signal to it and to its workers, as if the machine were meant."""
        for pid in [self.process.pid, *self.workers()]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def environment() -> dict[str, str]:
    """Return an environment in which workers find the sinks for tests."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(SINKS), os.environ.get("PYTHONPATH")]))}


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
    """A folder with a configuration, runners and producers, and a buffer, in the folder if no other is named."""

    def __init__(self, folder: Path, url: str = "") -> None:
        self.folder = folder
        self.url = url or f"sqlite:///{folder}/buffer.db"
        self.config = folder / "pumpkit.yaml"
        self.runners: list[Runner] = []
        self.others: list[subprocess.Popen[Any]] = []

    def configure(self, pumps: dict[str, dict[str, Any]], **top: Any) -> None:
        """Write pumpkit.yaml (JSON is YAML); a sink for tests without a path in its meta writes to NAME.jsonl."""
        for name, pump in pumps.items():
            if pump.get("type", name).startswith("t-"):
                pump.setdefault("meta", {}).setdefault("path", str(self.arrivals(name)))
        document = {"buffer": self.url, "health-check-address": "127.0.0.1:0", "pumps": pumps} | top
        self.config.write_text(json.dumps(document))

    def arrivals(self, pump: str) -> Path:
        """Return the file that a sink for tests writes."""
        return self.folder / f"{pump}.jsonl"

    def run(self, *args: str, slot: str = "", **top: Any) -> Runner:
        """Start `pumpkit run`; one of several has a slot, and may have settings of its own."""
        config = self.config
        if slot:
            config = self.folder / f"pumpkit-{slot}.yaml"
            config.write_text(json.dumps(json.loads(self.config.read_text()) | {"slot": slot} | top))
        runner = Runner(config, *args, slot=slot)
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

    def report(self, first: int, last: int, pause: float = 0.0) -> "subprocess.Popen[str]":
        """Start a program that reports `{"n": first}` to `{"n": last - 1}`, after each 50 with a pause in seconds."""
        return self.spawn(COUNTED, str(first), str(last), str(pause))

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

    def health(self, runner: Runner | None = None) -> str:
        """Return the address of a runner's health endpoint, of any that lives by default; wait for it."""

        def address(buffer: Any) -> str:
            living = [one for one in buffer.runners() if one["alive"] == "yes"]
            wanted = [one for one in living if runner is None or one["pid"] == str(runner.process.pid)]
            return wanted[0].get("health", "") if wanted else ""

        return until(lambda: self._buffer_says(address))

    def get(self, path: str, runner: Runner | None = None) -> tuple[int, bytes]:
        """Ask a health endpoint; return status code and body."""
        try:
            with urllib.request.urlopen(f"http://{self.health(runner)}{path}", timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def status(self, runner: Runner | None = None) -> dict[str, Any]:
        """Return /status.json."""
        document: dict[str, Any] = json.loads(self.get("/status.json", runner)[1])
        return document

    def pump(self, name: str, runner: Runner | None = None) -> dict[str, Any]:
        """Return one pump's part of /status.json, {} while it is not there."""
        pump: dict[str, Any] = self.status(runner)["pumps"].get(name, {})
        return pump

    def wait_for_state(self, name: str, *states: str, runner: Runner | None = None) -> dict[str, Any]:
        """Wait until a pump is in one of these states; return its part of /status.json."""
        return until(lambda: (pump := self.pump(name, runner)).get("state") in states and pump)

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

    def csv_rows(self, folder: str = "csv") -> list[dict[str, str]]:
        """Return the rows of every finished or live CSV file of a folder, in order."""
        rows: list[dict[str, str]] = []
        for path in sorted((self.folder / folder).glob("csv-*")):
            with path.open(newline="") as file:
                rows += csv.DictReader(file)
        return rows

    def arrived_ids(self, name: str) -> list[str]:
        """Return the ids of what arrived at a sink for tests, in order."""
        lines = self.arrivals(name).read_text().splitlines()
        return [json.loads(line)["id"] for line in lines]

    def stored_ids(self) -> set[str]:
        """Return every id that the log ever gave out, from what it knows of its producers."""
        producers = self._buffer_says(lambda buffer: buffer.stats().producers)
        return {f"{producer.producer}-{n}" for producer in producers for n in range(producer.next_seq)}

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
                runner.signal_all(signal.SIGCONT)
                runner.kill()
            print(runner.log)  # which pytest shows if the test failed
        for process in self.others:
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()


@pytest.fixture
def dice() -> random.Random:
    """Random numbers whose seed is printed when a test fails; PUMPKIT_TEST_SEED repeats one."""
    seed = int(os.environ.get("PUMPKIT_TEST_SEED", time.time_ns() % 1_000_000))
    print(f"PUMPKIT_TEST_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def new_world(tmp_path: Path) -> Iterator[Callable[[str], World]]:
    """Make a folder with a configuration, runners and producers, on a buffer; everything is killed afterwards."""
    with contextlib.ExitStack() as stack:
        yield lambda url: stack.enter_context(contextlib.closing(World(tmp_path, url)))


@pytest.fixture
def world(new_world: Callable[[str], World]) -> World:
    """The same with the buffer in the folder."""
    return new_world("")
