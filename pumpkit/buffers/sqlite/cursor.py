"""One pump's cursor, held by its worker."""

import os
from collections.abc import Iterable, Sequence

from pumpkit.buffers.base import Counts, CursorStats, DeadLetter, Delivery, Part, Position
from pumpkit.buffers.sqlite.locks import FileLock
from pumpkit.buffers.sqlite.log import Log
from pumpkit.buffers.sqlite.pumps import EVERYTHING, PumpFile
from pumpkit.buffers.sqlite.view import View
from pumpkit.errors import BufferBusy, BufferError, BufferReplaced, BufferUnavailable


class SqliteCursor:
    """A pump's place in the log; see `base.Cursor`. For one thread, in the process that opened it."""

    def __init__(self, log: Log, file: PumpFile, lock: FileLock) -> None:
        self.pump = file.pump
        self.was_reset = False
        self._log = log
        self._file = file
        self._lock = lock
        self._pid = os.getpid()
        self._closed = False
        self._hand: dict[Position, int] = {}  # frames handed out and not passed yet, with their records
        row = file.row()
        self._buffer_id, self._position = row.buffer_id, row.position
        with log.database.read() as connection:
            view = View(connection)
            start = view.start()
            passed = view.began(start)
        self._suspect = min(row.suspect, view.last)
        file.suspect(EVERYTHING)
        if not self._notice(view.buffer_id, view.last) and self._position < start:
            # Its file was taken back to an earlier state: what is trimmed is gone for it.
            file.commit(start, Counts(), passed - row.accounted(), ())
            self._pass(start)

    def fetch(self, max_records: int, max_bytes: int, after: Position | None = None) -> list[Delivery]:
        """See `base.Cursor.fetch`."""
        self._check()
        if after is not None and after != self._position and after not in self._hand:
            raise ValueError(f"{after} is no position that this cursor handed out")
        start = self._position if after is None else after
        fetched = self._log.fetch(start, max_records, max_bytes)
        if self._notice(fetched.buffer_id, fetched.last, in_hand=after is not None):
            fetched = self._log.fetch(self._position, max_records, max_bytes)
        if after is None:
            self._hand.clear()
        self._hand.update((position, count) for position, count, _ in fetched.rows)
        return [Delivery(position, frame, count, position <= self._suspect) for position, count, frame in fetched.rows]

    def commit(self, through: Position, counts: Counts, dead: Sequence[DeadLetter] = ()) -> None:
        """See `base.Cursor.commit`."""
        self._check()
        if through not in self._hand:
            raise ValueError(f"{through} is no position that this cursor handed out")
        total = sum(records for position, records in self._hand.items() if position <= through)
        counted = counts.delivered + counts.filtered + counts.dead
        if counted != total:
            raise ValueError(f"{counted} records counted, but {total} were handed out up to position {through}")
        self._file.commit(through, counts, 0, dead)
        self._pass(through)

    def hold(self) -> None:
        """See `base.Cursor.hold`. The kernel keeps the lock for as long as the process lives."""
        self._check()

    def accept(self, parts: Sequence[Part]) -> None:
        """See `base.Cursor.accept`."""
        self._check()
        self._file.accept(parts)

    def accepted(self) -> list[Part]:
        """See `base.Cursor.accepted`."""
        self._check()
        return self._file.accepted()

    def skip(self, through: Position) -> int:
        """See `base.Cursor.skip`."""
        self._check()
        with self._log.database.read() as connection:
            view = View(connection)
            through = min(through, view.last)
            passed = view.began(through) - view.began(self._position)
        if self._notice(view.buffer_id, view.last) or through <= self._position:
            return 0
        parts = [part for part in self._file.accepted() if part.position <= through]
        delivered = len({(part.position, n) for part in parts for n in range(part.first, part.last + 1)})
        skipped = passed - delivered
        self._file.commit(through, Counts(delivered), skipped, ())
        self._pass(through)
        return skipped

    def marked(self, limit: int) -> list[DeadLetter]:
        """See `base.Cursor.marked`."""
        self._check()
        return self._file.marked(limit)

    def resolve(self, replayed: Iterable[str], purged: Iterable[str], failed: Iterable[DeadLetter]) -> None:
        """See `base.Cursor.resolve`."""
        self._check()
        self._file.resolve(replayed, purged, failed)

    def stats(self) -> CursorStats:
        """See `base.Cursor.stats`."""
        self._check()
        row = self._file.row()
        with self._log.database.read() as connection:
            return row.stats(self.pump, View(connection))

    def close(self) -> None:
        """See `base.Cursor.close`. Frames still in hand are handed out again later, marked as redelivered."""
        if self._closed or self._pid != os.getpid():
            return
        self._closed = True
        try:
            self._file.suspect(max([self._suspect, *self._hand]))
        except BufferError:  # then the next one takes everything for redelivered
            pass
        finally:
            self._lock.release()

    def _pass(self, through: Position) -> None:
        self._position = through
        self._hand = {position: records for position, records in self._hand.items() if position > through}

    def _notice(self, buffer_id: str, last: Position, in_hand: bool = False) -> bool:
        """Begin again if this is not the log that the cursor knew; return whether."""
        if buffer_id == self._buffer_id and self._position <= last:
            return False
        if in_hand:
            raise BufferReplaced(
                f"the buffer of pump {self.pump} was replaced while it had records of the old one in hand;"
                " open the cursor anew"
            )
        with self._log.database.read() as connection:
            row = self._file.row().current(View(connection))
        self._file.restart(row)
        self._buffer_id, self._position, self._suspect = row.buffer_id, row.position, 0
        self._hand.clear()
        self.was_reset = True
        return True

    def _check(self) -> None:
        if self._closed:
            raise BufferUnavailable(f"the cursor of pump {self.pump} is closed")
        if self._pid != os.getpid():
            raise BufferBusy(f"the cursor of pump {self.pump} belongs to process {self._pid}, which forked this one")
