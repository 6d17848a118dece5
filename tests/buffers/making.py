"""What tests of buffers make: frames of a producer, other processes, and the ledger's sum."""

import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pumpkit.buffers import Buffer, Cursor
from pumpkit.buffers.base import Counts, CursorStats, DeadLetter, Delivery
from pumpkit.frames import RAW, pack_frame
from pumpkit.ids import new_producer
from pumpkit.values import RecordPacker

PLENTY = 1 << 30


class Producer:
    """Makes frames as a reporter does: numbered on from frame to frame."""

    def __init__(self, source: str = "tests") -> None:
        self.id = new_producer()
        self.source = source
        self.next_seq = 0

    def frame(self, records: int = 3, drops: Mapping[str, int] | None = None, size: int = 10) -> bytes:
        """Return the next frame; each of its records takes about `size` bytes in it."""
        frame = self.frame_at(self.next_seq, records, drops, size)
        self.next_seq += records
        return frame

    def frame_at(self, first: int, records: int = 3, drops: Mapping[str, int] | None = None, size: int = 10) -> bytes:
        """Return a frame anywhere in the sequence."""
        packed = RecordPacker().pack([{"n": first + index, "pad": "x" * size} for index in range(records)])
        return pack_frame(
            producer=self.id,
            first=first,
            runs=packed.runs,
            created_ms=1_700_000_000_000 + first % 1_000_000,
            source=self.source,
            codec=RAW,
            drops=drops,
        )

    def frames(self, number: int, records: int = 3) -> list[bytes]:
        """Return the next frames."""
        return [self.frame(records) for _ in range(number)]


def append_each(buffer: Buffer, frames: Iterable[bytes]) -> None:
    """Append frames one by one."""
    for frame in frames:
        assert buffer.append([frame], timeout=60) is None


def letter(id_: str, position: int, record: bytes = b"\x80", records: int = 1) -> DeadLetter:
    """Return a dead letter."""
    return DeadLetter(id_, position, 1_700_000_000_000, "rejected", "says the test", 1, "test 1.0", record, records)


def deliver(cursor: Cursor, deliveries: list[Delivery]) -> None:
    """Commit deliveries as delivered."""
    total = sum(delivery.total for delivery in deliveries)
    again = sum(delivery.total for delivery in deliveries if delivery.redelivered)
    cursor.commit(deliveries[-1].position, Counts(delivered=total, redelivered=again))


def drain(cursor: Cursor) -> list[bytes]:
    """Deliver all there is; return the frames."""
    frames = []
    while deliveries := cursor.fetch(1_000, PLENTY):
        deliver(cursor, deliveries)
        frames += [delivery.frame for delivery in deliveries]
    return frames


def balance(buffer: Buffer, pump: str) -> CursorStats:
    """Assert that a pump's ledger balances; return it."""
    stats = buffer.stats()
    cursor = stats.cursors[pump]
    accounted = cursor.delivered + cursor.filtered + cursor.dead + cursor.skipped + cursor.lag
    assert stats.stored - cursor.began == accounted, (stats.stored, cursor)
    return cursor


_PRELUDE = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
url = sys.argv[1]
"""
#: The interpreter's own files may be closed to other users: what is needed is imported before.
_BECOME = """
import tempfile
import making
from pumpkit.buffers import open_buffer
with tempfile.TemporaryDirectory() as folder:
    open_buffer(f"sqlite:///{{folder}}/b.db").close()
os.setgroups([]), os.setgid({group}), os.setuid({user})
"""


class Other:
    """Another process that runs some Python and talks by lines."""

    def __init__(self, code: str, *arguments: str, user: int | None = None, group: int | None = None) -> None:
        become = "" if user is None else _BECOME.format(user=user, group=group)
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PRELUDE + become + code, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def output(self) -> IO[str]:
        """What it prints."""
        assert self.process.stdout is not None
        return self.process.stdout

    def line(self) -> str:
        """Return the next line that it prints, "" when it has ended."""
        return self.output.readline().strip()

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.process.kill()
        self.process.wait()

    def finish(self) -> str:
        """Let it end by itself; return what else it printed. It must succeed."""
        output, _ = self.process.communicate(timeout=120)
        assert self.process.returncode == 0, output
        return output.strip()


@contextmanager
def other(code: str, *arguments: str, user: int | None = None, group: int | None = None) -> Iterator[Other]:
    """Run some Python in another process, with `url` as its first argument; it is dead when the block ends."""
    process = Other(code, *arguments, user=user, group=group)
    try:
        yield process
    finally:
        process.kill()
        for pipe in (process.process.stdin, process.process.stdout):
            if pipe:
                pipe.close()
