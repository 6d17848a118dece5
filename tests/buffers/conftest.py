"""What tests of buffers share. Their helpers are plain modules of this folder: `making`, and `contract` on top."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pumpkit.buffers import open_buffer
from pumpkit.buffers.redis import RedisBuffer
from tests.conftest import missing
from tests.servers.redis import RedisServer

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("making", "contract", "machine", "meddling")


@pytest.fixture
def as_root() -> None:
    """Skip unless the test may do what only root may."""
    if os.name != "posix" or os.geteuid() != 0:
        missing("the right to mount and to become other users", "run the tests as root")


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that every user of this machine can reach."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def buffer(redis_server: RedisServer) -> Iterator[RedisBuffer]:
    """A new buffer in Redis. Suites over other buffers have a fixture of this name of their own."""
    opened = open_buffer(redis_server.url)
    assert isinstance(opened, RedisBuffer)
    yield opened
    opened.close()
