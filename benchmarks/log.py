"""The log under full load: four producers that append as fast as they can, and four pumps that read it.

Beside it the usual way to do this in SQLite: one file for the log and the positions of its readers, through the same
library, as durable. Frames hold 500 records and are not decoded; what all have read is trimmed each second, as the
runner does it.
"""

import time
from contextlib import closing
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import apsw

from benchmarks.apart import ready, together
from benchmarks.backlog import Producer
from benchmarks.rounds import Measures, Samples, Size, interleaved, percentile, ratio, spread
from benchmarks.table import Report, Table, around
from pumpkit.buffers import open_buffer
from pumpkit.buffers.base import Counts

TITLE = "The log: four producers, four pumps"

PUMPKIT, ONE_FILE = "pumpkit", "one SQLite file"
PRODUCERS = PUMPS = 4
RECORDS = 500  # in a frame
FETCH = 2  # frames at a time: `batch-records` of 1,000
PATIENCE = 60.0  # seconds to wait for a lock
PAUSE = 0.01  # seconds, when there is nothing to read

APPENDED, SLOWEST = "records appended/s, all", "records appended/s, slowest producer"
READ, BEHIND = "records read/s by each pump", "read of what was appended, slowest pump"
APPEND, LONGEST, COMMIT = "append p99, ms", "longest append, ms", "commit p99, ms"
MEASURES = (APPENDED, SLOWEST, READ, BEHIND, APPEND, LONGEST, COMMIT)


def measure(size: Size) -> Samples:
    """Measure records per second, and milliseconds."""
    seconds = max(0.5, 3 * size.scale)
    return interleaved(size.rounds, {way: partial(_run, way, seconds) for way in _WAYS})


def _run(way: str, seconds: float) -> Measures:
    with TemporaryDirectory() as folder:
        with closing(_WAYS[way](Path(folder))) as log:
            log.prepare()
        parts = [(_append, 0)] * PRODUCERS + [(_read, number) for number in range(PUMPS)] + [(_trim, 0)]
        answers = together(*((part, way, folder, seconds, number) for part, number in parts))
    appends: list[list[float]] = answers[:PRODUCERS]
    reads: list[tuple[int, list[float]]] = answers[PRODUCERS:-1]
    appended = [len(one) for one in appends]
    read = [frames for frames, _ in reads]
    waits = [1e3 * taken for one in appends for taken in one]
    return {
        APPENDED: RECORDS * sum(appended) / seconds,
        SLOWEST: RECORDS * min(appended) / seconds,
        READ: RECORDS * sum(read) / PUMPS / seconds,
        BEHIND: min(read) / sum(appended),
        APPEND: percentile(waits, 99),
        LONGEST: max(waits),
        COMMIT: percentile([1e3 * taken for _, one in reads for taken in one], 99),
    }


class Log(Protocol):
    """A log of frames, as one process has it open."""

    def __init__(self, folder: Path) -> None: ...

    def prepare(self) -> None:
        """Make it, with its readers."""

    def append(self, frame: bytes) -> None:
        """Store a frame; durable on return."""

    def reader(self, number: int) -> Any:
        """Return one reader: `fetch()` returns frames that are new to it, and `commit()` moves past them, durably."""

    def trim(self) -> None:
        """Delete what all have read."""

    def close(self) -> None:
        """Close it."""


def _append(barrier: Barrier, way: str, folder: str, seconds: float, _: int) -> list[float]:
    """Append until the time is over; return the seconds that each append took."""
    producer = Producer(RECORDS)
    taken = []
    with closing(_WAYS[way](Path(folder))) as log:
        ready(barrier)
        until = time.perf_counter() + seconds
        while (began := time.perf_counter()) < until:
            log.append(producer.frame())
            taken.append(time.perf_counter() - began)
    return taken


def _read(barrier: Barrier, way: str, folder: str, seconds: float, number: int) -> tuple[int, list[float]]:
    """Read until the time is over; return how many frames, and the seconds that each commit took."""
    frames, taken = 0, []
    with closing(_WAYS[way](Path(folder))) as log, closing(log.reader(number)) as reader:
        ready(barrier)
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            found = reader.fetch()
            if not found:
                time.sleep(PAUSE)
                continue
            began = time.perf_counter()
            reader.commit()
            taken.append(time.perf_counter() - began)
            frames += len(found)
    return frames, taken or [seconds]


def _trim(barrier: Barrier, way: str, folder: str, seconds: float, _: int) -> None:
    with closing(_WAYS[way](Path(folder))) as log:
        ready(barrier)
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            time.sleep(min(1, left))
            log.trim()


class _Pumpkit:
    """The embedded buffer."""

    def __init__(self, folder: Path) -> None:
        self._buffer = open_buffer(f"sqlite:///{folder}/buffer.db")

    def prepare(self) -> None:
        for number in range(PUMPS):
            self._buffer.register(f"pump-{number}")

    def append(self, frame: bytes) -> None:
        self._buffer.append([frame], timeout=PATIENCE)

    def reader(self, number: int) -> "_PumpkitReader":
        return _PumpkitReader(self._buffer.cursor(f"pump-{number}"))

    def trim(self) -> None:
        until = time.perf_counter() + 0.5
        while self._buffer.trim() and time.perf_counter() < until:
            pass

    def close(self) -> None:
        self._buffer.close()


class _PumpkitReader:
    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        self._found: list[Any] = []
        self.close = cursor.close

    def fetch(self) -> list[Any]:
        self._found = self._cursor.fetch(FETCH * RECORDS, 4 << 20)
        return self._found

    def commit(self) -> None:
        self._cursor.commit(self._found[-1].position, Counts(delivered=RECORDS * len(self._found)))


class _OneFile:
    """One file in WAL mode, whoever writes waits for the others by SQLite's own busy timeout."""

    def __init__(self, folder: Path) -> None:
        self._connection = apsw.Connection(str(folder / "log.db"))
        self._connection.set_busy_timeout(int(1e3 * PATIENCE))
        self._connection.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL").fetchall()
        self.close = self._connection.close

    def prepare(self) -> None:
        self._connection.execute(
            "CREATE TABLE frames(position INTEGER PRIMARY KEY AUTOINCREMENT, frame BLOB);"
            "CREATE TABLE readers(number INTEGER PRIMARY KEY, position INT)"
        )
        self._connection.executemany("INSERT INTO readers VALUES(?, 0)", [(number,) for number in range(PUMPS)])

    def append(self, frame: bytes) -> None:
        self._connection.execute("INSERT INTO frames(frame) VALUES(?)", (frame,))

    def reader(self, number: int) -> "_OneFileReader":
        return _OneFileReader(self._connection, number)

    def trim(self) -> None:
        self._connection.execute("DELETE FROM frames WHERE position <= (SELECT min(position) FROM readers)")


class _OneFileReader:
    def __init__(self, connection: apsw.Connection, number: int) -> None:
        self._connection, self._number, self._position = connection, number, 0
        self._found: list[Any] = []

    def fetch(self) -> list[Any]:
        sql = "SELECT position, frame FROM frames WHERE position > ? ORDER BY position LIMIT ?"
        self._found = self._connection.execute(sql, (self._position, FETCH)).fetchall()
        return self._found

    def commit(self) -> None:
        self._position = self._found[-1][0]
        self._connection.execute(
            "UPDATE readers SET position = ? WHERE number = ?", (self._position, self._number)
        ).fetchall()

    def close(self) -> None:
        pass


_WAYS: dict[str, type[Log]] = {PUMPKIT: _Pumpkit, ONE_FILE: _OneFile}


def report(samples: Samples) -> Report:
    """Compare the two logs."""
    rows = []
    for measure in MEASURES:
        figures = [around(spread(samples[way][measure])) for way in (PUMPKIT, ONE_FILE)]
        rows.append([measure, *figures, around(ratio(samples, measure, PUMPKIT, ONE_FILE))])
    about = "Four processes append frames of 500 records as fast as they can, four read and commit, one trims."
    return Report(about, [Table(["", PUMPKIT, ONE_FILE, "ratio"], rows)])
