"""The documentation's sink, as a stranger has it: wheels in an own environment, a config file, a real server."""

import io
import json
import os
import re
import runpy
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.packaging.conftest import fresh_environment

ROOT = Path(__file__).parents[2]
RECORDS = 1_000
DEADLINE = 60.0  # seconds; only a failure waits that long


SERVER = runpy.run_path(str(ROOT / "docs" / "examples" / "http" / "shelf.py"))


class Shelf(SERVER["Shelf"]):  # type: ignore[misc]  # a class of a file that is run
    """The example's server, which first turns a request away and counts the lines that it then gets."""

    kept: dict[str, dict[str, Any]]

    def __init__(self) -> None:
        super().__init__(0)
        self.RequestHandlerClass = Handler
        self.requests = self.lines = 0


class Handler(SERVER["Handler"]):  # type: ignore[misc]  # a class of a file that is run
    def do_PUT(self) -> None:  # noqa: N802  # as http.server calls it
        self.server.requests += 1
        if self.server.requests == 1:
            self.send_error(503)
            return
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.lines += len(body.splitlines())
        self.rfile = io.BytesIO(body)
        super().do_PUT()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    """A running server."""
    with Shelf() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def stranger(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of a fresh environment with the wheels in it and nothing of this checkout."""
    return fresh_environment(tmp_path_factory.mktemp("stranger") / "venv", *sorted(wheels.glob("*.whl")))


@pytest.fixture
def home(tmp_path: Path, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a pumpkit.yaml that names the example sink; the buffer is in it too."""
    for name in [name for name in os.environ if name.startswith(("PYTHON", "PUMPKIT"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PUMPKIT_BUFFER", f"sqlite:///{tmp_path}/buffer.db")
    monkeypatch.setenv("COLUMNS", "200")
    config = f"""
        health-check-address: 127.0.0.1:{free_port()}
        pumps:
          search:
            type: http
            meta: {{url: "http://127.0.0.1:{shelf.server_address[1]}/records"}}
    """
    (tmp_path / "pumpkit.yaml").write_text(config)
    return tmp_path


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(condition: Callable[[], bool], what: str, process: subprocess.Popen[str]) -> None:
    """Wait until a condition holds, while the runner lives."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert process.poll() is None, f"the runner exited with {process.returncode} before {what}"
        assert time.monotonic() < end, f"{what} did not come true"
        time.sleep(0.05)


def health_check(home: Path) -> list[str]:
    """Return the command of the Dockerfile's HEALTHCHECK, for the address of this runner."""
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    found = re.search(r"^HEALTHCHECK(?:.*\\\n)?.*CMD (\[.*\])$", dockerfile, re.MULTILINE)
    address = re.search(r"health-check-address: (\S+)", (home / "pumpkit.yaml").read_text())
    assert found
    assert address
    command: list[str] = json.loads(found[1].replace("127.0.0.1:7070", address[1]))
    return command


def run(stranger: Path, home: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the stranger's environment in the working directory."""
    return subprocess.run([stranger / command[0], *command[1:]], cwd=home, capture_output=True, text=True, timeout=60)


def test_the_example_is_found(stranger: Path, home: Path) -> None:
    """`pumpkit plugins ls` shows the examples with their distributions and settings, and the CSV sink beside them."""
    done = run(stranger, home, "pumpkit", "plugins", "ls")
    assert done.returncode == 0, done.stderr
    for word in (
        "http  pumpkit-http-example",
        "url: ",
        "sqlite-example  pumpkit-sqlite-example",
        "path: ",
        "csv  pumpkit-csv",
    ):
        assert word in done.stdout


def test_a_mistake_in_its_settings_is_found(stranger: Path, home: Path) -> None:
    """`pumpkit check` names file, line, key path and the nearest setting of the example's class, and exits with 78."""
    config = home / "pumpkit.yaml"
    config.write_text(config.read_text().replace("url:", "urll:"))
    done = run(stranger, home, "pumpkit", "check")
    said = done.stdout + done.stderr
    assert done.returncode == 78, said
    assert "pumpkit.yaml:6" in said
    assert "pumps.search.meta.urll" in said
    assert "'url'" in said or "url?" in said


def test_the_example_delivers(stranger: Path, home: Path, shelf: Shelf) -> None:
    """Records reported by one process arrive at the server through `pumpkit run`, each once, after a refusal too."""
    program = f"""
        from pumpkit import Reporter
        with Reporter(source="shop") as reporter:
            for number in range({RECORDS}):
                reporter.record({{"number": number, "_id": "mine"}})
    """
    done = run(stranger, home, "python", "-c", "\n".join(line[8:] for line in program.splitlines()))
    assert (done.returncode, done.stderr) == (0, "")

    with open(home / "log", "w") as log:
        runner = subprocess.Popen([stranger / "pumpkit", "run"], cwd=home, stderr=log, text=True)
        try:
            wait_for(lambda: len(shelf.kept) == RECORDS, f"{RECORDS} records at the server", runner)
            probe = health_check(home)
            assert run(stranger, home, *probe).returncode == 0
        finally:
            runner.send_signal(signal.SIGTERM)
            code = runner.wait(DEADLINE)
    assert code == 0, (home / "log").read_text()
    assert run(stranger, home, *probe).returncode != 0

    assert shelf.requests > 1
    assert shelf.lines == RECORDS
    assert sorted(record["number"] for record in shelf.kept.values()) == list(range(RECORDS))
    status = json.loads(run(stranger, home, "pumpkit", "status", "--json").stdout)
    pump = status["pumps"]["search"]
    assert (pump["delivered"], pump["filtered"], pump["dead"], pump["skipped"], pump["lag"]) == (RECORDS, 0, 0, 0, 0)
