"""The benchmarks as a user starts them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run_benchmarks() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run `python -m benchmarks` with arguments."""

    def run(*args: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "benchmarks", *args]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)

    return run
