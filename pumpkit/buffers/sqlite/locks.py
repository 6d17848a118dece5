"""Locks that the kernel frees when their holder dies, and what the holder says of itself.

They are `lockf` locks, because a `flock` stays held by any child that a plugin forked. The price: the kernel drops
all of a process's locks on a file when the process closes *any* handle of it. So lock files are opened only here,
a process has at most one handle of each that it holds, and what the holder says lives in a file of its own.
"""

import contextlib
import json
import os
import random
import socket
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from pumpkit.buffers.sqlite import place
from pumpkit.errors import BufferBusy

if sys.platform == "win32":  # reporters only: no lock is ever waited for long there
    import msvcrt

    def _lock(handle: int, shared: bool = False) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(handle: int, shared: bool = False) -> None:
        fcntl.lockf(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


_guard = threading.RLock()  # reentrant: the collector may release a lock at any point
_held: dict[Path, int] = {}  # lock files that this process holds, with their only handle


def _forget_in_child() -> None:
    """A forked child holds none of its parent's locks; closing the handles it got would be harmless, but useless."""
    global _guard
    _guard = threading.RLock()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)


class FileLock:
    """An exclusive lock, held from `take` to `release`, or until it is collected."""

    def __init__(self, path: Path, said: bool) -> None:
        self._path = path
        self._said = said
        self._pid = os.getpid()

    @classmethod
    def take(cls, path: Path, holder: Mapping[str, str] | None = None, patience: float = 0.0) -> "FileLock":
        """Take the lock, waiting up to `patience` seconds, and let `holder` be read by others. Raises BufferBusy."""
        deadline = time.monotonic() + patience
        while not _try(path):
            if time.monotonic() >= deadline:
                raise BufferBusy(f"{path.with_suffix('')} is held by {_who(path)}")
            time.sleep(random.uniform(0.001, 0.02))
        lock = cls(path, holder is not None)
        if holder is not None:
            lock.tell(holder)
        return lock

    def tell(self, holder: Mapping[str, str]) -> None:
        """Say something else of the holder from now on."""
        with place.explained(self._path):
            _say(self._path, {"pid": str(os.getpid()), "host": socket.gethostname(), **holder})

    def release(self) -> None:
        """Give it back. Idempotent; nothing in a forked child, which does not hold it."""
        with _guard:
            if self._pid != os.getpid() or self._path not in _held:
                return
            self._pid = -1
            if self._said:
                _holder_file(self._path).unlink(missing_ok=True)
            os.close(_held.pop(self._path))

    def __del__(self) -> None:
        self.release()


def holder(path: Path) -> dict[str, str] | None:
    """Return what the holder of a lock said of itself, None if nobody holds it."""
    with _guard:
        if path not in _held and not _held_elsewhere(path):
            return None
    return _said(path)


def _try(path: Path) -> bool:
    with _guard:
        if path in _held:
            return False
        handle = _open(path)
        try:
            _lock(handle)
        except OSError:
            os.close(handle)
            return False
        _held[path] = handle
        return True


def _open(path: Path) -> int:
    with place.explained(path):
        with contextlib.suppress(FileExistsError):
            place.create_file(path)
        return os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))


def _held_elsewhere(path: Path) -> bool:
    if not path.exists():
        return False
    with place.explained(path):
        handle = os.open(path, os.O_RDONLY)
    try:
        _lock(handle, shared=True)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def _holder_file(path: Path) -> Path:
    return path.with_suffix(".holder")


def _say(path: Path, said: Mapping[str, str]) -> None:
    """Replace the holder's file in one step, so that nobody reads half of it."""
    fresh = path.with_suffix(f".holder-{os.getpid()}")
    fresh.unlink(missing_ok=True)
    place.create_file(fresh)
    fresh.write_text(json.dumps(said))
    fresh.replace(_holder_file(path))


def _said(path: Path) -> dict[str, str]:
    try:
        return dict(json.loads(_holder_file(path).read_text()))
    except (OSError, ValueError):  # it has not said anything yet
        return {}


def _who(path: Path) -> str:
    said = _said(path)
    return f"process {said['pid']} on {said['host']}" if {"pid", "host"} <= said.keys() else "another process"
