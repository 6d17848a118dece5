"""The sink: its settings, and what becomes of a batch."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Literal

import attrs
from pumpkit import ConfigError, PartialWrite, PumpConfig, Records, Unavailable, hookimpl, key

#: Errors of SQLite that pass: somebody else writes, the file cannot be opened now, the disk is full or fails.
PASSING = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}

#: Milliseconds of a wait without limit.
FOR_EVER = 2**31 - 1


@attrs.define(eq=False)
class SqliteExampleSink:
    """Keeps records in the table `records` of a SQLite file, as JSON, each once."""

    duplicates: ClassVar[Literal["never", "possible"]] = "never"  # the id is the table's key

    path: Path = key(about="The SQLite file; made if it is missing, its folder is not.")

    _database: sqlite3.Connection | None = attrs.field(default=None, init=False, repr=False)

    @hookimpl
    def init(self, config: PumpConfig) -> None:
        """Open the file and make the table."""
        self.close()  # what a try that failed has left
        with self._verdicts():
            self._database = sqlite3.connect(self.path)
            self._database.execute("PRAGMA synchronous = EXTRA")  # what is committed is on the disk
            self._database.execute("CREATE TABLE IF NOT EXISTS records (id TEXT PRIMARY KEY, record TEXT NOT NULL)")

    @hookimpl
    def write_data(self, records: Records, ids: list[str], timeout: float | None) -> None:
        """Write a batch in one transaction. What JSON cannot hold is rejected; an id that is there stays as it is."""
        if self._database is None:
            raise RuntimeError("write_data before init, or after close")
        rows: list[tuple[str, str]] = []
        rejected: dict[int, str] = {}
        for index, (record, id_) in enumerate(zip(records, ids, strict=True)):
            try:
                rows.append((id_, json.dumps(record, default=str, allow_nan=False)))
            except (TypeError, ValueError) as error:
                rejected[index] = str(error)
        wait = FOR_EVER if timeout is None else min(int(timeout * 1000), FOR_EVER)
        with self._verdicts(), self._database:
            self._database.execute(f"PRAGMA busy_timeout = {wait}")
            self._database.executemany("INSERT INTO records VALUES (?, ?) ON CONFLICT (id) DO NOTHING", rows)
        if rejected:
            raise PartialWrite(rejected)

    @hookimpl
    def close(self) -> None:
        """Close the file."""
        database, self._database = self._database, None
        if database is not None:
            database.close()

    @contextmanager
    def _verdicts(self) -> Iterator[None]:
        """Tell the pump what to do about an error of SQLite: try again later, or wait for a person."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            passes = getattr(error, "sqlite_errorcode", 0) & 0xFF in PASSING  # the low byte is the kind
            raise (Unavailable if passes else ConfigError)(f"{self.path}: {error}") from error
