"""The folder of the demonstration: its configuration, its buffer, its CSV files, and the runner that works there."""

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pumpkit.errors import ConfigError, Unavailable

#: The pumps of the demonstration; each writes into a folder of its own name.
PUMPS = ("audit", "denied")

_MARK = "# Written by `pumpkit demo`, again each time it runs."

_CONFIG = f"""{_MARK}
buffer: sqlite:///buffer.db
health-check-address: 127.0.0.1:0        # any free port; `pumpkit status` finds it
pumps:
  audit:                                 # every record, whole
    type: csv
    meta: {{csv-dir: ./audit}}
  denied:                                # only what was denied, without the detail
    type: csv
    filters: {{include: {{effect: [deny]}}}}
    omit-detailed-recording: true
    meta: {{csv-dir: ./denied}}
"""

#: Seconds that the runner has to stop: more than its own grace.
_GRACE = 30.0


class Stage:
    """The folder, by absolute path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.config = self.folder / "pumpkit.yaml"
        self.buffer_file = self.folder / "buffer.db"
        self.url = f"sqlite:///{self.buffer_file}"
        self.log = self.folder / "run.log"

    def prepare(self) -> None:
        """Make the folder and its configuration. Raises ConfigError for one that is somebody else's."""
        try:
            if self.config.exists() and not self.config.read_text(encoding="utf-8").startswith(_MARK):
                raise ConfigError(f"{self.config} is not from an earlier demo; choose another folder with --dir")
            self.folder.mkdir(parents=True, exist_ok=True)
            self.config.write_text(_CONFIG, encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{self.folder} cannot be used: {error}; choose another folder with --dir") from error

    @contextmanager
    def runner(self) -> Iterator["Runner"]:
        """Start `pumpkit run` there, as a process of its own; stop it by SIGTERM at the end."""
        command = [sys.executable, "-m", "pumpkit", "run", "--config", str(self.config)]
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C is for the demonstration, which then stops the runner in order.
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )
        runner = Runner(process, self.log, self.log.stat().st_size)
        try:
            yield runner
        finally:
            runner.stop()

    def files(self, pump: str) -> list[Path]:
        """Return the CSV files of a pump, the oldest first; a live one, should there be one, ends in `.part`."""
        return sorted([*(self.folder / pump).glob("*.csv"), *(self.folder / pump).glob("*.csv.part")])

    def rows(self, pump: str) -> int:
        """Return how many records the CSV files of a pump hold, read back."""
        total = 0
        for file in self.files(pump):
            with file.open(newline="", encoding="utf-8", errors="surrogatepass") as lines:
                total += max(0, sum(1 for _ in csv.reader(lines)) - 1)  # without the header
        return total

    def first_lines(self, pump: str, count: int) -> list[str]:
        """Return the first lines of the newest CSV file of a pump."""
        files = self.files(pump)
        if not files:
            return []
        with files[-1].open(encoding="utf-8", errors="replace") as lines:
            return [line.rstrip("\r\n") for line, _ in zip(lines, range(count), strict=False)]


class Runner:
    """The runner's process."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path, log_start: int) -> None:
        self.process = process
        self.pid = process.pid
        self._log = log
        self._log_start = log_start

    def check(self) -> None:
        """Raise Unavailable if it ended."""
        code = self.process.poll()
        if code is not None:
            said = self._said()
            raise Unavailable(f"`pumpkit run` ended with {code}; its log, {self._log}, ends with:\n{said}")

    def stop(self) -> None:
        """Ask it to stop, and wait; kill it if it does not."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self.process.wait()

    def _said(self) -> str:
        with self._log.open("rb") as log:
            log.seek(self._log_start)
            return "\n".join(log.read().decode(errors="replace").splitlines()[-10:])
