"""Keeping one process alive: what its status lines mean, when it is overdue, when a new one is started."""

import logging
import signal
import time
from collections.abc import Callable
from typing import Any, Protocol

import attrs

from pumpkit.buffers.base import Position
from pumpkit.deliver import Kind
from pumpkit.pipes import INIT_LIMIT, MISCONFIGURED, NOT_YET
from pumpkit.plugins import DEFAULT_TIMEOUT
from pumpkit.status import ProcessStatus, State
from pumpkit.trouble import Stage

#: Seconds until a worker that could not work as configured is tried again without being asked to.
RETRY_FAILED = 60.0

#: The first and the longest pause, in seconds, before a crashed worker is started again.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0

#: A worker that ran for so many seconds was good: the pauses begin anew.
GOOD = 60.0

#: Seconds without a commit, beyond its timeout, after which a lagging pump is not healthy.
STALLED = 60.0

#: Seconds without a status line, beyond the time the worker itself may take, before it is killed.
SILENCE = 5.0

#: What a worker does with records in hand.
WITH_RECORDS: tuple[Stage, ...] = ("select", "shorten", "write", "replay")

log = logging.getLogger(__name__)


class Process(Protocol):
    """What a supervisor needs of a process (`runner.process.WorkerProcess`)."""

    pid: int

    def send(self, order: dict[str, Any]) -> None:
        """Send one line."""

    def kill(self) -> None:
        """Kill it and all it started."""

    def poll(self) -> int | None:
        """Return the exit code once it has ended."""

    def close(self) -> None:
        """Let go of it."""


@attrs.frozen
class Working:
    """A guarded call that a worker is in."""

    stage: Stage
    first: tuple[Position, int]
    last: tuple[Position, int]
    limit: float | None
    since: float  # by the supervisor's clock


class Supervisor:
    """A process, over all its lives. Called from the runner's main thread only."""

    def __init__(
        self,
        status: ProcessStatus,
        job: dict[str, Any],
        launch: Callable[[dict[str, Any]], Process],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.status = status
        self.job = job
        self.timeout = DEFAULT_TIMEOUT  # of one write, in seconds, once a worker has told it
        self._launch = launch
        self._clock = clock
        self._process: Process | None = None
        self._deaf = False  # no status line will come any more
        self._ended: tuple[int, float] | None = None  # exit code, and when it was noticed
        self._started = self._heard = 0.0
        self._working: Working | None = None
        self._limit: float | None = INIT_LIMIT
        self._crashes = 0  # in a row
        self._start_at: float | None = None
        self._stopping = False
        self._said: State | None = None  # the last state that the present process told

    @property
    def gone(self) -> bool:
        """Whether no worker lives and none will be started."""
        return self._process is None and self._start_at is None

    def owns(self, process: Process) -> bool:
        """Return whether a status line of that process concerns this supervisor."""
        return process is self._process

    def start(self, job: dict[str, Any] | None = None) -> None:
        """Start a worker now; with another job, once the present one has ended its batch."""
        self.job = job or self.job
        self._crashes = 0
        self._start_at = self._clock()
        if self._process is None:
            self._stopping = False
        else:
            self.stop(again=True)

    def stop(self, *, again: bool = False) -> None:
        """Let the worker stop after the batch in hand, and start no other unless `again`."""
        self._stopping = True
        if not again:
            self._start_at = None
        if self._process is not None:
            self.status.enter("stopping")
            self._process.send({"do": "stop"})
        elif not again:
            self.status.enter("stopped")

    def kill(self) -> None:
        """End the worker at once: it did not stop in time."""
        if self._process is not None:
            log.warning("did not stop in time: killed", extra=self.status.tag)
            self._process.kill()

    def hear(self, message: dict[str, Any] | None) -> None:
        """Take in a status line, or None: there will be none any more."""
        self._heard = self._clock()
        if message is None:
            self._deaf = True
            return
        match message["status"]:
            case "state":
                self._said = message["state"]
                self._enter(message["state"], message["reason"])
                if "timeout" in message:
                    self.timeout = message["timeout"] or DEFAULT_TIMEOUT
                    self.status.patience = STALLED + self.timeout
                self.take(message)
            case "working":
                first, last = tuple(message["first"]), tuple(message["last"])
                self._limit = message["limit"]
                self._working = Working(message["stage"], first, last, self._limit, self._heard)
            case "free":
                self._working = None
            case _:
                self.take(message)

    def pardon(self) -> None:
        """Not mind its silence until now: it was the runner that stood still."""
        self._heard = self._clock()

    # What is different from one kind of process to the other ------------------------------------------------------

    def take(self, message: dict[str, Any]) -> None:
        """Take in what a status line tells of the process's own work."""

    def full_job(self) -> dict[str, Any]:
        """Return the job for the process that is started now."""
        return self.job

    def buried(self) -> None:
        """Know that the process has ended."""

    def remember(self, working: Working, kind: Kind) -> bool:
        """Note what a process died in; return whether the next one should try at once."""
        return False

    # -------------------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Start, bury or kill a worker if it is time to. To be called several times a second."""
        now = self._clock()
        if self._process is None:
            if self._start_at is not None and now >= self._start_at:
                self._start()
            return
        if self._ended is None:
            code = self._process.poll()
            if code is not None:
                self._ended = code, now
            elif self._overdue(now):
                log.error("no sign of life: killed", extra=self.status.tag)
                self._process.kill()
        if self._ended is not None and (self._deaf or now - self._ended[1] > 1.0):
            self._bury(self._process, self._ended[0])

    def _start(self) -> None:
        self._start_at, self._deaf, self._ended, self._working, self._said = None, False, None, None, None
        self._limit = INIT_LIMIT
        self._started = self._heard = self._clock()
        try:
            self._process = self._launch(self.full_job())
        except (OSError, RuntimeError) as error:  # no process or thread to be had now: no reason to stop the others
            self._enter("crashed", f"its worker cannot be started: {error}")
            self._back_off(self._started)
            return
        self.status.pid = self._process.pid
        if self.status.state == "stopped":  # else what was wrong still is, until the worker says that it is not
            self.status.enter("starting")

    def _overdue(self, now: float) -> bool:
        if self._limit is None:
            return False
        allowed = self._limit + max(1.0, self._limit / 10) + SILENCE
        return now - max(self._heard, self._working.since if self._working else 0.0) > allowed

    def _enter(self, state: State, reason: str) -> None:
        if self._stopping and state != "stopped":
            return
        if (state, reason) != (self.status.state, self.status.reason) and state not in ("running", "stopped"):
            level = {"failed": logging.ERROR, "crashed": logging.ERROR, "standby": logging.INFO}
            log.log(
                level.get(state, logging.WARNING),
                "%s: %s" if reason else "%s",
                *([state, reason] if reason else [state]),
                extra=self.status.tag,
            )
        if self.status.state == "standby":  # what waits was not its own to carry until now
            self.status.moved = time.monotonic()
        if reason and state != "standby":
            self.status.last_error, self.status.last_error_at = reason, time.time()
        self.status.enter(state, reason)

    def _bury(self, process: Process, code: int) -> None:
        """It has ended: remember what it was in, and decide when the next one starts."""
        process.close()
        now = self._clock()
        again = self._start_at is not None
        self._process, self.status.pid = None, None
        self.buried()
        if self._stopping:
            self._stopping = False
            if not again:
                self.status.enter("stopped")
            return
        if now - self._started > GOOD:
            self._crashes = 0
        self.status.restarts += 1
        # Plugin code can end the process with any code: the worker itself says first why it ends.
        if code == MISCONFIGURED and self._said == "failed":
            self._start_at = now + RETRY_FAILED
            return
        working = self._working
        if working is not None and self.remember(working, self._kind(working, now)):
            self._start_at = now
        else:
            self._back_off(now)
        if code == NOT_YET and self._said in ("waiting", "failed"):
            return
        if self._said != "crashed":
            self._enter("crashed", self._obituary(code, now))

    def _back_off(self, now: float) -> None:
        self._start_at = now + min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._crashes, 10))
        self._crashes += 1

    def _kind(self, working: Working, now: float) -> Kind:
        # By the time elapsed: the watchdog's exit code is no different from another's.
        return "timeout" if working.limit is not None and now - working.since >= working.limit else "crash"

    def _obituary(self, code: int, now: float) -> str:
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        working = self._working
        if working is None:
            return f"the worker was {how}" if code < 0 else f"the worker {how}"
        if self._kind(working, now) == "timeout":
            how = f"took longer than {working.limit:g} s"
        place = ""
        if working.stage in WITH_RECORDS:
            place = f" with the records {working.first[0]}:{working.first[1]} to {working.last[0]}:{working.last[1]}"
        return f"{working.stage} {how}{place}"
