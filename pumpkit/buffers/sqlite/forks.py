"""What becomes of SQLite connections at a fork.

SQLite keeps the locks it has on a file in memory, by file, and a fork copies that memory but not the locks. A child
that used, closed or even only opened such a file anew would rely on locks it does not have
(https://sqlite.org/howtocorrupt.html, section 2.7). So every connection is closed just before a fork and opened again
when it is next needed, on both sides. A fork that Python does not tell of (uWSGI forks from C) is noticed by the
process id; the child then leaves what it got alone for ever, and opens its own.
"""

import os
import threading
import weakref
from typing import Protocol

#: Seconds that a fork waits for a transaction in another thread to end. The child of a fork that went ahead may find
#: the file locked for ever.
_PATIENCE = 5.0


class Watched(Protocol):
    """Something with a connection that must not cross a fork; `turn` is held while it is in use."""

    turn: threading.Lock

    def disconnect(self) -> None:
        """Close the connection."""

    def abandon(self) -> None:
        """In a forked child: make a new `turn`, and leave any connection alone."""


_watched: dict[int, "weakref.ref[Watched]"] = {}
_forking = threading.Lock()
_held: list[threading.Lock] = []
_pid = os.getpid()


def watch(one: Watched) -> None:
    """Look after `one` until it is collected."""
    key = id(one)
    _watched[key] = weakref.ref(one, lambda _: _watched.pop(key, None))


def check() -> None:
    """Notice a fork that Python did not tell of."""
    if _pid != os.getpid():
        _in_child()


def leak(connection: object) -> None:
    """Keep an object alive for ever, past the end of the interpreter: collecting a connection would close it."""
    import ctypes  # here, because it is hardly ever needed

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


def _before() -> None:
    if _hold(_forking):
        for one in _alive():
            if _hold(one.turn):
                one.disconnect()


def _hold(lock: threading.Lock) -> bool:
    held = lock.acquire(timeout=_PATIENCE)
    if held:
        _held.append(lock)
    return held


def _in_parent() -> None:
    while _held:
        _held.pop().release()


def _in_child() -> None:
    global _pid, _forking
    _pid = os.getpid()
    _forking = threading.Lock()
    _held.clear()
    for one in _alive():
        one.abandon()


def _alive() -> list[Watched]:
    return [one for reference in list(_watched.values()) if (one := reference()) is not None]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
