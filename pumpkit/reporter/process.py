"""What a process does to reporters: it forks, it ends, it is told to end.

Nothing here keeps a reporter alive. Handlers that a fork hook registers do not run in a `multiprocessing` child, so
there exit handlers are registered anew by the first record.
"""

import atexit
import concurrent.futures.thread  # noqa: F401  # it cannot be imported at exit, and redis, which may be, imports it
import contextlib
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

from pumpkit.reporter import uwsgi
from pumpkit.reporter.log_lines import log

if TYPE_CHECKING:
    from pumpkit.reporter.outbox import Outbox

#: Seconds that a fork waits for an import, and an import for a fork.
_PATIENCE = 5.0


class Forked(Protocol):
    """What has to begin anew in the child of a fork."""

    def renew(self) -> None:
        """Begin anew, as the child that nothing was recorded in."""


_to_renew: "weakref.WeakValueDictionary[int, Forked]" = weakref.WeakValueDictionary()
_outboxes: dict[int, "Outbox"] = {}  # those with a thread, or with records that no thread could be started for
_parked: list[object] = []
_import_lock = threading.RLock()  # a signal handler may import while its thread does
_forks: list[int] = []  # threads that are forking
_forks_holding: list[int] = []  # those of them that hold the import lock
_exit_expected = False


def watch(forked: Forked) -> None:
    """Renew this in every child, for as long as it lives."""
    _to_renew[id(forked)] = forked


def watched() -> list[Forked]:
    """Return what is renewed in a child."""
    return [forked for reference in _to_renew.valuerefs() if (forked := reference()) is not None]


def expect_exit(outbox: "Outbox") -> None:
    """Empty this outbox when the process ends."""
    global _exit_expected
    _outboxes[id(outbox)] = outbox
    if _exit_expected:
        return
    _exit_expected = True
    multiprocessing: Any = sys.modules.get("multiprocessing.process")
    if multiprocessing is None or multiprocessing.parent_process() is None:
        return  # registered when this was imported, so called after the handlers that came later and may record
    # A child of multiprocessing forgets what its parent registered, and before Python 3.13 runs finalizers only.
    atexit.unregister(finish)
    atexit.register(finish)
    util: Any = sys.modules["multiprocessing.util"]
    util.Finalize(None, finish, exitpriority=-1000)


def is_main_interpreter() -> bool:
    """Whether this is the main interpreter of the process; there is no public way to know."""
    ask: Callable[[], bool] | None = getattr(threading, "_is_main_interpreter", None)  # new in Python 3.12
    return ask is None or ask()


def expect_wait_for_threads(call: Callable[[], object]) -> None:
    """Call this when the interpreter begins to wait for its threads to end, which no public way tells of.

    Raises RuntimeError if it has begun, or where that cannot be known.
    """
    register = vars(threading).get("_register_atexit")
    if register is None:
        raise RuntimeError("this Python does not tell when it begins to wait for threads")
    register(call)


def is_expected(outbox: "Outbox") -> bool:
    """Whether this outbox would be emptied when the process ends."""
    return id(outbox) in _outboxes


def forget(outbox: "Outbox") -> None:
    """An outbox has come to its end."""
    _outboxes.pop(id(outbox), None)


# Fork -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Keep forks out while a thread imports something, and let those through that it has kept waiting.

    The child of a fork would find the module locked, by a thread that it does not have, and wait for ever when it
    imports the same. And a fork that has begun does not know of the hooks that a driver registers, so nothing may be
    connected until it is over.
    """
    with _import_lock:
        yield
    deadline = time.monotonic() + _PATIENCE
    while _forks and time.monotonic() < deadline:
        time.sleep(0.001)


def _before_fork() -> None:
    _forks.append(threading.get_ident())
    if _import_lock.acquire(timeout=_PATIENCE):
        _forks_holding.append(threading.get_ident())


def _after_fork_in_parent() -> None:
    me = threading.get_ident()
    if me in _forks_holding:
        _forks_holding.remove(me)
        _import_lock.release()
    if me in _forks:  # not if this module was imported by another thread meanwhile
        _forks.remove(me)


def begin_anew() -> None:
    """Forget what the parent had: this is the child of a fork."""
    global _exit_expected, _import_lock
    uwsgi.enter()
    _exit_expected = False
    _import_lock = threading.RLock()
    _forks.clear()
    _forks_holding.clear()
    # With the parent's connections: to use or even to close one here could take locks away from the parent.
    for outbox in _outboxes.values():
        outbox.abandon()
        _parked.append(outbox)
    _outboxes.clear()
    for forked in watched():
        forked.renew()


def notice_fork() -> None:
    """Notice a fork that Python does not tell of: uWSGI's one hook for it may be another's by now."""
    if uwsgi.is_new():
        begin_anew()


# The end ----------------------------------------------------------------------------------------------------


def finish(timeout: float | None = None) -> None:
    """Let every reporter of this process send what waits and end; say in one line what could not be sent.

    An exit handler of Python does this. A process that runs none, because it ends by `os._exit`, calls it itself.
    It takes `timeout` seconds at most, by default each reporter's `exit_timeout`; a second call has nothing to do.
    """
    outboxes = list(_outboxes.values())
    try:
        for outbox in outboxes:
            outbox.stop(timeout)
        for outbox in outboxes:
            try:
                outbox.join()
            except Exception:  # a fault of ours, or of what has replaced threads, must not cost the others' records
                log.exception("waiting for records to be sent failed unexpectedly")
    finally:
        _tell(outboxes)
        for outbox in outboxes:
            forget(outbox)  # it has been told of, so the second run says nothing


def send(timeout: float | None = None) -> None:
    """Let every reporter of this process send what waits, and go on; say in one line what could not be sent yet.

    For a process that may be killed next. It takes `timeout` seconds at most, by default each reporter's
    `exit_timeout`.
    """
    began = time.monotonic()
    outboxes = list(_outboxes.values())
    asks = [outbox.ask() for outbox in outboxes]  # of all at once: one buffer that is away costs the others no time
    try:
        for outbox, ask in zip(outboxes, asks, strict=True):
            allowed = outbox.exit_timeout if timeout is None else timeout
            outbox.wait(ask, began + allowed - time.monotonic())
    finally:
        for ask in asks:
            ask.over.set()
    _tell(outboxes)


def _tell(outboxes: "list[Outbox]") -> None:
    left = [line for outbox in outboxes if (line := outbox.left())]
    if left and sys.stderr is not None:
        with contextlib.suppress(Exception):  # it may be closed
            print(f"pumpkit: {'; '.join(left)}", file=sys.stderr, flush=True)


def stop_on_sigterm() -> None:
    """Let SIGTERM end the program in order: handlers of `atexit` run, so reporters send what they have.

    By default SIGTERM kills a Python program at once, and what is in memory is lost. This installs a handler that calls
    the previous one, if it is a Python function, and then raises `SystemExit(143)` in the main thread. It is
    not for applications of servers that handle SIGTERM themselves (gunicorn, uvicorn, Celery). A SIGTERM that comes
    while what waits is sent at the end does not interrupt that: it takes `exit_timeout` at most.

    Raises RuntimeError outside the main thread, or if SIGTERM is handled by code that is not Python.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("stop_on_sigterm() must be called in the main thread: only there can signals be handled")
    previous = signal.getsignal(signal.SIGTERM)
    if isinstance(previous, _Terminator):
        return
    if previous is None:
        raise RuntimeError("SIGTERM is handled by code that is not Python; that code has to end the program in order")
    signal.signal(signal.SIGTERM, _Terminator(previous))


class _Terminator:
    """The handler of SIGTERM that `stop_on_sigterm` installs."""

    def __init__(self, previous: Any) -> None:
        self.previous = previous

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if callable(self.previous):
            self.previous(number, frame)
        if _runs(finish, frame):
            return
        ending = getattr(sys.modules.get("multiprocessing.util"), "_exit_function", None)
        if ending is not None and _runs(ending, frame):
            finish()  # the exception would pass over the finalizers of this child, and so over ours
        raise SystemExit(128 + number)


def _runs(function: Any, frame: FrameType | None) -> bool:
    """Whether a signal came while this function was running."""
    while frame is not None and frame.f_code is not function.__code__:
        frame = frame.f_back
    return frame is not None


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=begin_anew)
uwsgi.follow(notice_fork)
atexit.register(finish)
