"""One process's part of a reporter: its queue, its sender, and the thread that drives the sender.

A fork gives the child a new outbox. The thread knows the outbox and not the reporter, so a reporter that nobody
holds any more can be collected; its outbox then sends what it has and ends.
"""

import copy
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from pumpkit.reporter import buffer_url, process, sampling, uwsgi
from pumpkit.reporter.log_lines import log
from pumpkit.reporter.reentrant import Bell
from pumpkit.reporter.sampling import Sample
from pumpkit.reporter.sender import Sender
from pumpkit.reporter.settings import Log, Settings

#: Seconds a stop may need beyond its deadline, for the append in flight.
_GRACE = 0.25

#: Share of the time for a stop that is left to a spill file, for what the buffer did not take until then; and seconds
#: that it is at most.
_FOR_SPILLING = 0.25
_SPILLING = 10.0

#: Seconds until a thread that could not be started is tried again, and until a turn after a fault of ours.
_AGAIN = 1.0

#: Seconds between looks: of a flush at its thread, and of a caller who chose to wait at a full queue.
_LOOK = 0.05
_LOOK_FOR_ROOM = 0.001


class Ask:
    """A flush that waits until everything recorded before it has settled."""

    def __init__(self) -> None:
        #: How many records have to settle; known once it is taken up.
        self.target = 0
        #: Whether they have; and whether nobody waits for that any more.
        self.settled = False
        self.over = threading.Event()


class Outbox:
    """Takes records; starts no thread and connects to nothing before the first."""

    def __init__(self, settings: Settings, closed: bool = False) -> None:
        self.queue: deque[Any] = deque()
        #: While the queue is shorter than this, records may be handed to `append`; else `take` has to see to them.
        self.limit = 0
        #: Appends a record to the queue, if the sample takes it, and a copy if that was asked for.
        self.append: Callable[[Any], None] = self.queue.append
        self._taken = sampling.chooser(settings.sample) if isinstance(settings.sample, Sample) else None
        if settings.copy or self._taken:
            self.append = self._append
        self.closed = closed
        #: Seconds that the end of the process may take to send what waits.
        self.exit_timeout = settings.exit_timeout
        self.sender = Sender(self.queue, settings, self._open)
        self._settings = settings
        self._ring_at = settings.records_buffer_size // 2  # records that wait when the next one wakes the thread
        self._said_where = False  # it may connect every few seconds
        self._thread: threading.Thread | None = None
        self._leaving = False  # the interpreter ends, and waits for the thread
        self._abandoned = False  # this is a child of the process that it belongs to
        self._starting = threading.Lock()
        self._start_again = 0.0
        self._driving = threading.Lock()
        self._bell = Bell()
        self._asks: deque[Ask] = deque()  # flushes that are new
        self._waiting: list[Ask] = []  # flushes whose target is known
        self._stop_at: float | None = None
        self._for_spilling = 0.0  # seconds at the end of a stop

    def _open(self, timeout: float) -> Log:
        buffer = self._settings.buffer
        if buffer is not None and not isinstance(buffer, str):
            return buffer
        with process.importing():
            from pumpkit.buffers import registry

            url = buffer or buffer_url.default()
            driver = registry.driver(url)
        opened = driver.open(url, create=True, timeout=timeout)
        if not self._said_where:
            self._said_where = True
            log.info("records go to %s", registry.shown(url))
        return opened

    # Records in ---------------------------------------------------------------------------------------------

    def take(self, record: object) -> None:
        """Take a record in every case but the common one: the first of a process, a full queue, after a stop."""
        settings = self._settings
        if not settings.enabled:
            return
        if self._stop_at is None and _interpreter_ends():
            self.stop()
        stop_at = self._stop_at
        if self.closed or (stop_at is not None and time.monotonic() >= stop_at):
            self.sender.unsent.add()
            return
        if self._taken and not self._taken(record):
            self.sender.sampled.add()
            return
        if settings.copy:
            record = copied(record)
        if stop_at is None:
            self._start()
        if len(self.queue) < settings.records_buffer_size:
            self.queue.append(record)
            if self.limit == self._ring_at < len(self.queue):
                self._allow(settings.records_buffer_size)
                self._bell.ring()
        else:
            self._overflow(record)
        if stop_at is not None and not self._alive:  # an exit handler of the application recorded something
            self._drive_here(stop_at - self._for_spilling)

    def inherit(self, records: deque[Any]) -> None:
        """Take what waited in the parent of this process, which will not send it."""
        self.queue.extend(records)
        self._start()

    def abandon(self) -> None:
        """Send nothing any more, in the child of a fork. A caller may be at it, if a signal handler has forked."""
        self._abandoned = True

    def _append(self, record: object) -> None:
        """Do what `append` is to do where it is more than to append."""
        if self._taken and not self._taken(record):
            self.sender.sampled.add()
        else:
            self.queue.append(copied(record) if self._settings.copy else record)

    def _overflow(self, record: object) -> None:
        match self._settings.overflow:
            case "drop-oldest":
                try:
                    self.queue.popleft()
                except IndexError:  # the thread was faster
                    pass
                else:
                    self.sender.full.add()
                self.queue.append(record)
                return
            case "block" if not self._is_mine:
                deadline = time.monotonic() + self._settings.block_timeout
                self._bell.ring()
                while time.monotonic() < deadline:
                    time.sleep(_LOOK_FOR_ROOM)
                    if len(self.queue) < self._settings.records_buffer_size:
                        self.queue.append(record)
                        return
        self.sender.full.add()

    # The thread ---------------------------------------------------------------------------------------------

    @property
    def _alive(self) -> bool:
        thread = self._thread
        return thread is not None and thread.is_alive()

    @property
    def _is_mine(self) -> bool:
        return self._thread is threading.current_thread()

    def _start(self) -> bool:
        """Start the thread unless it runs; return whether it does. Never waits: another caller may be at it."""
        if self._alive:
            return True
        if self._stop_at is not None or self._leaving or self._abandoned or time.monotonic() < self._start_again:
            return False
        if not self._starting.acquire(blocking=False):
            return False
        try:
            process.expect_exit(self)
            if not uwsgi.may_start_threads():
                return False
            self._bell = Bell()  # of this moment: gevent may have patched locks and threads by now
            self._thread = self._new_thread()  # known before it runs: a signal handler that raises may end this call
            self._thread.start()
        except RuntimeError:  # no more threads, or the interpreter is ending: a flush or the stop sends what waits
            self._thread = None
            self._start_again = time.monotonic() + _AGAIN
        finally:
            self._starting.release()
        return self._alive

    def _allow(self, limit: int) -> None:
        """Let so many records wait before `take` has to see to the next one."""
        self.limit = limit
        if self.closed or self._stop_at is not None:  # meanwhile
            self.limit = 0

    def _new_thread(self) -> threading.Thread:
        """Return a thread that does not keep the program from ending. Raises RuntimeError where there is none."""
        daemon = process.is_main_interpreter()
        if not daemon:  # subinterpreters refuse daemon threads, or die of them; their end waits for others
            process.expect_wait_for_threads(self._leave)
        return threading.Thread(target=self._run, name="pumpkit-reporter", daemon=daemon)

    def _leave(self) -> None:
        self._leaving = True
        self._bell.ring()

    def flush(self, timeout: float) -> bool:
        """Wait until everything recorded so far has settled; return False if it has not after `timeout` seconds."""
        return self.wait(self.ask(), timeout)

    def ask(self) -> Ask:
        """Let everything recorded so far be sent now. The caller has to `wait` for that."""
        ask = Ask()
        if self.sender.in_memory == 0 or self._is_mine:  # the thread cannot wait for itself
            ask.settled = True
            ask.over.set()
        else:
            self._asks.append(ask)
            self._bell.ring()
        return ask

    def wait(self, ask: Ask, timeout: float) -> bool:
        """Wait until what was asked for has settled; return False if it has not after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        try:
            while not (ask.over.is_set() or self._abandoned) and (left := deadline - time.monotonic()) > 0:
                if not self._start() and self._drive_here(deadline, ask):
                    break
                self._bell.ring()
                ask.over.wait(min(left, _LOOK))
        finally:
            ask.over.set()
        return ask.settled

    def stop(self, timeout: float | None = None) -> None:
        """Send what waits, for `timeout` seconds (by default `exit_timeout`), and end. Does not wait; see `join`."""
        if self._stop_at is None:
            seconds = self.exit_timeout if timeout is None else timeout
            if self._settings.overflow == "spill":
                self._for_spilling = min(_SPILLING, _FOR_SPILLING * seconds)
            self._stop_at = time.monotonic() + seconds
        self.limit = 0
        self._bell.ring()

    def join(self) -> None:
        """Wait until a stop comes to its end. What a missing thread has left is sent by the calling one."""
        if self._stop_at is None:
            return
        thread = self._thread
        if thread is not None and thread.is_alive() and not self._is_mine:
            thread.join(min(threading.TIMEOUT_MAX, max(0.0, self._stop_at + _GRACE - time.monotonic())))
        unfinished = process.is_expected(self) or not self.sender.idle
        if unfinished and not self._alive and (thread is None or time.monotonic() < self._stop_at):
            self._drive_here(self._stop_at - self._for_spilling)

    def left(self) -> str | None:
        """Return what a stop left unsent, in words, None if nothing."""
        pending, drops = self.sender.in_memory, self.sender.drops()
        if not pending and not drops.get("unsent"):
            return None
        trouble = self.sender.link.trouble or ("the buffer does not answer" if self.sender.link.asking else "")
        why = f" ({trouble})" if trouble else ""
        dropped = ", ".join(f"{cause} {total}" for cause, total in drops.items()) or "none"
        return f"{pending} records could not be sent before the end{why}; dropped: {dropped}"

    # Driving the sender -------------------------------------------------------------------------------------

    def _run(self) -> None:
        # A blocked thread that gevent has made since this lock was would block all others, its holder's too.
        while not self._driving.acquire(blocking=False):
            time.sleep(_LOOK)
        try:
            self._allow(self._ring_at)
            self._drive(None)
        finally:
            self.limit = 0  # whatever has ended this thread, the next record starts another
            self._driving.release()

    def _drive_here(self, deadline: float, ask: Ask | None = None) -> bool:
        """Send what waits, or what a flush asks for, by the calling thread; return False if another is at it."""
        if self._abandoned or not self._driving.acquire(blocking=False):
            return False
        try:
            self._drive(deadline, ask)
        finally:
            self._driving.release()
        return True

    def _drive(self, until: float | None, ask: Ask | None = None) -> None:
        """Send until told to stop; with `until`, until then at most, and only what waits by now, or `ask` asks for."""
        while True:
            if self._abandoned:
                return
            deadline = until
            if until is None and self._stop_at is not None:
                deadline = self._stop_at - self._for_spilling
            if until is None and self._leaving:  # the exit handler sends the rest
                return
            if ask is None and deadline is not None:  # an end is a flush: what others go on recording holds up neither
                ask = Ask()
                self._asks.append(ask)
            if self._take_asks():
                self.sender.retry_now()
            pause = self._turn(bool(self._waiting), _left(deadline))
            if self.limit > self._ring_at >= len(self.queue):
                self._allow(self._ring_at)
            self._answer_asks()
            if ask is not None and ask.over.is_set():
                break
            if deadline is not None and time.monotonic() >= deadline:
                break
            self._bell.wait(pause if deadline is None else max(0.0, min(pause, deadline - time.monotonic())))
        if self._stop_at is not None:
            for one in self._waiting:  # in vain
                one.over.set()
            self.sender.finish(self._stop_at - time.monotonic())
            process.forget(self)

    def _turn(self, hurry: bool, timeout: float | None) -> float:
        try:
            return self.sender.turn(hurry, timeout)
        except Exception:  # a fault of ours must not end the thread: everything would be dropped from then on
            log.exception("sending records failed unexpectedly; trying again")
            return _AGAIN

    def _take_asks(self) -> bool:
        """Take new flushes up. Each waits for what is in the queue now, and so for all that was recorded before it."""
        new = bool(self._asks)
        while self._asks:
            ask = self._asks.popleft()
            ask.target = self.sender.taken + len(self.queue)
            self._waiting.append(ask)
        return new

    def _answer_asks(self) -> None:
        """Let go of the flushes whose records have settled."""
        settled, idle = self.sender.settled, self.sender.idle
        for ask in self._waiting:
            if idle or settled >= ask.target:
                ask.settled = True
                ask.over.set()
        self._waiting = [ask for ask in self._waiting if not ask.over.is_set()]


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else deadline - time.monotonic()


def _interpreter_ends() -> bool:
    """Whether an exit handler calls: the main thread is over and runs all the same. No thread may be started then."""
    main = threading.main_thread()
    return main is threading.current_thread() and not main.is_alive()


def copied(record: object) -> object:
    """Return a copy of a record, one level deep. Raises nothing."""
    try:
        return copy.copy(record)
    except Exception:  # packing will say what is wrong with it
        return record
