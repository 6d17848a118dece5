"""Programs of a test, and the real buffer that they report into: what tests of processes share."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pumpkit import frames
from pumpkit.buffers import open_buffer
from pumpkit.buffers.base import BufferStats
from pumpkit.ids import record_ids

#: Seconds that a test waits for something that normally takes milliseconds.
PATIENCE = 30.0


def wait_until(condition: Callable[[], object], what: str = "it") -> None:
    """Wait for a condition; fail after a generous time."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE:.0f} s for {what}"
        time.sleep(0.005)


def contents(url: str) -> list[frames.Content]:
    """Return every frame in a buffer, decoded."""
    buffer = open_buffer(url)
    cursor = buffer.cursor("reader")
    try:
        deliveries = cursor.fetch(10_000_000, 1 << 30)
    finally:
        cursor.close()
        buffer.close()
    return [frames.decode(delivery.frame) for delivery in deliveries]


class Program:
    """Programs of one test, and the buffer that they report into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder / 'buffer.db'}"
        #: Variables of the programs' environment; `PUMPKIT_BUFFER` names the buffer.
        self.environment = {"PUMPKIT_BUFFER": self.url, "PYTHONWARNINGS": "ignore::DeprecationWarning"}
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, code: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a program, which finds modules in its folder."""
        file = self.folder / f"program{len(self.processes)}.py"
        file.write_text(textwrap.dedent(code))
        return self.spawn([sys.executable, str(file), *arguments])

    def spawn(self, command: list[str]) -> subprocess.Popen[str]:
        """Start a command the same way."""
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env={**os.environ, **self.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def run(self, code: str, *arguments: str, status: int = 0) -> tuple[str, str]:
        """Run a program to its end; return what it printed, to stdout and to stderr."""
        return self.end(self.start(code, *arguments), status)

    def end(self, process: subprocess.Popen[str], status: int = 0) -> tuple[str, str]:
        """Wait for a program; return what it printed, to stdout and to stderr."""
        out, err = process.communicate(timeout=4 * PATIENCE)
        assert process.returncode == status, (process.returncode, out, err)
        return out, err

    def records(self) -> list[dict[str, Any]]:
        """Return every record in the buffer, with its common fields, its producer (`_producer`) and its id (`_id`)."""
        found = []
        for content in contents(self.url):
            header = content.header
            ids = record_ids(header.producer, header.first, header.total)
            for record, id_ in zip(content.records, ids, strict=True):
                found.append({**header.common, **record, "_id": id_, "_producer": header.producer.hex()})
        assert len({record["_id"] for record in found}) == len(found)
        return found

    def stats(self) -> BufferStats:
        """Return what the buffer knows of itself."""
        buffer = open_buffer(self.url)
        try:
            return buffer.stats()
        finally:
            buffer.close()

    def drops(self) -> dict[str, int]:
        """Return the drops that the buffer was told of."""
        return self.stats().drops

    def stop(self) -> None:
        """Kill what still runs."""
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=PATIENCE)


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """Return a way to run programs that report into a real buffer."""
    programs = Program(tmp_path)
    yield programs
    programs.stop()
