"""A folder with a configuration and a buffer, and the real programs that work there."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from pumpkit.buffers import open_buffer
from pumpkit.config.load import load
from pumpkit.config.snapshot import snapshot

#: The one pump, and the longest wait for anything, in seconds.
PUMP, PATIENCE = "audit", 120.0


class Program:
    """A program of pumpkit's that runs."""

    def __init__(self, command: list[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self._log = log
        with log.open("ab") as stderr:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
                env={**os.environ, **(environment or {})},
            )
        assert self._process.stdin
        assert self._process.stdout
        self._in: IO[bytes] = self._process.stdin
        #: What it prints.
        self.out: IO[bytes] = self._process.stdout

    def tell(self, order: dict[str, Any]) -> None:
        """Send it a line of JSON."""
        self._in.write(json.dumps(order).encode() + b"\n")
        self._in.flush()

    def terminate(self) -> None:
        """Ask it to stop."""
        self._process.send_signal(signal.SIGTERM)

    def largest_memory(self) -> int:
        """Return the most bytes that it, or the largest of its children, has had resident so far."""
        return max(map(_peak, [self._process.pid, *_children(self._process.pid)]))

    def cpu(self) -> float:
        """Return the seconds of processor time that it has used so far, without its children."""
        # As clock_getcpuclockid(3) makes it, which Python has no function for.
        return time.clock_gettime((~self._process.pid << 3) | 2)

    def progress(self, count: int) -> Iterator[int]:
        """Give 0 when a worker begins to write, then how many records it has written, until these are `count`.

        Raises RuntimeError if it ends before, or has not come to it in time.
        """
        deadline = time.monotonic() + PATIENCE
        written, reason = -1, ""
        while written < count:
            message = json.loads(self.out.readline() or b"{}")
            match message.get("status"):
                case "working" if message["stage"] == "write" and written < 0:
                    written = 0
                    yield written
                case "wrote":
                    written += message["records"]
                    yield written
                case "state":
                    reason = message["reason"]
                case None:
                    self.ended()  # with its log
            if not message or time.monotonic() > deadline:
                raise RuntimeError(f"it wrote {max(0, written)} of {count} records: {reason}")

    def ended(self) -> float:
        """Wait for its end; return the seconds of processor time that it and its children used.

        Raises RuntimeError with the end of its log if it did not end well.
        """
        _, status, used = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        if self._process.returncode:
            said = self._log.read_text(errors="replace")[-2_000:]
            raise RuntimeError(f"it ended with {self._process.returncode}:\n{said}")
        return used.ru_utime + used.ru_stime

    def close(self) -> None:
        """Kill it if it is still there."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._in.close()
        self.out.close()


class World:
    """One CSV pump by its defaults, but for files that begin anew with the hour; `settings` are put on top.

    The buffer is the embedded one, unless `url` says which.
    """

    def __init__(self, folder: Path, url: str | None = None, **settings: Any) -> None:
        self.folder = folder
        self.url = url or f"sqlite:///{folder}/buffer.db"
        self.csv = folder / "csv"
        self._config = folder / "pumpkit.yaml"
        pumps = {PUMP: {"type": "csv", "meta": {"csv-dir": str(self.csv), "rotate": "never"}}}
        self._config.write_text(json.dumps({"buffer": self.url, "pumps": pumps} | settings))  # JSON is YAML

    @contextmanager
    def runner(self, **environment: str) -> Iterator[Program]:
        """Start `pumpkit run`."""
        command = [sys.executable, "-m", "pumpkit", "run", "--config", str(self._config)]
        with closing(Program(command, self.folder / "log", environment)) as program:
            try:
                yield program
            except RuntimeError as error:
                error.add_note((self.folder / "log").read_text(errors="replace")[-2_000:])
                raise

    @contextmanager
    def worker(self) -> Iterator[Program]:
        """Start the worker of the pump by itself, as the runner does."""
        config = load(self._config)
        with closing(Program([sys.executable, "-P", "-m", "pumpkit.worker", PUMP], self.folder / "log")) as program:
            program.tell(
                {
                    "v": 1,
                    "pump": PUMP,
                    "config": snapshot(config, PUMP),
                    "buffer": self.url,
                    "purge_delay": config.purge_delay,
                    "trouble": [],
                    "accepted": 0,
                    "worker": 1,
                    "share": None,
                    "runner": os.getpid(),
                }
            )
            yield program

    def delivered(self) -> int:
        """Return how many records the pump has delivered and committed."""
        with closing(open_buffer(self.url)) as buffer:
            cursor = buffer.stats().cursors.get(PUMP)
            return cursor.delivered if cursor else 0


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds. Raises RuntimeError when it takes too long."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {PATIENCE} s in vain: {what}")
        time.sleep(0.05)


def _children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(entry.name))
    return found


def _peak(pid: int) -> int:
    """Return the largest resident set of a process so far, in bytes; 0 if it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "VmHWM":
                return int(value.split()[0]) << 10
    return 0
