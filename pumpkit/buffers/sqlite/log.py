"""FILE: the log itself. Producers append to it and pumps read it; `trimmer` makes room in it."""

import contextlib
import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from pumpkit import frames as wire
from pumpkit.buffers.base import Gap, Position
from pumpkit.buffers.drops import count, later, subtract
from pumpkit.buffers.sqlite import place
from pumpkit.buffers.sqlite.database import Database, rows
from pumpkit.buffers.sqlite.view import KIND, View
from pumpkit.errors import BadFrame, BufferFull

#: The size cap of a new buffer, in bytes.
MAX_BYTES = 1 << 30

#: With more bytes free than this, the disk is looked at again only after so many seconds.
_ROOMY = 1 << 30
_LOOK_AGAIN = 1.0

_LARGEST = (1 << 63) - 1  # of SQLite's integers


class Fetched(NamedTuple):
    """Frames read, with what a cursor needs to notice that the log is not the one it knew."""

    buffer_id: str
    last: Position
    rows: list[tuple[Position, int, bytes]]  # position, count, frame


class Log:
    """The log, as any process has it open."""

    def __init__(self, file: Path, absent: Callable[[], None]) -> None:
        self.database = Database(file, KIND, absent)
        self._file = file
        self._host = socket.gethostname()
        self._roomy_until = 0.0

    def make(self) -> None:
        """Make the file. Only for the holder of the buffer's `.lock`."""
        settings = {"buffer_id": secrets.token_hex(16), "max_bytes": MAX_BYTES, "stored": 0, "lost": 0, "drops": "{}"}
        self.database.make(lambda connection: put(connection, settings))

    def append(self, frames: Sequence[bytes], accept_gap: bool, timeout: float) -> Gap | None:
        """Store frames of one producer; see `base.Buffer.append`."""
        headers = [wire.read_header(frame) for frame in frames]
        if len({header.producer for header in headers}) > 1:
            raise ValueError("one append takes frames of one producer")
        if not headers:
            return None
        self._leave_room(sum(map(len, frames)))
        with self.database.write(timeout) as connection:
            return self._append(connection, list(zip(headers, frames, strict=True)), accept_gap)

    def _leave_room(self, size: int) -> None:
        """Leave enough of the disk for pumps and trimming; the write-ahead log is still to be moved into the file."""
        if time.monotonic() < self._roomy_until:
            return
        free = place.free_bytes(self._file.parent)
        if free > _ROOMY:
            self._roomy_until = time.monotonic() + _LOOK_AGAIN
            return
        if free < place.RESERVE + self.database.wal_bytes() + 2 * size:
            raise BufferFull(
                f"{self._file}: {free} bytes are free on its disk; the last {place.RESERVE} are kept for draining it"
            )

    def _append(
        self, connection: apsw.Connection, pairs: list[tuple[wire.Header, bytes]], accept_gap: bool
    ) -> Gap | None:
        producer, source = pairs[0][0].producer, pairs[0][0].source
        next_seq, before, last = _known(connection, producer)
        drops = before
        if pairs[0][0].first > next_seq and not accept_gap:
            return Gap(next_seq)
        view = View(connection)
        stored, lost = view.stored, view.lost
        gap = None
        for header, frame in pairs:
            if header.first > next_seq and not accept_gap:
                gap = Gap(next_seq)
                break
            drops = later(drops, header.drops)
            if header.first < next_seq:
                if header.next_seq > next_seq:
                    raise BadFrame(
                        f"records {header.first} to {header.next_seq - 1} overlap the {next_seq} that the log has;"
                        " a producer repeats its frames as they were"
                    )
                continue
            lost += header.first - next_seq
            next_seq = header.next_seq
            if not header.total:
                continue
            connection.execute(
                "INSERT INTO frames(producer, first, count, ordinal, created_ms, frame) VALUES(?, ?, ?, ?, ?, ?)",
                (producer, header.first, header.total, stored, header.created_ms, frame),
            )
            last = connection.last_insert_rowid()
            stored += header.total
        connection.execute(
            "REPLACE INTO producers VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
            (producer, source, self._host, os.getpid(), next_seq, json.dumps(drops), now_ms(), last),
        )
        put(connection, {"stored": stored, "lost": min(lost, _LARGEST)})
        if more := subtract(drops, before):
            by_host = count(view.drops_by_host(), self._host, source, now_ms(), more)
            put(connection, {"drops_by_host": json.dumps(by_host)})
        if stored > view.stored and view.used_bytes() > view.max_bytes:
            raise BufferFull(f"{self._file} is at its size cap of {view.max_bytes} bytes")
        return gap

    def fetch(self, after: Position, max_records: int, max_bytes: int) -> Fetched:
        """Return the next frames after a position; at least one if there is any."""
        sql = "SELECT position, count, frame FROM frames WHERE position > ? ORDER BY position LIMIT ?"
        taken: list[tuple[Position, int, bytes]] = []
        with self.database.read() as connection:
            view = View(connection)
            with contextlib.closing(connection.execute(sql, (after, max(1, max_records)))) as found:
                for position, count, frame in found:
                    max_records -= count
                    max_bytes -= len(frame)
                    if taken and (max_records < 0 or max_bytes < 0):
                        break
                    taken.append((position, count, frame))
            return Fetched(view.buffer_id, view.last, taken)

    def set_max_bytes(self, max_bytes: int, timeout: float) -> None:
        """Set the size cap, within `timeout` seconds."""
        with self.database.write(timeout) as connection:
            put(connection, {"max_bytes": max_bytes})


def put(connection: apsw.Connection, settings: dict[str, Any]) -> None:
    """Write rows of `settings`."""
    connection.executemany("REPLACE INTO settings VALUES(?, ?)", settings.items())


def now_ms() -> int:
    """Return Unix milliseconds."""
    return time.time_ns() // 1_000_000


def _known(connection: apsw.Connection, producer: bytes) -> tuple[int, dict[str, int], Position]:
    """Return a producer's next sequence, its drops and the position of its last frame."""
    for row in rows(connection, "SELECT next_seq, drops, last FROM producers WHERE producer = ?", (producer,)):
        return row[0], json.loads(row[1]), row[2]
    return 0, {}, 0
