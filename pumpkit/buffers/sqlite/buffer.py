"""The embedded buffer as a whole: the log, the pumps' files beside it, and the locks that keep them in order."""

import contextlib
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from pumpkit.buffers.base import BufferStats, Confirm, DeadLetter, Gap, Mark, Position, Start, Wanted
from pumpkit.buffers.drops import complete
from pumpkit.buffers.sqlite import locks, place, pumps
from pumpkit.buffers.sqlite.cursor import SqliteCursor
from pumpkit.buffers.sqlite.database import PATIENCE
from pumpkit.buffers.sqlite.locks import FileLock
from pumpkit.buffers.sqlite.log import Log
from pumpkit.buffers.sqlite.pumps import PumpFile, Row, UnknownPump
from pumpkit.buffers.sqlite.trimmer import Trimmer
from pumpkit.buffers.sqlite.view import View
from pumpkit.errors import BufferConfigError, BufferMissing, BufferUnavailable
from pumpkit.ids import is_pump_name

_LOOKS = 20  # how often `stats` looks for a moment without a commit and a trim in between
_PROBES = 0.2  # seconds: whoever asks `runner()` holds the lock for an instant, and must not be taken for a runner

log = logging.getLogger(__name__)


class SqliteBuffer:
    """A buffer in a file; see `base.Buffer` for what it does, and the package for its files.

    Threads may share it. It survives a fork: each process opens connections of its own.
    """

    can_be_shared: ClassVar = False
    may_forget: ClassVar = False  # every append is synced to its disk

    def __init__(self, file: Path, *, create: bool, timeout: float = PATIENCE, force_network: bool = False) -> None:
        """Open the buffer; raises as `sqlite.open` does."""
        self._file = file
        self._create = create
        self._timeout = timeout
        folder = place.pumps_folder(file)
        self._reserve = place.Reserve(folder / ".reserve")
        with place.explained(file):
            if create:
                file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            elif not file.exists():
                raise BufferMissing(str(file))
            place.check(file, force_network)
            place.create_folder(folder)
            self._reserve.ease()
        self._lock_file = folder / ".lock"
        self._runner_file = file.with_name(file.name + ".lock")
        self._log = Log(file, self._absent)
        self._trimmer = Trimmer(self._log.database, self._reserve)
        self._pumps: dict[str, PumpFile] = {}
        self._closed = False
        with self._log.database.read(timeout):  # it is there, and is one
            pass

    def _absent(self) -> None:
        if not self._create:
            raise BufferMissing(str(self._file))
        with self._files():
            self._log.make()
        log.info("made a new buffer at %s", self._file)

    @contextlib.contextmanager
    def _files(self) -> Iterator[None]:
        """Hold the lock of whoever creates or removes files, or trims."""
        lock = FileLock.take(self._lock_file, patience=self._timeout)
        try:
            self._reserve.ease()
            yield
        finally:
            lock.release()

    def append(
        self,
        frames: Sequence[bytes],
        *,
        accept_gap: bool = False,
        timeout: float = 5.0,
        confirm: Confirm = "stored",
    ) -> Gap | None:
        """See `base.Buffer.append`."""
        if confirm == "replicated":
            raise BufferConfigError(f"{self._file} has no replicas, so confirm='replicated' is never reached")
        return self._log.append(frames, accept_gap, timeout)

    def cursor(self, pump: str, start: Start = "oldest", *, share: str | None = None) -> SqliteCursor:
        """See `base.Buffer.cursor`."""
        if share is not None:
            raise BufferConfigError(
                f"{self._file} is read by one worker for each pump; sharing needs a redis:// buffer"
            )
        file = self._new_pump(pump)
        self._reserve.ease()
        lock = FileLock.take(file.lock, holder={})
        try:
            self.register(pump, start)
            return SqliteCursor(self._log, file, lock)
        except BaseException:
            lock.release()
            raise

    def register(self, pump: str, start: Start = "oldest") -> None:
        """See `base.Buffer.register`."""
        file = self._new_pump(pump)
        if self._row(file) is not None:
            return
        with self._files():
            with self._log.database.read() as connection:
                view = View(connection)
                position = view.last if start == "newest" else view.start()
                began = view.began(position)
            file.make(view.buffer_id, position, began)

    def trim(self) -> int:
        """See `base.Buffer.trim`."""
        with self._files():
            rows = self._rows()
            with self._log.database.read() as connection:
                view = View(connection)
                through = min((row.current(view).position for row in rows.values()), default=0)
            trimmed = self._trimmer.trim(through)
            if not trimmed:
                self._trimmer.tidy()
            return trimmed

    def skip_target(self, pump: str, free_bytes: int, others: Collection[str] = ()) -> Position | None:
        """See `base.Buffer.skip_target`."""
        self._pump(pump).row()
        rows = self._rows()
        with self._log.database.read() as connection:
            view = View(connection)
            positions = {name: row.current(view).position for name, row in rows.items()}
            holding = [position for name, position in positions.items() if name != pump and name not in others]
            target = view.reach(min(positions.values()), min(holding, default=view.last), free_bytes)
        return target if target is not None and target > positions[pump] else None

    def set_max_bytes(self, max_bytes: int) -> None:
        """See `base.Buffer.set_max_bytes`."""
        if max_bytes < 1:
            raise ValueError(f"a size cap of {max_bytes} bytes holds nothing")
        self._log.set_max_bytes(max_bytes, self._timeout)

    def set_wanted(self, pump: str, wanted: Wanted) -> None:
        """See `base.Buffer.set_wanted`."""
        self._pump(pump).want(wanted)

    def drop_cursor(self, pump: str) -> None:
        """See `base.Buffer.drop_cursor`."""
        with self._alone(pump) as file:
            self._pumps.pop(pump).database.close()
            _remove(file.path)

    def rename_cursor(self, pump: str, new: str) -> None:
        """See `base.Buffer.rename_cursor`."""
        with self._alone(pump) as file:
            target = self._new_pump(new)
            if self._row(target) is not None:
                raise ValueError(f"there is a pump {new!r} already")
            file.database.shrink_wal()
            if file.database.wal_bytes():
                raise BufferUnavailable(f"{file.path} is being read; try again")
            self._pumps.pop(pump).database.close()
            _remove(target.path)
            file.path.rename(target.path)
            _remove(file.path)

    @contextlib.contextmanager
    def _alone(self, pump: str) -> Iterator[PumpFile]:
        """Hold a pump's lock, and keep others from looking for pumps."""
        file = self._pump(pump)
        file.row()
        with self._files():
            lock = FileLock.take(file.lock)
            try:
                yield file
                place.sync_folder(file.path.parent)
            finally:
                lock.release()

    def dead_letters(self, pump: str, limit: int = 100, after: str | None = None) -> list[DeadLetter]:
        """See `base.Buffer.dead_letters`."""
        return self._pump(pump).letters(limit, after)

    def mark(self, pump: str, mark: Mark, ids: Sequence[str] | None = None) -> int:
        """See `base.Buffer.mark`."""
        return self._pump(pump).mark(mark, ids)

    def stats(self) -> BufferStats:
        """See `base.Buffer.stats`."""
        looks = _LOOKS
        while True:
            rows = self._rows()  # first: a view that is newer has all that they passed
            looks -= 1
            with self._log.database.read() as connection:
                view = View(connection)
                if not looks or not any(row.is_behind(view) for row in rows.values()):
                    return self._stats(view, rows)

    def _stats(self, view: View, rows: Mapping[str, Row]) -> BufferStats:
        producers = view.producers()
        drops = view.drops(producers)
        return BufferStats(
            buffer_id=view.buffer_id,
            location=str(self._file),
            size_bytes=view.used_bytes(),
            max_bytes=view.max_bytes,
            frames=view.frames(),
            stored=view.stored,
            lost=view.lost,
            drops=drops,
            producers=producers,
            cursors={name: row.stats(name, view) for name, row in rows.items()},
            drops_by_host=complete(view.drops_by_host(), drops),
        )

    def runner_lock(self, holder: Mapping[str, str], slot: str = "") -> FileLock:
        """See `base.Buffer.runner_lock`. One file has one runner, whatever its slot."""
        self._reserve.ease()
        return FileLock.take(self._runner_file, holder, patience=_PROBES)

    def runner(self) -> dict[str, str] | None:
        """See `base.Buffer.runner`."""
        return locks.holder(self._runner_file)

    def runners(self) -> list[dict[str, str]]:
        """See `base.Buffer.runners`."""
        living = self.runner()
        return [] if living is None else [{**living, "slot": "", "alive": "yes"}]

    def parts(self) -> "list[SqliteBuffer]":
        """See `base.Buffer.parts`."""
        return [self]

    def close(self) -> None:
        """See `base.Buffer.close`. What another thread is doing ends first; afterwards it gets BufferUnavailable."""
        self._closed = True
        self._log.database.close()
        for file in list(self._pumps.values()):
            file.database.close()

    def _pump(self, pump: str) -> PumpFile:
        if self._closed:
            raise BufferUnavailable(f"{self._file} is closed")
        if not is_pump_name(pump):
            raise UnknownPump(f"no pump can have the name {pump!r}")
        return self._pumps.setdefault(pump, PumpFile(self._file, pump, self._reserve))

    def _new_pump(self, pump: str) -> PumpFile:
        if not is_pump_name(pump):
            raise ValueError(f"bad pump name {pump!r}: small letters, digits, `_`, `.` and `-`, at most 63")
        return self._pump(pump)

    def _row(self, file: PumpFile) -> Row | None:
        try:
            return file.row()
        except UnknownPump:
            return None

    def _rows(self) -> dict[str, Row]:
        """Return every registered cursor. Any that cannot be read raises: it may not be forgotten in trimming."""
        rows = {pump: self._row(self._pump(pump)) for pump in pumps.registered(self._file)}
        return {pump: row for pump, row in rows.items() if row is not None}


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
