"""The live file: the one that grows."""

import os
import stat
from pathlib import Path
from typing import NoReturn

import attrs

from pumpkit import ConfigError
from pumpkit_csv.disk import write_all

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


@attrs.define(eq=False)
class LiveFile:
    """An open file, and what it was when it was opened."""

    path: Path
    _fd: int
    _inode: tuple[int, int]

    @classmethod
    def create(cls, path: Path) -> "LiveFile":
        """Create an empty file: for its owner alone, in a setgid directory also for its group to read."""
        shared = path.parent.stat().st_mode & stat.S_ISGID
        fd = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            if shared:
                os.fchmod(fd, 0o640)
            return cls._of(path, fd)
        except BaseException:
            os.close(fd)
            raise

    @classmethod
    def open(cls, path: Path) -> "LiveFile":
        """Open a file that is there. Raises ConfigError if it is not one, or OSError."""
        fd = os.open(path, _FLAGS | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise ConfigError(f"{path} is not a regular file: move it out of the way")
            return cls._of(path, fd)
        except BaseException:
            os.close(fd)
            raise

    @classmethod
    def _of(cls, path: Path, fd: int) -> "LiveFile":
        status = os.fstat(fd)
        return cls(path, fd, (status.st_dev, status.st_ino))

    def cut(self, offset: int, header: str) -> None:
        """Take off what lies behind `offset`: it was never acknowledged. Raises ConfigError if anything else is off.

        What lies before it must begin with the header and end with the end of a line.
        """
        size = os.fstat(self._fd).st_size
        begin = header.encode()
        if size < offset:
            self._refuse(f"it has {size} bytes, of which {offset} were written and acknowledged")
        if offset and os.pread(self._fd, len(begin), 0) != begin:
            self._refuse("its first line is not the one that was written")
        if offset and os.pread(self._fd, 1, offset - 1) != b"\n":
            self._refuse(f"no line ends at byte {offset}, where the last one was written")
        if size > offset:
            os.ftruncate(self._fd, offset)
            os.fsync(self._fd)

    def check(self, offset: int) -> None:
        """Raise ConfigError if the file is not where it was, or does not end at `offset`: others changed it."""
        try:
            status = os.stat(self.path, follow_symlinks=False)
        except FileNotFoundError:
            self._refuse("it was moved or deleted while it was written")
        if (status.st_dev, status.st_ino) != self._inode:
            self._refuse("it was replaced by another file while it was written")
        if status.st_size != offset:
            self._refuse(f"it has {status.st_size} bytes instead of {offset}: something else writes to it")

    def append(self, data: bytes) -> None:
        """Write at the end; durable on return. Raises OSError; then any part of it may be there."""
        write_all(self._fd, data)
        os.fdatasync(self._fd)

    def _refuse(self, why: str) -> NoReturn:
        raise ConfigError(
            f"{self.path}: {why}. Put it back as it was, or move everything in its directory elsewhere to begin anew. "
            f"Only a finished file, one without `.part`, may be moved or changed"
        )

    def close(self) -> None:
        """Close it."""
        os.close(self._fd)
