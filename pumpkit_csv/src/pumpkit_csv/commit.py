"""The commit file: what of the directory is true. It is replaced whole, and it is durable before a batch is.

It holds one line of JSON and one with its crc32 in hex. What lies behind its offset, and what it does not name, was
never acknowledged.
"""

import json
import os
import zlib
from pathlib import Path
from typing import Any

import attrs

from pumpkit import ConfigError
from pumpkit_csv.disk import sync_directory, write_all
from pumpkit_csv.seen import Seen

NAME = "pumpkit-csv.commit"
VERSION = 1


@attrs.frozen
class Commit:
    """One state of the directory. A file is named by its stem, that is without `.csv` or `.csv.part`."""

    #: How many commits were before this one.
    generation: int = 0
    #: The number of the newest file.
    sequence: int = 0
    #: The live file, "" if there is none, and how many bytes of it are written.
    stem: str = ""
    offset: int = 0
    #: The first line of the live file, with its end.
    header: str = ""
    #: Every field met so far, in order.
    columns: tuple[str, ...] = ()
    #: The file before the live one: complete, and perhaps not yet under its public name.
    finished: str = ""
    seen: Seen = attrs.field(factory=Seen)


def load(directory: Path) -> Commit | None:
    """Return the commit of a directory, None if it has none. Raises ConfigError for a damaged or newer file."""
    path = directory / NAME
    try:
        blob = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return _parse(blob)
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(
            f"{path} is damaged ({error}): what was written cannot be told from it. Restore it together with the files "
            f"beside it, or move all of them elsewhere to begin anew"
        ) from error


def _parse(blob: bytes) -> Commit:
    line, _, rest = blob.partition(b"\n")
    if rest != b"%08x\n" % zlib.crc32(line):
        raise ValueError("its checksum does not match")
    document: dict[str, Any] = json.loads(line)
    version = document.pop("v")
    if version != VERSION:
        raise ValueError(f"version {version!r}, this pumpkit_csv reads {VERSION}: upgrade it")
    columns, seen = tuple(document.pop("columns")), Seen(**document.pop("seen"))
    return Commit(columns=columns, seen=seen, **document)


def store(directory: Path, commit: Commit) -> None:
    """Replace the commit of a directory; durable on return. Raises OSError; then either commit may be there."""
    document = {"v": VERSION, **_fields(commit), "seen": _fields(commit.seen)}
    line = json.dumps(document, separators=(",", ":")).encode()
    path = directory / NAME
    new = path.with_suffix(".new")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        write_all(fd, b"%s\n%08x\n" % (line, zlib.crc32(line)))
        os.fsync(fd)
    finally:
        os.close(fd)
    os.replace(new, path)
    sync_directory(directory)


def _fields(instance: Commit | Seen) -> dict[str, Any]:
    return attrs.asdict(instance, recurse=False)
