"""The example of an authorization service, run as its README says: the service, its load, and a runner."""

import csv
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import missing

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "authz"
PUMPKIT = Path(sys.executable).with_name("pumpkit")
PATIENCE = 60.0  # seconds; only a failure waits that long


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Example:
    """A copy of the example's folder, with ports and a state directory of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "authz"
        shutil.copytree(EXAMPLE, self.folder, ignore=shutil.ignore_patterns("__pycache__", "decisions"))
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.change("authz.yaml", "bind-port: 9090", f"bind-port: {self.port}")
        self.change("pumpkit.yaml", "pumps:", f"health-check-address: 127.0.0.1:{free_port()}\npumps:")
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("PUMPKIT")} | {
            "PATH": os.pathsep.join([str(PUMPKIT.parent), *os.get_exec_path()]),
            "XDG_STATE_HOME": str(folder / "state"),
        }
        self.log = folder / "log"
        self.processes: list[subprocess.Popen[bytes]] = []

    def change(self, name: str, old: str, new: str) -> None:
        """Change a file where it says `old`."""
        text = (self.folder / name).read_text()
        assert old in text
        (self.folder / name).write_text(text.replace(old, new))

    def start(self, *command: str | Path) -> subprocess.Popen[bytes]:
        """Start a program in the folder; what it prints goes to the log."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        self.processes.append(process)
        return process

    def serve(self, *command: str) -> subprocess.Popen[bytes]:
        """Start the service, and wait until it answers."""
        process = self.start(sys.executable, "-m", *(command or ("authz_service",)))
        self.wait_until(lambda: self.answers(process), "the service")
        return process

    def answers(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether the service is up."""
        assert process.poll() is None, self.log.read_text()
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=10) as answer:
                return json.load(answer) == {"status": "ok"}
        except OSError:
            return False

    def end(self, process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> int:
        """End a program by a signal; return its exit code."""
        process.send_signal(how)
        return process.wait(PATIENCE)

    def load(self, first: int, requests: int) -> list[str | Path]:
        """Return the command that sends requests, numbered from `first` on."""
        answers = self.folder / f"answers-{first}"
        wanted = {"--url": self.url, "--requests": requests, "--first": first, "--answers": answers}
        return [sys.executable, "load.py", *(str(word) for pair in wanted.items() for word in pair)]

    def run(self, command: list[str | Path], code: int | None = 0) -> str:
        """Run a program to its end, which is to be `code` (None: any); return what it prints, to stderr too."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
        )
        assert code in (None, done.returncode), done.stdout + (self.log.read_text() if self.log.exists() else "")
        return done.stdout

    def answered(self) -> dict[int, str]:
        """Return the answer to each request that got one, by its number."""
        return {
            int(number): answer
            for file in self.folder.glob("answers-*")
            for number, answer in json.loads(file.read_text()).items()
        }

    def rows(self) -> list[dict[str, str]]:
        """Return all rows of the CSV files that are complete by now."""
        found = []
        for file in sorted((self.folder / "decisions").glob("*.csv*")):
            with file.open(newline="") as text:
                found += [row for row in csv.DictReader(text) if row["expire_at"] is not None]
        return found

    def wait_until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for a condition; fail after a generous time."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"waited for {what}: {self.log.read_text()}"
            time.sleep(0.05)

    def stop(self) -> None:
        """Kill what still runs."""
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(PATIENCE)


def number_of(row: dict[str, str]) -> int:
    """Return the number of the request that a record tells of."""
    found: dict[str, Any] = json.loads(row["request"])
    return int(re.findall(r"\d+", found["resource"])[0])


@pytest.fixture
def example(tmp_path: Path) -> Iterator[Example]:
    """Return a fresh copy of the example."""
    for module in ("pumpkit_csv", "starlette", "uvicorn"):
        if importlib.util.find_spec(module) is None:
            missing(module, "pip install -e '.[dev]' -e ./pumpkit_csv")
    made = Example(tmp_path)
    yield made
    made.stop()
