"""The first tutorial, done as it says: report, carry, kill the runner in the middle, carry on, count."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.docs.conftest import blocks

PAGE = "docs/tutorial/first-records.md"
PUMPKIT = Path(sys.executable).with_name("pumpkit")
DEADLINE = 60.0  # seconds; only a failure waits that long


class Runner:
    """`pumpkit run` in the tutorial's folder."""

    def __init__(self, folder: Path) -> None:
        self.log = open(folder / "log", "a")  # noqa: SIM115  # closed by stop
        self.process = subprocess.Popen([PUMPKIT, "run"], cwd=folder, stderr=self.log)

    def stop(self, how: signal.Signals) -> int:
        """End it by a signal; return its exit code."""
        self.process.send_signal(how)
        code = self.process.wait(DEADLINE)
        self.log.close()
        return code


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tutorial's folder with its two files, a state directory of its own, and a free port for health."""
    (program,) = (block.text for block in blocks() if block.page == PAGE and block.language == "python")
    (config,) = (block.text for block in blocks() if block.page == PAGE and block.language == "yaml")
    for name in [name for name in os.environ if name.startswith("PUMPKIT")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "app.py").write_text(program)
    (folder / "pumpkit.yaml").write_text(f"health-check-address: 127.0.0.1:{port}\n{config}")
    return folder


def report(folder: Path) -> None:
    """Run the tutorial's program."""
    done = subprocess.run([sys.executable, "app.py"], cwd=folder, capture_output=True, text=True, timeout=DEADLINE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "reported\n", "")


def wait_until_delivered(folder: Path, count: int) -> None:
    """Wait until the pump has delivered so many records and lags 0, as `pumpkit status` tells."""
    end = time.monotonic() + DEADLINE
    while True:
        done = subprocess.run(
            [PUMPKIT, "status", "--json"], cwd=folder, capture_output=True, text=True, timeout=DEADLINE
        )
        pump = json.loads(done.stdout)["pumps"].get("orders", {})
        if (pump.get("delivered"), pump.get("lag")) == (count, 0):
            return
        assert time.monotonic() < end, done.stdout + (folder / "log").read_text()
        time.sleep(0.1)


def rows(folder: Path) -> list[dict[str, str]]:
    """Return all rows of the CSV files."""
    found = []
    for file in sorted((folder / "orders").glob("*.csv*")):
        with file.open(newline="") as text:
            found += list(csv.DictReader(text))
    return found


def test_the_first_tutorial(shop: Path) -> None:
    """Records reported before, while and after the runner is killed are in the files, each once."""
    report(shop)
    assert subprocess.run([PUMPKIT, "check"], cwd=shop, capture_output=True).returncode == 0
    runner = Runner(shop)
    try:
        wait_until_delivered(shop, 1_000)
        reporting = subprocess.Popen([sys.executable, "app.py"], cwd=shop, stdout=subprocess.DEVNULL)
    finally:
        runner.stop(signal.SIGKILL)
    assert reporting.wait(DEADLINE) == 0
    report(shop)
    runner = Runner(shop)
    try:
        wait_until_delivered(shop, 3_000)
    finally:
        code = runner.stop(signal.SIGTERM)
    assert code == 0
    assert sorted(int(row["order"]) for row in rows(shop)) == sorted(list(range(1_000)) * 3)
