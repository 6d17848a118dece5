"""For work in processes that may end without running a handler: it is left when its records are in the buffer."""

import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from pumpkit.reporter.default import get_reporter
from pumpkit.reporter.log_lines import log
from pumpkit.reporter.reporter import Reporter

_Function = TypeVar("_Function", bound=Callable[..., Any])


def flushing(timeout: float = 5.0, *, reporter: Reporter | None = None) -> "FlushingBlock":
    """Leave a block, or a function that this decorates, when everything recorded so far is in the buffer.

    For work in a process that may end without running any handler, or that is frozen when the work is done: children
    that end by `os._exit()`, workers that are killed, functions in the cloud. It flushes after an exception too.

    timeout: seconds to wait for the buffer at most. What could not be sent by then, and was not spilled, is logged; it
        stays in memory, and is sent later if the process lives on.
    reporter: the reporter to flush; None for the process-wide one.

    It raises TypeError as the decorator of a coroutine function, whose call is over before its work begins, and whose
    event loop it would hold up: there, `await asyncio.to_thread(pumpkit.flush)`.
    """
    return FlushingBlock(timeout, reporter)


class FlushingBlock(contextlib.ContextDecorator):
    """What `flushing` returns; it may be entered any number of times."""

    def __init__(self, timeout: float, reporter: Reporter | None) -> None:
        self._timeout = timeout
        self._reporter = reporter

    def __call__(self, function: _Function) -> _Function:
        import inspect  # here, because it takes time to load

        if inspect.iscoroutinefunction(function):
            raise TypeError(f"{function!r} is a coroutine function: await asyncio.to_thread(pumpkit.flush) in it")
        return super().__call__(function)

    def __enter__(self) -> None:
        """Begin the work."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        reporter = self._reporter or get_reporter()
        if not reporter._flush(self._timeout) and (pending := reporter.stats().pending):
            log.error("%d records could not be sent within %.1f s and are in memory only", pending, self._timeout)
