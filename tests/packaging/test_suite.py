"""The suite itself runs alike wherever it is started."""

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_an_interrupt_reaches_programs_under_test(tmp_path: Path) -> None:
    """Started with SIGINT ignored, as by a shell in the background, the suite's programs still end by it."""
    inner = tmp_path / "test_inner.py"
    program = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"
    inner.write_text(
        "import subprocess, sys\n\n\ndef test_program() -> None:\n"
        f"    assert subprocess.run([sys.executable, '-c', {program!r}], stderr=subprocess.DEVNULL).returncode == -2\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", str(ROOT / "pyproject.toml"), str(inner)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.returncode == 0, done.stdout + done.stderr
