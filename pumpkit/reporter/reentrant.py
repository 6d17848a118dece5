"""Two primitives that any thread, signal handler, finalizer or log handler may use at any moment."""

import contextlib
import itertools
import threading


class Tally:
    """A count that is added to without a lock: an interrupted `add` can neither block nor lose another."""

    def __init__(self) -> None:
        self._count = itertools.count()
        self._reads = 0
        self._reading = threading.RLock()
        #: Count one. `itertools.count` steps inside C, so no step of another thread can get between.
        self.add = self._count.__next__

    def read(self) -> int:
        """Return the count. Reading steps the counter too, so the reads are taken off again."""
        with self._reading:
            steps = next(self._count)
            total = steps - self._reads
            self._reads += 1
        return total


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
