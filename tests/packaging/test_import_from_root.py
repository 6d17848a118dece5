"""From the root of the checkout every package imports as the package, never as the folder that holds its project."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SINKS = sorted(project.parent.name for project in ROOT.glob("pumpkit_*/pyproject.toml"))


@pytest.mark.parametrize("name", ["pumpkit", *SINKS])
def test_a_package_is_found_from_the_root(name: str) -> None:
    """`python -c 'import NAME'` in the root finds `NAME/__init__.py`, not a namespace made of the folder NAME."""
    program = f"import {name}; print({name}.__file__)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).parts[-2:] == (name, "__init__.py")


@pytest.mark.parametrize("sink", SINKS)
def test_a_sink_imports_its_own_files(sink: str) -> None:
    """A sink comes from its `src` folder, or from where it is installed; the checkout's root is neither."""
    program = f"import {sink}; print(*{sink}.__path__)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()) != ROOT / sink
