"""What tests of buffers share. Their helpers are plain modules of this folder: `making`, and `contract` on top."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("making", "contract")
