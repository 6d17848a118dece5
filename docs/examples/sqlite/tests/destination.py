"""Where the sink writes, as pumpkit's conformance kit has to know it."""

import json
import math
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from pumpkit import Record
from pumpkit.testing import Arrived, Destination


class SqliteExampleDestination(Destination):
    """A SQLite file of its own for each case."""

    cannot = {
        "stop": "a file is always there",
        "start": "a file is always there",
        "busy": "it asks for no pause",
        "bad_login": "it asks for no credentials",
    }

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.path = folder / "records.db"
        self.other: sqlite3.Connection | None = None

    def meta(self) -> dict[str, Any]:
        """Return the settings that lead here."""
        return {"path": str(self.path)}

    def read(self) -> Sequence[Arrived]:
        """Return every row, as another program reads it."""
        if not self.path.exists():
            return []
        with closing(sqlite3.connect(self.path)) as database:
            rows = database.execute("SELECT id, record FROM records ORDER BY rowid").fetchall()
        return [Arrived(id_, json.loads(record)) for id_, record in rows]

    read_in_order = read

    def expected(self, record: Record) -> Record:
        """Return a record as JSON has it: times and bytes are text."""
        found: Record = json.loads(json.dumps(record, default=str))
        return found

    def hang(self) -> None:
        """Let another program hold the lock that a write needs."""
        self.other = sqlite3.connect(self.path, isolation_level=None)
        self.other.execute("BEGIN IMMEDIATE")

    def unhang(self) -> None:
        """Let the lock go."""
        if self.other is not None:
            self.other.close()
            self.other = None

    def poison(self) -> Record:
        """Return what JSON has no number for."""
        return {"number": math.nan}

    def close(self) -> None:
        """Let the lock go; the folder is removed by the kit."""
        self.unhang()
