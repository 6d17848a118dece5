"""For work in processes that may end without running a handler: it is left when its records are in the buffer."""

import contextlib
import logging
from collections.abc import Iterator

from pumpkit.reporter.default import get_reporter
from pumpkit.reporter.reporter import Reporter

log = logging.getLogger("pumpkit.reporter")


@contextlib.contextmanager
def flushing(timeout: float = 5.0, *, reporter: Reporter | None = None) -> Iterator[None]:
    """Leave a block, or a function that this decorates, when everything recorded so far is in the buffer.

    For work in a process that may end without running any handler, or that is frozen when the work is done: children
    that end by `os._exit()`, workers that are killed, functions in the cloud. It flushes after an exception too.

    timeout: seconds to wait for the buffer at most. What could not be sent by then is logged; it stays in memory, and
        is sent later if the process lives on.
    reporter: the reporter to flush; None for the process-wide one.
    """
    try:
        yield
    finally:
        pending = (reporter or get_reporter()).flush(timeout).pending
        if pending:
            log.error("%d records could not be sent within %.1f s and are in memory only", pending, timeout)
