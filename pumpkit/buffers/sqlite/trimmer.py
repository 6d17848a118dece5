"""Making room in the log, in slices so small that no producer waits long.

Only for the holder of the buffer's `.lock`.
"""

import json
import os
import socket
import time

from pumpkit.buffers.base import Position
from pumpkit.buffers.drops import add
from pumpkit.buffers.sqlite import place
from pumpkit.buffers.sqlite.database import WAL_BYTES, Database, rows
from pumpkit.buffers.sqlite.log import now_ms, put
from pumpkit.buffers.sqlite.view import View

#: What one call of `trim` deletes at most.
SLICE_FRAMES, SLICE_BYTES = 500, 16 << 20

#: Pages that one call of `tidy` gives back to the disk at most, and pages that may stay free for the next burst.
SLICE_PAGES, SPARE_PAGES = 1_000, 256

#: A producer without a frame left is folded into the totals when its process is gone and it was idle for this long.
IDLE_MS = 7 * 24 * 3600 * 1000

#: The same for one under another host name, as of an application in another container: whether its process is gone
#: cannot be seen from here, and what a folded producer sends next counts everything before it as lost.
IDLE_ELSEWHERE_MS = 365 * 24 * 3600 * 1000

_FOLDING_PAUSE = 60.0  # seconds


class Trimmer:
    """Deletes frames, and in quiet moments what else is of no use."""

    def __init__(self, database: Database, reserve: place.Reserve) -> None:
        self._database = database
        self._reserve = reserve
        self._host = socket.gethostname()
        self._folded_at: float | None = None

    def trim(self, through: Position) -> int:
        """Delete the first frames up to `through`, a slice of them; return how many."""
        sql = "SELECT position, length(frame) FROM frames WHERE position <= ? ORDER BY position LIMIT ?"
        with self._database.read() as connection:
            found = rows(connection, sql, (through, SLICE_FRAMES))
        size, count = 0, 0
        for _, length in found:
            size += length
            if count and size > SLICE_BYTES:
                break
            count += 1
        if count:
            self._reserve.ease()
            with self._database.write() as connection:
                connection.execute("DELETE FROM frames WHERE position <= ?", (found[count - 1][0],))
        return count

    def tidy(self) -> None:
        """Fold producers that are gone, and give room back to the disk."""
        self._reserve.ease()
        if self._folded_at is None or time.monotonic() - self._folded_at > _FOLDING_PAUSE:
            self._folded_at = time.monotonic()
            self._fold()
        gave = self._vacuum()
        if gave or self._database.wal_bytes() > WAL_BYTES:
            self._database.shrink_wal()
        self._reserve.restore()

    def _fold(self) -> None:
        """Add producers without a frame left that are gone, as far as one can know, to the totals."""
        sql = """SELECT producer, host, pid, drops FROM producers
            WHERE last_ms < iif(host = ?, ?, ?) AND last < coalesce((SELECT min(position) FROM frames), last + 1)"""
        limits = (self._host, now_ms() - IDLE_MS, now_ms() - IDLE_ELSEWHERE_MS)
        with self._database.read() as connection:
            if not rows(connection, sql, limits):
                return
        with self._database.write() as connection:
            drops = json.loads(View(connection).folded)
            for producer, host, pid, its in rows(connection, sql, limits):
                if host == self._host and _lives(pid):
                    continue
                drops = add(drops, json.loads(its))
                connection.execute("DELETE FROM producers WHERE producer = ?", (producer,))
            put(connection, {"drops": json.dumps(drops)})

    def _vacuum(self) -> bool:
        """Give free pages back: half of the file may stay free, unless the disk is nearly full. Return whether."""
        with self._database.read() as connection:
            pages, free = rows(connection, "SELECT * FROM pragma_page_count, pragma_freelist_count")[0]
        scarce = place.free_bytes(self._database.path.parent) < 2 * place.RESERVE
        if not free or not (scarce or free > max(SPARE_PAGES, pages // 2)):
            return False
        with self._database.write() as connection:
            rows(connection, f"PRAGMA incremental_vacuum({SLICE_PAGES})")
        return True


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
