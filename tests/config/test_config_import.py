"""What importing the configuration costs."""

import subprocess
import sys

import pytest

HEAVY = ("ruamel", "click", "rich", "pluggy", "prometheus_client", "redis", "apsw", "zstandard", "importlib.metadata")


@pytest.mark.parametrize("module", ["pumpkit.config", "pumpkit.config.snapshot"])
def test_a_worker_loads_no_yaml_and_nothing_of_the_command_line(module):
    """Every worker imports these: only attrs and cattrs come with them."""
    script = f"import sys, {module}; print(*sorted(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
