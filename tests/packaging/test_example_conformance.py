"""The documentation's sink in the conformance kit, as its author runs it: installed from wheels, with the extra."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.packaging.conftest import EXAMPLE, fresh_environment


@pytest.fixture(scope="module")
def author(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment with `pumpkit[testing]` and the example, from their wheels."""
    (core,) = wheels.glob("pumpkit-*.whl")
    (example,) = wheels.glob("pumpkit_http_example-*.whl")
    return fresh_environment(tmp_path_factory.mktemp("author") / "venv", f"pumpkit[testing] @ {core.as_uri()}", example)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the example's folder; no setting of this test run reaches the programs started in it."""
    for name in [name for name in os.environ if name.startswith(("PYTHON", "PUMPKIT", "PYTEST"))]:
        monkeypatch.delenv(name)
    return Path(shutil.copytree(EXAMPLE, tmp_path / "http", ignore=shutil.ignore_patterns("__pycache__")))


def kit(author: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the example's tests as its author does, with warnings as errors."""
    command = [author / "pytest", "-W", "error", "-rA", "--show-capture=no", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280)


def test_the_example_passes_the_kit(author: Path, folder: Path) -> None:
    """No case fails, what it does not do is declared in its test, and what ran is what is installed."""
    shutil.rmtree(folder / "src")
    done = kit(author, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    for case in ("redelivery_is_idempotent", "at_least_once_after_crash", "timeout_is_obeyed"):
        assert f"PASSED tests/test_conformance.py::TestHttpSink::test_{case}" in done.stdout


def test_the_kit_finds_a_fault_in_the_example(author: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the page on sinks says: without its `except URLError`, a case tells what is wrong."""
    module = folder / "src" / "pumpkit_http_example" / "__init__.py"
    handler = "        except URLError as error:\n            raise Unavailable(str(error.reason)) from error\n"
    assert handler in module.read_text()
    module.write_text(module.read_text().replace(handler, ""))
    monkeypatch.setenv("PYTHONPATH", str(folder / "src"))
    done = kit(author, folder, "-k", "transient_is_retryable")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "the destination is away" in done.stdout
    assert "URLError" in done.stdout
