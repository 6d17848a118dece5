"""Distributions built once for all packaging tests, the way a release builds them."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import missing

ROOT = Path(__file__).parents[2]
SINKS = sorted(project.parent for project in ROOT.glob("pumpkit_*/pyproject.toml"))
EXAMPLES = sorted(project.parent for project in ROOT.glob("docs/examples/*/pyproject.toml"))
EXAMPLE = ROOT / "docs" / "examples" / "http"


def build(project: Path, into: Path, *what: str) -> None:
    """Build a project's distributions into a folder, without the network."""
    for module in ("build", "hatchling"):
        if importlib.util.find_spec(module) is None:
            missing(module, "pip install -e '.[dev]'")
    command = [sys.executable, "-m", "build", "--no-isolation", *what, "--outdir", str(into), str(project)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def fresh_environment(folder: Path, *packages: Path | str) -> Path:
    """Make a virtual environment with these packages and nothing of this checkout; return its `bin` folder."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    install = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*install, *packages], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "bin"


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels of the core, of every sink and of the documentation's examples."""
    folder = tmp_path_factory.mktemp("wheels")
    for project in (ROOT, *SINKS, *EXAMPLES):
        build(project, folder, "--wheel")
    return folder


@pytest.fixture(scope="session")
def sdists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source archives of the core and of every sink."""
    folder = tmp_path_factory.mktemp("sdists")
    for project in (ROOT, *SINKS):
        build(project, folder, "--sdist")
    return folder
