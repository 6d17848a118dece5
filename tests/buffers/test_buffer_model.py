"""The embedded buffer against a model of it."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from machine import ANY_SPEED, BufferMachine


class SqliteMachine(BufferMachine):
    """A buffer in a file."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.url = f"sqlite:///{self.folder}/b.db"

    def positions(self) -> list[int]:
        """Return the positions of all frames ever stored."""
        return list(range(1, len(self.log) + 1))

    def remove_log(self, everything: bool) -> None:
        """Remove the file, perhaps without those beside it."""
        for suffix in ("", "-wal", "-shm") if everything else ("",):
            Path(f"{self.folder}/b.db{suffix}").unlink()

    def teardown(self) -> None:
        """Leave nothing behind."""
        super().teardown()
        shutil.rmtree(self.folder)


class TestBufferModel(SqliteMachine.TestCase):  # type: ignore[misc, valid-type]
    """Some sequences of events."""

    settings = settings(max_examples=60, stateful_step_count=40, **ANY_SPEED)


@pytest.mark.slow
@pytest.mark.timeout(3_000)
class TestBufferModelAtLength(SqliteMachine.TestCase):  # type: ignore[misc, valid-type]
    """Many, and longer ones."""

    settings = settings(max_examples=150, stateful_step_count=80, **ANY_SPEED)
