"""A directory of CSV files, of which one is live; every step leaves a state from which the next start goes on.

Appending: write rows, fdatasync, replace the commit file, return. Whatever a kill leaves behind the committed offset
is cut off at the next start, and the log hands those records out again.

The next file, once the live one is full: commit that it is finished, give it its public name; create the next one
empty, commit its name. So a reader never sees a public file that changes, and a file that the commit does not name
is empty.
"""

import datetime
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import attrs

from pumpkit import ConfigError
from pumpkit_csv import commit, names
from pumpkit_csv.commit import Commit
from pumpkit_csv.disk import sync_directory
from pumpkit_csv.live import LiveFile
from pumpkit_csv.lock import DirectoryLock
from pumpkit_csv.names import GROWING, PUBLIC
from pumpkit_csv.seen import Seen

Rotate = Literal["hourly", "daily", "never"]

#: How much of an hour's label (`20261125T17`) tells when the next file begins.
_PERIODS = {"hourly": 11, "daily": 8, "never": 0}


def utc_now() -> datetime.datetime:
    """Return the time in UTC; files are only labelled by it."""
    return datetime.datetime.now(datetime.UTC)


@attrs.define(eq=False)
class Folder:
    """The directory, held by this process alone. Every method may raise OSError, and ConfigError with advice."""

    path: Path
    prefix: str
    max_bytes: int
    rotate: Rotate
    now: Callable[[], datetime.datetime]
    _lock: DirectoryLock
    #: What is true, and durable, as long as `ready`.
    state: Commit = attrs.field(factory=Commit, init=False)
    #: False while a step is under way and after one failed: then `recover` comes first.
    ready: bool = attrs.field(default=False, init=False)
    _live: LiveFile | None = attrs.field(default=None, init=False)

    def recover(self) -> None:
        """Read the commit file and make the directory what it says."""
        self.ready = False
        self._leave()
        found = commit.load(self.path)
        self.state = found or Commit()
        sync_directory(self.path)  # the commit may have its name, but not durably
        self._check_generation(missing=found is None)
        self._clear_newer()
        self._publish()
        if self.state.stem:
            self._live = LiveFile.open(self._file(self.state.stem, GROWING))
            self._live.cut(self.state.offset, self.state.header)
        self.ready = True

    def _check_generation(self, missing: bool) -> None:
        noted = self._lock.noted
        if noted > self.state.generation + 1:
            what = "is missing" if missing else f"is an old one (number {self.state.generation})"
            raise ConfigError(
                f"{self.path / commit.NAME} {what}; the last one here had number {noted - 1} or {noted}. Put that one "
                f"back, or move everything in the directory elsewhere to begin anew"
            )

    def _clear_newer(self) -> None:
        """Delete the empty file that a kill leaves between its creation and its commit; anything else stays."""
        known = self.state.sequence
        for entry in os.listdir(self.path):
            name = names.parse(entry)
            if name is None or name.sequence <= known:
                continue
            path = self.path / entry
            if not (name.growing and name.sequence == known + 1 and path.lstat().st_size == 0):
                raise ConfigError(
                    f"{path} is not known to {self.path / commit.NAME}, which is missing or older: put the right one "
                    f"back, or move the CSV files elsewhere"
                )
            path.unlink()

    def append(self, rows: bytes, header: str, columns: tuple[str, ...], seen: Seen) -> None:
        """Put rows behind what is written, and commit them together with what was decided; durable on return."""
        self.ready = False
        if rows:
            live = self._room(header, len(rows))
            live.check(self.state.offset)
            data = rows if self.state.offset else header.encode() + rows
            live.append(data)
            offset = self.state.offset + len(data)
            self._commit(attrs.evolve(self.state, offset=offset, header=header, columns=columns, seen=seen))
        else:
            self._commit(attrs.evolve(self.state, columns=columns, seen=seen))
        self.ready = True

    def _room(self, header: str, more: int) -> LiveFile:
        """Return the file that these rows belong to."""
        if self._live is not None and self._is_full(header, more):
            self._finish(self._live)
        return self._live or self._begin()

    def _is_full(self, header: str, more: int) -> bool:
        offset = self.state.offset
        return offset > 0 and (
            header != self.state.header
            or offset + more > self.max_bytes
            or self._hour()[: _PERIODS[self.rotate]] != self._live_hour()[: _PERIODS[self.rotate]]
        )

    def _hour(self) -> str:
        return self.now().strftime("%Y%m%dT%H")

    def _live_hour(self) -> str:
        name = names.parse(self.state.stem + GROWING)
        return name.hour if name else ""

    def _begin(self) -> LiveFile:
        sequence = self.state.sequence + 1
        stem = names.stem(self.prefix, self._hour(), sequence)
        self._live = LiveFile.create(self._file(stem, GROWING))
        sync_directory(self.path)
        self._commit(attrs.evolve(self.state, sequence=sequence, stem=stem, offset=0, header=""))
        return self._live

    def _finish(self, live: LiveFile) -> None:
        live.check(self.state.offset)
        self._leave()
        self._commit(attrs.evolve(self.state, finished=self.state.stem, stem="", offset=0, header=""))
        self._publish()

    def _publish(self) -> None:
        """Give the finished file its public name, if it has it not yet."""
        if not self.state.finished:
            return
        growing, public = self._file(self.state.finished, GROWING), self._file(self.state.finished, PUBLIC)
        if os.path.lexists(growing):
            if os.path.lexists(public):
                raise ConfigError(f"{public} stands where {growing} is to go: move it elsewhere")
            os.rename(growing, public)
            sync_directory(self.path)

    def _commit(self, state: Commit) -> None:
        state = attrs.evolve(state, generation=self.state.generation + 1)
        self._lock.note(state.generation)
        commit.store(self.path, state)
        self.state = state

    def _file(self, stem: str, suffix: str) -> Path:
        return self.path / (stem + suffix)

    def _leave(self) -> None:
        if self._live is not None:
            live, self._live = self._live, None
            live.close()

    def finish(self) -> None:
        """Give the live file its public name, if it has rows: what follows goes into another one."""
        if self.ready and self._live is not None and self.state.offset:
            self.ready = False
            self._finish(self._live)
            self.ready = True

    def release(self) -> None:
        """Give the directory back to others."""
        self.ready = False
        self._leave()
        self._lock.release()
