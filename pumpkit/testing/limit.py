"""Limits of calls into a sink. In this process one that never comes back is interrupted, and fails its case."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import NoReturn

from pumpkit.testing.case import Failed

#: Seconds that a case gives beyond a limit before it says that the limit was not kept.
GRACE = 10.0

#: Seconds that `init` may take in a worker.
INIT_LIMIT = 30.0

#: Seconds within which `close` has to be done.
CLOSE_LIMIT = 10.0

#: Seconds of one write with no limit.
NO_LIMIT = 60.0

#: Seconds after which a call that is still under way is interrupted once more: it may have caught the first time.
AGAIN = 1.0


class _Overdue(BaseException):
    """No Exception, or a sink that tries again for ever would take it for a reason to try again."""


@contextlib.contextmanager
def within(seconds: float, what: str) -> Iterator[None]:
    """Raise Failed in the block when it has taken so long. Only the main thread can be interrupted (by SIGALRM)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGALRM, _interrupt)
    timer = signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
    try:
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, *timer)  # of whoever else limits this test
            signal.signal(signal.SIGALRM, handler)
    except _Overdue:
        raise Failed(f"{what} did not come back within {seconds:g} s") from None


def _interrupt(*_: object) -> NoReturn:
    raise _Overdue
