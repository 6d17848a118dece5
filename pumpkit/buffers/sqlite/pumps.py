"""FILE.pumps/PUMP.db: one pump's position, ledger and dead letters."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from pumpkit.buffers.base import Counts, CursorStats, DeadLetter, Mark, Part, Position, Wanted
from pumpkit.buffers.sqlite import place
from pumpkit.buffers.sqlite.database import Database, Kind, rows
from pumpkit.buffers.sqlite.view import View
from pumpkit.errors import BufferConfigError
from pumpkit.ids import is_pump_name

#: `suspect` while a cursor is open: everything may have been handed out.
EVERYTHING = (1 << 63) - 1

KIND = Kind(
    "a pump's cursor",
    int.from_bytes(b"pkPM", "big"),
    1,
    # Frames up to `suspect` may have been handed out by a cursor that did not end cleanly. `epoch` counts the logs that
    # the cursor began in: dead letters of an earlier one stand for nothing in its ledger. `kept` and `kept_bytes`
    # follow the table of dead letters. Marks are apart, so that marking does not write large records again.
    """
    CREATE TABLE cursor(
        buffer_id TEXT NOT NULL, position INT NOT NULL, began INT NOT NULL,
        delivered INT NOT NULL DEFAULT 0, filtered INT NOT NULL DEFAULT 0, dead INT NOT NULL DEFAULT 0,
        skipped INT NOT NULL DEFAULT 0, redelivered INT NOT NULL DEFAULT 0, wanted TEXT NOT NULL DEFAULT 'run',
        suspect INT NOT NULL DEFAULT 0, epoch INT NOT NULL DEFAULT 0,
        kept INT NOT NULL DEFAULT 0, kept_bytes INT NOT NULL DEFAULT 0
    );
    CREATE TABLE dead(
        id TEXT PRIMARY KEY, position INT NOT NULL, at_ms INT NOT NULL, kind TEXT NOT NULL, reason TEXT NOT NULL,
        attempts INT NOT NULL, plugin TEXT NOT NULL, records INT NOT NULL, epoch INT NOT NULL, record BLOB NOT NULL
    );
    CREATE INDEX dead_by_position ON dead(position, id);
    CREATE TABLE marks(position INT, id TEXT, mark TEXT NOT NULL, PRIMARY KEY(position, id)) WITHOUT ROWID;
    CREATE TABLE accepted(position INT NOT NULL, first INT NOT NULL, last INT NOT NULL);
    CREATE TRIGGER dead_kept AFTER INSERT ON dead BEGIN
        UPDATE cursor SET kept = kept + 1, kept_bytes = kept_bytes + length(new.record);
    END;
    CREATE TRIGGER dead_changed AFTER UPDATE OF record ON dead BEGIN
        UPDATE cursor SET kept_bytes = kept_bytes + length(new.record) - length(old.record);
    END;
    CREATE TRIGGER dead_gone AFTER DELETE ON dead BEGIN
        UPDATE cursor SET kept = kept - 1, kept_bytes = kept_bytes - length(old.record);
        DELETE FROM marks WHERE position = old.position AND id = old.id;
    END;
    """,
)

_LETTER = "dead.id, dead.position, at_ms, kind, reason, attempts, plugin, record, records, mark"


class UnknownPump(BufferConfigError, KeyError):
    """No cursor of that name is registered."""

    __str__ = Exception.__str__  # KeyError's would put quotes around the message


class Row(NamedTuple):
    """What a pump's file says of its cursor, in the order of the table."""

    buffer_id: str
    position: Position
    began: int
    delivered: int
    filtered: int
    dead: int
    skipped: int
    redelivered: int
    wanted: Wanted
    suspect: Position
    epoch: int
    kept: int
    kept_bytes: int

    def current(self, view: View) -> "Row":
        """Return the row as it is in the log now: begun again at the oldest frame if the log is not the one it knew.

        That is another file, or the same one taken back to an earlier state: the log then ends before the cursor.
        """
        if self.buffer_id == view.buffer_id and self.position <= view.last:
            return self
        start = view.start()
        fresh = Row(view.buffer_id, start, view.began(start), 0, 0, 0, 0, 0, *self[8:])
        return fresh._replace(suspect=0, epoch=self.epoch + 1)

    def is_behind(self, view: View) -> bool:
        """Return whether frames after the cursor are trimmed: then it has moved on since the row was read."""
        return self.current(view).position < view.start()

    def accounted(self) -> int:
        """Return how many records of the log, of those ever stored, it has passed or came too late for."""
        return self.began + self.delivered + self.filtered + self.dead + self.skipped

    def stats(self, pump: str, view: View) -> CursorStats:
        """Return what everybody is told. The view has to be newer than the row: then the ledger balances."""
        row = self.current(view)
        return CursorStats(pump, *row[1:8], *view.standing(row.position), row.wanted, row.kept, row.kept_bytes)


class PumpFile:
    """One pump's file, as any process may read it. What changes the ledger is for the holder of the pump's lock."""

    def __init__(self, file: Path, pump: str, reserve: place.Reserve) -> None:
        self.pump = pump
        self.path = place.pumps_folder(file) / f"{pump}.db"
        self.lock = self.path.with_name(f"{pump}.lock")
        self.database = Database(self.path, KIND, self._absent)
        self._reserve = reserve

    def _absent(self) -> None:
        raise UnknownPump(f"no pump {self.pump!r} has a cursor in this buffer ({self.path} does not exist)")

    def make(self, buffer_id: str, position: Position, began: int) -> None:
        """Register the pump. Only for the holder of the buffer's `.lock`."""

        def fill(connection: apsw.Connection) -> None:
            row = (buffer_id, position, began)
            connection.execute("INSERT INTO cursor(buffer_id, position, began) VALUES(?, ?, ?)", row)

        self.database.make(fill)

    def row(self) -> Row:
        """Return the cursor. Raises UnknownPump."""
        with self.database.read() as connection:
            return Row(*rows(connection, "SELECT * FROM cursor")[0])

    def restart(self, row: Row) -> None:
        """Begin again in another log, with a cursor that is open. Dead letters stay."""
        sql = """UPDATE cursor SET buffer_id = ?, position = ?, began = ?, delivered = 0, filtered = 0, dead = 0,
            skipped = 0, redelivered = 0, suspect = ?, epoch = ?"""
        self._write((sql, (*row[:3], EVERYTHING, row.epoch)), ("DELETE FROM accepted", ()))

    def suspect(self, through: Position) -> None:
        """Remember that frames up to `through` may have been handed out."""
        self._write(("UPDATE cursor SET suspect = ?", (through,)))

    def commit(self, through: Position, counts: Counts, skipped: int, dead: Sequence[DeadLetter]) -> None:
        """Move the position, and count."""
        self._reserve.ease()
        with self.database.write() as connection:
            connection.execute(
                "UPDATE cursor SET position = ?, delivered = delivered + ?, filtered = filtered + ?, dead = dead + ?,"
                " redelivered = redelivered + ?, skipped = skipped + ?",
                (through, *counts, skipped),
            )
            connection.execute("DELETE FROM accepted WHERE position <= ?", (through,))
            _bury(connection, dead)

    def accept(self, parts: Iterable[Part]) -> None:
        """Add parts that the sink has taken."""
        self._reserve.ease()
        with self.database.write() as connection:
            connection.executemany("INSERT INTO accepted VALUES(?, ?, ?)", parts)

    def accepted(self) -> list[Part]:
        """Return these parts."""
        with self.database.read() as connection:
            return [Part(*row) for row in rows(connection, "SELECT * FROM accepted ORDER BY position, first")]

    def want(self, wanted: Wanted) -> None:
        """Set what a person wants."""
        self._write(("UPDATE cursor SET wanted = ?", (wanted,)))

    def letters(self, limit: int, after: str | None) -> list[DeadLetter]:
        """Return dead letters by position and id. Raises KeyError if there is none with the id `after`."""
        with self.database.read() as connection:
            begin: tuple[Any, ...] = (-1, "")
            if after is not None:
                found = rows(connection, "SELECT position, id FROM dead WHERE id = ?", (_text(after),))
                if not found:
                    raise KeyError(f"pump {self.pump} has no dead letter {after}")
                begin = found[0]
            sql = f"""SELECT {_LETTER} FROM dead LEFT JOIN marks USING(position, id)
                WHERE (dead.position, dead.id) > (?, ?) ORDER BY dead.position, dead.id LIMIT ?"""
            return [DeadLetter(*row) for row in rows(connection, sql, (*begin, limit))]

    def mark(self, mark: Mark, ids: Sequence[str] | None) -> int:
        """Mark dead letters, all of them without `ids`; return how many."""
        self._reserve.ease()
        sql = "REPLACE INTO marks SELECT position, id, ? FROM dead"
        with self.database.write() as connection:
            if ids is None:
                connection.execute(sql, (mark,))
                return connection.changes()
            marked = 0
            for id_ in dict.fromkeys(ids):
                connection.execute(sql + " WHERE id = ?", (mark, _text(id_)))
                marked += connection.changes()
            return marked

    def marked(self, limit: int) -> list[DeadLetter]:
        """Return marked dead letters by position and id."""
        sql = f"SELECT {_LETTER} FROM marks JOIN dead USING(position, id) ORDER BY marks.position, marks.id LIMIT ?"
        with self.database.read() as connection:
            return [DeadLetter(*row) for row in rows(connection, sql, (limit,))]

    def resolve(self, replayed: Iterable[str], purged: Iterable[str], failed: Iterable[DeadLetter]) -> None:
        """Finish marked dead letters."""
        self._reserve.ease()
        with self.database.write() as connection:
            for id_ in replayed:
                connection.execute(
                    """UPDATE cursor SET dead = dead - records, delivered = delivered + records
                        FROM dead WHERE dead.id = ? AND dead.epoch = cursor.epoch""",
                    (id_,),
                )
                connection.execute("DELETE FROM dead WHERE id = ?", (id_,))
            connection.executemany("DELETE FROM dead WHERE id = ?", [(id_,) for id_ in purged])
            for letter in map(_kept, failed):
                connection.execute(
                    """UPDATE dead SET at_ms = ?, kind = ?, reason = ?, attempts = ?, plugin = ?, record = ?
                        WHERE id = ?""",
                    (*letter[2:8], letter.id),
                )
                connection.execute("DELETE FROM marks WHERE id = ?", (letter.id,))

    def _write(self, *statements: tuple[str, tuple[Any, ...]]) -> None:
        self._reserve.ease()
        with self.database.write() as connection:
            for sql, values in statements:
                connection.execute(sql, values)


def registered(file: Path) -> list[str]:
    """Return the pumps that have a file, by name."""
    return sorted(path.stem for path in place.pumps_folder(file).glob("*.db") if is_pump_name(path.stem))


def _bury(connection: apsw.Connection, letters: Iterable[DeadLetter]) -> None:
    for letter in map(_kept, letters):
        connection.execute("DELETE FROM dead WHERE id = ?", (letter.id,))  # it died before, in an earlier log
        connection.execute(
            """INSERT INTO dead(id, position, at_ms, kind, reason, attempts, plugin, record, records, epoch)
                VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT epoch FROM cursor))""",
            letter[:9],
        )


def _kept(letter: DeadLetter) -> DeadLetter:
    return letter._replace(
        id=_text(letter.id), kind=_text(letter.kind), reason=_text(letter.reason), plugin=_text(letter.plugin)
    )


def _text(text: str) -> str:
    """Return text that SQLite can keep: lone surrogates, which a reason may quote, become escapes."""
    return text.encode("utf-8", "backslashreplace").decode()
