"""The contract of buffers, for the embedded one."""

from pathlib import Path

import pytest
from contract import BufferContract


class File:
    """A buffer in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "buffer.db"
        self.url = f"sqlite:///{self.path}"

    def remove(self) -> None:
        """Remove the log as a person would who does not know of SQLite's side files."""
        self.path.unlink()


class TestSqlite(BufferContract):
    """Every sentence of the contract."""

    @pytest.fixture
    def home(self, tmp_path: Path) -> File:
        return File(tmp_path)
