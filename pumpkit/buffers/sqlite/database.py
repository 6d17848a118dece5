"""One SQLite file: a connection per process, transactions with deadlines, and errors that say what to do.

Threads may share a `Database`; they take turns. See `forks` for what happens to its connection at a fork.
"""

import array
import contextlib
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from pumpkit.buffers.sqlite import forks, place
from pumpkit.errors import BufferConfigError, BufferError, BufferFull, BufferUnavailable

#: Seconds that calls without a deadline of their own wait for a lock.
PATIENCE = 5.0

#: The write-ahead log is moved into the file when it has this many pages, and cut back to this many bytes.
WAL_PAGES = 250
WAL_BYTES = WAL_PAGES * 4096

_FIRST_PAUSE, _LONGEST_PAUSE = 0.0005, 0.002  # seconds between two tries for a lock

#: Results that mean there is no room: a full disk, a quota, or RLIMIT_FSIZE.
_NO_ROOM = {apsw.SQLITE_IOERR_WRITE, apsw.SQLITE_IOERR_SHMSIZE, apsw.SQLITE_IOERR_SHMMAP}

#: The first SQLite whose write-ahead log several processes can write without ever damaging the file.
_SOUND = (3, 51, 3)

_READ = "BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1"  # only a read begins the view


class Kind(NamedTuple):
    """A kind of file: what it is called, its `application_id`, its `user_version`, its tables."""

    name: str
    application_id: int
    version: int
    schema: str


class _Identity(NamedTuple):
    """Which files are there now. The write-ahead log keeps its inode for as long as anybody has the file open."""

    device: int
    file: int
    wal: int


class _Missing(Exception):
    """There is no file, or there are no tables in it yet."""


class _Patience:
    """How long a call goes on trying for a lock, and how long it rests between two tries."""

    def __init__(self, timeout: float) -> None:
        self._deadline = time.monotonic() + timeout
        self._pause = _FIRST_PAUSE

    def left(self) -> float:
        """Return the seconds until the deadline."""
        return max(0.0, self._deadline - time.monotonic())

    def is_up(self) -> bool:
        """Return whether another rest would go beyond the deadline."""
        return self.left() <= self._pause

    def rest(self) -> None:
        """Sleep for a time that chance shortens: without it, some producers starve others."""
        time.sleep(random.uniform(0, self._pause))
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)


class Database:
    """A file of one kind. `absent` is called when it is not there: it makes the file, or raises."""

    def __init__(self, path: Path, kind: Kind, absent: Callable[[], None]) -> None:
        self.path = path
        self._kind = kind
        self._absent = absent
        self._wal = path.with_name(path.name + "-wal")
        self._connection: apsw.Connection | None = None
        self._identity: _Identity | None = None
        self._closed = False
        self.turn = threading.Lock()
        forks.watch(self)

    @contextlib.contextmanager
    def read(self, timeout: float = PATIENCE) -> Iterator[apsw.Connection]:
        """A consistent view for as long as the block lasts: keep it short, the write-ahead log grows meanwhile."""
        with self._transaction(_READ, timeout) as connection:
            yield connection

    @contextlib.contextmanager
    def write(self, timeout: float = PATIENCE) -> Iterator[apsw.Connection]:
        """One transaction: durable when the block has ended, undone when it raises."""
        with self._transaction("BEGIN IMMEDIATE", timeout) as connection:
            yield connection

    def make(self, fill: Callable[[apsw.Connection], None]) -> None:
        """Make the file and its tables unless they exist. Only for the holder of the buffer's `.lock`."""
        patience = _Patience(PATIENCE)
        while not self._try_to_make(fill, patience):
            patience.rest()

    def _try_to_make(self, fill: Callable[[apsw.Connection], None], patience: "_Patience") -> bool:
        with self._turn(patience):
            if not self.path.exists():
                for suffix in ("-wal", "-shm", "-journal"):  # of a file that somebody removed
                    self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
                place.create_file(self.path)
                place.sync_folder(self.path.parent)
            try:
                with contextlib.closing(_connect(self.path)) as connection:
                    if _is_blank(connection):
                        self._lay_out(connection, fill)
            except apsw.BusyError:  # somebody looks whether it is made
                if patience.is_up():
                    raise
                return False
            return True

    def _lay_out(self, connection: apsw.Connection, fill: Callable[[apsw.Connection], None]) -> None:
        rows(connection, "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL")
        connection.execute("BEGIN IMMEDIATE;" + self._kind.schema)
        fill(connection)
        connection.pragma("application_id", self._kind.application_id)
        connection.pragma("user_version", self._kind.version)
        connection.execute("COMMIT")

    def shrink_wal(self) -> None:
        """Move the write-ahead log into the file and cut it to nothing, unless somebody is using it just now."""
        with self._turn(_Patience(PATIENCE)), contextlib.suppress(apsw.BusyError, _Missing):
            self._current().wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def wal_bytes(self) -> int:
        """Return the size of the write-ahead log."""
        try:
            return self._wal.stat().st_size
        except FileNotFoundError:
            return 0

    def close(self) -> None:
        """Close the connection, for good. A transaction in another thread ends first."""
        with self.turn:
            self._closed = True
            self.disconnect()

    def disconnect(self) -> None:
        """Close the connection; the next transaction opens another. Only for whoever holds `turn`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def abandon(self) -> None:
        """Begin afresh in a forked child, leaving alone a connection that the parent had open."""
        self.turn = threading.Lock()
        connection, self._connection = self._connection, None
        if connection is not None:
            forks.leak(connection)

    @contextlib.contextmanager
    def _transaction(self, begin: str, timeout: float) -> Iterator[apsw.Connection]:
        with contextlib.ExitStack() as stack:
            connection = self._begin(begin, timeout, stack)
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                _roll_back(connection)

    def _begin(self, begin: str, timeout: float, stack: contextlib.ExitStack) -> apsw.Connection:
        """Begin a transaction and take a turn, which `stack` ends."""
        patience = _Patience(timeout)
        while True:
            with contextlib.ExitStack() as attempt:
                attempt.enter_context(self._turn(patience))
                try:
                    connection = self._current()
                    rows(connection, begin)
                    stack.push(attempt.pop_all())
                    return connection
                except _Missing:
                    missing = True
                except apsw.BusyError:
                    missing = False
                    if self._connection is not None:
                        _roll_back(self._connection)
                    if patience.is_up():
                        raise
            if missing:
                self._absent()
            else:
                patience.rest()

    @contextlib.contextmanager
    def _turn(self, patience: "_Patience") -> Iterator[None]:
        """One thread at a time, with SQLite's errors explained."""
        forks.check()
        turn = self.turn
        if not turn.acquire(timeout=patience.left()):
            raise BufferUnavailable(f"{self.path} is in use by another thread")
        try:
            with place.explained(self.path):
                yield
        except apsw.Error as error:
            if not isinstance(error, apsw.BusyError | apsw.FullError):
                self.disconnect()  # begin afresh after damage or an I/O error
            raise explain(error, self.path) from error
        finally:
            turn.release()

    def _current(self) -> apsw.Connection:
        """Return a connection to the file that is there now. Raises _Missing."""
        if self._closed:
            raise BufferUnavailable(f"{self.path} is closed")
        if self._connection is None or self._identity != self._look():
            self.disconnect()
            self._connect()
        assert self._connection is not None
        return self._connection

    def _look(self) -> _Identity:
        try:
            file = self.path.stat()
        except FileNotFoundError:
            raise _Missing from None
        try:
            wal = self._wal.stat().st_ino
        except FileNotFoundError:
            wal = 0
        return _Identity(file.st_dev, file.st_ino, wal)

    def _connect(self) -> None:
        before = self._look()
        connection = _connect(self.path)
        try:
            if _is_blank(connection):
                raise _Missing
            self._check(connection)
            now = self._look()
            if before[:2] != now[:2]:
                raise BufferUnavailable(f"{self.path} was replaced while it was opened")
        except BaseException:
            connection.close()
            raise
        self._connection, self._identity = connection, now

    def _check(self, connection: apsw.Connection) -> None:
        """Refuse what is not this kind of file, or is of a later version."""
        if connection.pragma("application_id") != self._kind.application_id:
            raise BufferConfigError(f"{self.path} is a database of something else, not {self._kind.name}")
        version = connection.pragma("user_version")
        if version > self._kind.version:
            raise BufferConfigError(
                f"{self.path} has format {version}, this pumpkit knows {self._kind.version}: upgrade pumpkit"
            )


def check_library() -> None:
    """Raise BufferConfigError if apsw was built against a SQLite that can damage a file (the "WAL-reset bug")."""
    version = apsw.sqlite_lib_version()
    if tuple(map(int, version.split("."))) < _SOUND:
        raise BufferConfigError(
            f"apsw uses SQLite {version}, which can damage a buffer; install apsw's own wheel, which brings"
            f" {'.'.join(map(str, _SOUND))} or later: pip install --force-reinstall --only-binary apsw apsw"
        )


def rows(connection: apsw.Connection, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return all rows of a query: one that is not read to its end would keep the view open."""
    return connection.execute(sql, values).fetchall()


def _connect(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_timeout(0)
    # Never unlink the write-ahead log at closing: by then its name may be that of another file's.
    keep = array.array("i", [1])
    connection.file_control("main", apsw.SQLITE_FCNTL_PERSIST_WAL, keep.buffer_info()[0])
    connection.execute(
        f"PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint={WAL_PAGES}; PRAGMA journal_size_limit={WAL_BYTES};"
        "PRAGMA trusted_schema=OFF"
    ).fetchall()
    return connection


def _is_blank(connection: apsw.Connection) -> bool:
    return not rows(connection, "SELECT 1 FROM sqlite_schema LIMIT 1") and connection.pragma("application_id") == 0


def _roll_back(connection: apsw.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def explain(error: apsw.Error, path: Path) -> BufferError:
    """Return what one of SQLite's errors means for whoever uses the buffer."""
    match error:
        case apsw.BusyError() | apsw.LockedError():
            return BufferUnavailable(f"{path} is locked by another process")
        case apsw.FullError():
            return BufferFull(f"{path}: the disk is full")
        case apsw.IOError() if getattr(error, "extendedresult", 0) in _NO_ROOM:
            return BufferFull(f"{path}: no room to write ({error})")
        case apsw.CorruptError() | apsw.NotADBError() | apsw.SQLError():
            return BufferConfigError(
                f"{path} is damaged, or no database of pumpkit ({error}); stop what uses it, then move it away together"
                " with its -wal: a new one is made. `sqlite3 FILE .recover` may save what the old one holds"
            )
        case apsw.ReadOnlyError() | apsw.PermissionsError() | apsw.CantOpenError():
            if not (os.access(path, os.R_OK | os.W_OK) and os.access(path.parent, os.W_OK)):
                return BufferConfigError(
                    f"{path} or its folder may not be written by this user; let its users share a group, in a folder"
                    " with the setgid bit"
                )
            return BufferUnavailable(f"{path}: {error}")
        case _:
            return BufferUnavailable(f"{path}: {error}")
