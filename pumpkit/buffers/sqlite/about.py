"""What there is to say of the place of an embedded buffer, whether there is one yet or not."""

import contextlib
import os
from pathlib import Path

import apsw

from pumpkit.buffers.base import Fact
from pumpkit.buffers.sqlite import place
from pumpkit.buffers.sqlite.database import Database, rows
from pumpkit.buffers.sqlite.url import Place
from pumpkit.buffers.sqlite.view import KIND, View
from pumpkit.errors import BufferMissing

_MIB = 1 << 20


def facts(where: Place) -> list[Fact]:
    """Return the facts of `BufferModule.facts`. Raises BufferUnavailable, or BufferConfigError."""
    folder = where.file.parent
    while not folder.exists():
        folder = folder.parent
    with place.explained(where.file):
        place.check(folder / where.file.name, where.force_network)
        found = _of_file(where.file) if where.file.exists() else _of_folder(folder, where.file)
        return [Fact("good", f"SQLite {apsw.sqlite_lib_version()}"), *found]


def _of_file(file: Path) -> list[Fact]:
    def absent() -> None:
        raise BufferMissing(str(file))

    database = Database(file, KIND, absent)
    with contextlib.closing(database), database.read() as connection:
        view = View(connection)
        growth = max(0, view.max_bytes - view.used_bytes())
        mode = rows(connection, "PRAGMA journal_mode")[0][0]
    return [
        Fact("good", f"{file}: {_on_disk(file) / _MIB:,.1f} MiB with all its files, journal mode {mode}"),
        _room(file.parent, growth),
    ]


def _of_folder(folder: Path, file: Path) -> list[Fact]:
    """Say whether a buffer can be made in the nearest folder above it that there is."""
    if os.access(folder, os.W_OK | os.X_OK):
        return [_room(folder, 0)]
    return [Fact("error", f"{file} cannot be made: this user may not write in {folder}")]


def _on_disk(file: Path) -> int:
    """Return the bytes of all files of a buffer."""
    files = [*file.parent.glob(file.name + "*"), *place.pumps_folder(file).glob("*")]
    return sum(path.stat().st_size for path in files if path.is_file())


def _room(folder: Path, growth: int) -> Fact:
    """Say how much room the disk has, against what the buffer may still grow by before it is at its cap."""
    free = place.free_bytes(folder)
    text = f"the disk of {folder} has {free / _MIB:,.0f} MiB free"
    if free < growth + place.RESERVE:
        hint = "make room, or lower its cap with `pumpkit buffer limit`"
        cap = f"the buffer may still grow by {growth / _MIB:,.0f} MiB: {hint}"
        return Fact("warning", f"{text}, and {cap}")
    return Fact("good", text)
