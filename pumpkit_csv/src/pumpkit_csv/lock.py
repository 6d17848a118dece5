"""One writer per directory.

The lock is `lockf` (POSIX): the kernel frees it when its process dies, and no child that the process forked keeps
it, as one would keep a `flock`. Its two traps: closing *any* descriptor of the file frees it, so only this module
opens the file, once; and a second lock by the same process succeeds, so `_held` is asked first.
"""

import contextlib
import fcntl
import os
import time
from pathlib import Path

import attrs

from pumpkit import ConfigError

NAME = "pumpkit-csv.lock"

#: How long a new writer waits for the one before it to finish, in seconds.
PATIENCE = 5.0

_held: set[tuple[int, int]] = set()


@attrs.define(eq=False)
class DirectoryLock:
    """A held lock. Its file tells who holds it, and which commit the holder was about to make."""

    _fd: int
    _key: tuple[int, int]

    @classmethod
    def take(cls, directory: Path) -> "DirectoryLock":
        """Lock a directory, with some patience. Raises ConfigError that names the holder, or OSError."""
        path = directory / NAME
        deadline = time.monotonic() + PATIENCE
        while True:
            lock, holder = cls._try(path)
            if lock is not None:
                return lock
            if time.monotonic() >= deadline:
                raise ConfigError(
                    f"{directory}: process {holder} writes there, and only one may: give each pump its own `csv-dir`, "
                    f"or stop that process"
                )
            time.sleep(0.05)

    @classmethod
    def _try(cls, path: Path) -> "tuple[DirectoryLock | None, int]":
        """Return the lock, or None and the process id of its holder."""
        with contextlib.suppress(FileNotFoundError):
            if _key(os.stat(path, follow_symlinks=False)) in _held:
                return None, os.getpid()
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            lock = cls(fd, _key(os.fstat(fd)))
            lock.note(lock.noted)
        except BlockingIOError:
            holder, _ = _read(fd)
            os.close(fd)
            return None, holder
        except BaseException:
            os.close(fd)
            raise
        _held.add(lock._key)
        return lock, os.getpid()

    @property
    def noted(self) -> int:
        """The generation that a holder, this one or one before it, last noted; 0 if none did."""
        return _read(self._fd)[1]

    def note(self, generation: int) -> None:
        """Note the generation of the commit that comes next."""
        os.pwrite(self._fd, b"%20d %20d\n" % (os.getpid(), generation), 0)

    def release(self) -> None:
        """Give it back."""
        _held.discard(self._key)
        os.close(self._fd)


def _key(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _read(fd: int) -> tuple[int, int]:
    try:
        pid, generation = map(int, os.pread(fd, 64, 0).split())
    except ValueError:
        return 0, 0
    return pid, generation
