"""What the log says at one moment, and the tables it says it with."""

import contextlib
import json
from collections.abc import Iterable
from typing import NamedTuple

import apsw

from pumpkit.buffers.base import HostDrops, Position, ProducerStats
from pumpkit.buffers.drops import add
from pumpkit.buffers.sqlite.database import Kind, rows

KIND = Kind(
    "a pumpkit buffer",
    int.from_bytes(b"pkLG", "big"),
    1,
    # `ordinal` is how many records the log had stored before the frame's first one, so that a lag is a subtraction.
    # `last` is the position of a producer's last frame. The frame comes last: the columns before it are read alone.
    """
    CREATE TABLE settings(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
    CREATE TABLE frames(
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        producer BLOB NOT NULL, first INT NOT NULL, count INT NOT NULL,
        ordinal INT NOT NULL, created_ms INT NOT NULL, frame BLOB NOT NULL
    );
    CREATE TABLE producers(
        producer BLOB PRIMARY KEY, source TEXT NOT NULL, host TEXT NOT NULL, pid INT NOT NULL, next_seq INT NOT NULL,
        drops TEXT NOT NULL, last_ms INT NOT NULL, last INT NOT NULL
    ) WITHOUT ROWID;
    """,
)


class Standing(NamedTuple):
    """Where a position stands in the log: records after it, and creation time of the first of them."""

    lag: int
    oldest_ms: int | None


class View:
    """The log at one moment. What a method returns holds only inside the transaction."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        sql = "SELECT key, value FROM settings UNION ALL SELECT 'last', seq FROM sqlite_sequence"
        settings = dict(rows(connection, sql))
        self.buffer_id: str = settings["buffer_id"]
        self.max_bytes: int = settings["max_bytes"]
        self.stored: int = settings["stored"]  # records ever
        self.lost: int = settings["lost"]
        self.folded: str = settings["drops"]  # JSON: totals of producers that are gone
        self._by_host: str = settings.get("drops_by_host", "[]")  # JSON: none in a file made before there was this
        self.last: Position = settings.get("last", 0)  # of the last frame ever stored

    def used_bytes(self) -> int:
        """Return what counts against the size cap: the pages in use."""
        sql = "SELECT (page_count - freelist_count) * page_size"
        used: int = rows(self._connection, sql + " FROM pragma_page_count, pragma_freelist_count, pragma_page_size")[0][
            0
        ]
        return used

    def start(self) -> Position:
        """Return the position before the oldest frame: where a cursor begins, and where trimming has got to."""
        first: Position | None = rows(self._connection, "SELECT min(position) FROM frames")[0][0]
        return self.last if first is None else first - 1

    def frames(self) -> int:
        """Return how many frames there are: they come at one end and go at the other, so positions have no gaps."""
        return self.last - self.start()

    def standing(self, position: Position) -> Standing:
        """Return how far behind a cursor at `position` is."""
        sql = "SELECT ordinal, created_ms FROM frames WHERE position > ? ORDER BY position LIMIT 1"
        for ordinal, created_ms in rows(self._connection, sql, (position,)):
            return Standing(self.stored - ordinal, created_ms)
        return Standing(0, None)

    def began(self, position: Position) -> int:
        """Return how many records the log had stored, ever, up to `position`."""
        return self.stored - self.standing(position).lag

    def reach(self, position: Position, limit: Position, size: int) -> Position | None:
        """Return how far after `position`, and not after `limit`, frames of `size` bytes reach; None without one."""
        sql = "SELECT position, length(frame) FROM frames WHERE position > ? AND position <= ? ORDER BY position"
        reached = None
        with contextlib.closing(self._connection.execute(sql, (position, limit))) as found:
            for row in found:
                reached, length = row
                size -= length
                if size <= 0:
                    break
        return reached

    def producers(self) -> list[ProducerStats]:
        """Return every producer that is not folded yet, in order of birth."""
        sql = "SELECT producer, source, host, pid, next_seq, last_ms, drops FROM producers"
        return [
            ProducerStats(producer.hex(), source, host, pid, next_seq, last_ms, json.loads(drops))
            for producer, source, host, pid, next_seq, last_ms, drops in rows(self._connection, sql)
        ]

    def drops(self, producers: Iterable[ProducerStats]) -> dict[str, int]:
        """Return the totals of all producers ever, by cause."""
        drops: dict[str, int] = json.loads(self.folded)
        for producer in producers:
            drops = add(drops, producer.drops)
        return drops

    def drops_by_host(self) -> list[HostDrops]:
        """Return what was counted by host and source, the one that dropped last at the end."""
        return [HostDrops(*row) for row in json.loads(self._by_host)]
