"""Two primitives that any thread, signal handler, finalizer or log handler may use at any moment."""

import contextlib
import itertools
import threading


class Tally:
    """A count that is added to and read without a lock: an interrupted call can neither block nor mislead another."""

    def __init__(self) -> None:
        self._count = itertools.count()
        #: Count one. `itertools.count` steps inside C, so no step of another thread can get between.
        self.add = self._count.__next__

    def read(self) -> int:
        """Return the count."""
        return int(repr(self._count)[len("count(") : -1])  # there is no other way to look without a step


class Bell:
    """Wakes one waiting thread. Unlike `threading.Event` it holds no lock that an interrupted `ring` would keep."""

    def __init__(self) -> None:
        self._silent = threading.Lock()
        self._silent.acquire()

    def ring(self) -> None:
        """Wake the waiting thread, or let its next wait return at once."""
        with contextlib.suppress(RuntimeError):  # it rings already
            self._silent.release()

    def wait(self, seconds: float) -> None:
        """Wait for the bell, this long at most."""
        self._silent.acquire(timeout=seconds)
