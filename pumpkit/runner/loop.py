"""The supervising loop: everything about pumps and inputs happens in the main thread, one event after the other."""

import contextlib
import logging
import os
import queue
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

import attrs

import pumpkit
from pumpkit.buffers import Buffer
from pumpkit.buffers.base import BufferStats, CursorStats, RunnerLock, pumps_of
from pumpkit.buffers.registry import default_url
from pumpkit.config import Config, ConfigInvalid
from pumpkit.config.load import load
from pumpkit.config.snapshot import input_snapshot, same_settings, snapshot
from pumpkit.errors import BufferBusy, BufferError
from pumpkit.health import HealthServer
from pumpkit.runner.housekeeping import Housekeeper
from pumpkit.runner.inputs import MODULE, InputSupervisor
from pumpkit.runner.logs import set_up_logging, tell_notes
from pumpkit.runner.process import WorkerProcess
from pumpkit.runner.pumps import PumpSupervisor
from pumpkit.runner.supervisor import Supervisor
from pumpkit.status import InputStatus, PumpStatus, Status

OK, BUSY, INTERRUPTED = 0, 75, 130

#: Seconds between two looks at every worker.
TICK = 0.1

#: The loop counts as hung when it has not turned for so many seconds.
HUNG = 10.0

#: The shortest `shutdown-grace` by default, in seconds.
LEAST_GRACE = 8.0

log = logging.getLogger(__name__)

Event = Callable[[], None]


class Runner:
    """A runner at work."""

    def __init__(self, config: Config, buffer: Buffer) -> None:
        self.config = config
        self.buffer = buffer
        self.url = config.buffer.url or default_url()
        self.status = Status(
            pid=os.getpid(),
            host=socket.gethostname(),
            started=time.time(),
            config=str(config.file),
            version=pumpkit.__version__,
        )
        self.supervisors: dict[str, PumpSupervisor] = {}  # by row: a pump's name, `NAME#2` for its second worker
        self.inputs: dict[str, InputSupervisor] = {}
        self.leaving: list[Supervisor] = []  # of what is gone from the configuration
        self._lock: RunnerLock | None = None
        self._health = ""  # the address of the health endpoint
        #: What is to be done next; put to from threads and, since it is a SimpleQueue, from signal handlers.
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.turned = time.monotonic()
        self.stop_by: float | None = None  # once stopping: when patience ends
        self.code = OK  # to end with
        self.interrupted = False

    def listen(self) -> HealthServer | None:
        """Start the health endpoint. Raises OSError that names the address if it is taken."""
        address = self.config.health_check_address
        if address is None:
            return None
        try:
            return HealthServer(
                address,
                self.config.health_check_path,
                lambda: self.status,
                lambda: time.monotonic() - self.turned < HUNG,
            )
        except OSError as error:
            reason = error.strerror or str(error)
            raise OSError(f"health-check-address {address} cannot be used: {reason}; choose another one") from error

    def hold_slot(self, health: str) -> None:
        """Become the runner of this slot, whose health endpoint is at `health`. Raises BufferBusy."""
        self._health = health
        self._lock = self.buffer.runner_lock(self._holder(), self.config.runner_slot)

    def leave_slot(self) -> None:
        """Let the next runner have the slot."""
        if self._lock is not None:
            self._lock.release()

    def _holder(self) -> dict[str, str]:
        """Return what others are told of this runner."""
        about = {"pid": str(os.getpid()), "host": socket.gethostname(), "health": self._health}
        return about | {"pumps": " ".join(self.config.pumps)}

    def _keep_slot(self, runners: list[dict[str, str]]) -> None:
        """Take the slot again if it went with a buffer that forgot; leave if somebody else has taken it meanwhile."""
        if self._lock is None or not self.buffer.can_be_shared or self.stop_by is not None:
            return
        mine = {"slot": self.config.runner_slot, "alive": "yes", "pid": str(os.getpid()), "host": socket.gethostname()}
        if any(mine.items() <= one.items() for one in runners):
            return
        try:
            self._lock.release()
            self.hold_slot(self._health)
            log.warning("took the slot %s again, which was lost with what the buffer forgot", self.config.runner_slot)
        except BufferBusy as error:
            log.error("another runner has taken over while this one stood still, which stops now: %s", error)
            self.code = BUSY
            self._stop()
        except BufferError as error:
            log.warning("cannot take the slot %s again: %s", self.config.runner_slot, error)

    def _tell_others(self) -> None:
        try:
            if self._lock is not None:
                self._lock.tell(self._holder())
        except BufferError as error:
            log.warning("other runners do not know of the new configuration yet: %s", error)

    def run(self) -> int:
        """Start every pump and supervise them until all have stopped."""
        self._take_signals()
        # Every cursor, before any worker starts or anything is trimmed: a pump that fails at its first start, too.
        for name, pump in self.config.enabled_pumps.items():
            self.buffer.register(name, pump.start)
        stats = self.buffer.stats()
        log.info("carrying records from %s", stats.location)
        self._tell_stats(stats, self.buffer.runners())
        for row in self._rows():
            self._add(row)
        for name in self.config.enabled_inputs:
            self._add_input(name)
        housekeeper = Housekeeper(
            self.url, lambda: self.config, self._on_stats, self._on_skip, create=self.buffer.can_be_shared
        )
        housekeeper.start()
        while self.stop_by is None or not all(supervisor.gone for supervisor in self._all()):
            self._turn()
            if self.interrupted:
                self._kill()
                return INTERRUPTED
        housekeeper.stop()
        housekeeper.join(2.0)
        log.info("stopped")
        return self.code

    def _turn(self) -> None:
        before, self.turned = self.turned, time.monotonic()
        if self.turned - before > HUNG:  # frozen, with all its workers: their silence proves nothing
            for supervisor in self._all():
                supervisor.pardon()
        with contextlib.suppress(queue.Empty):
            event = self.events.get(timeout=TICK)
            while True:
                event()
                event = self.events.get_nowait()
        for supervisor in self._all():
            supervisor.tick()
        self.leaving = [supervisor for supervisor in self.leaving if not supervisor.gone]
        if self.stop_by is not None and time.monotonic() > self.stop_by:
            self.stop_by = float("inf")
            self._kill()

    def _all(self) -> list[Supervisor]:
        return [*self.supervisors.values(), *self.inputs.values(), *self.leaving]

    def _kill(self) -> None:
        for supervisor in self._all():
            supervisor.kill()

    # Pumps -------------------------------------------------------------------------------------------------------

    def _rows(self) -> list[str]:
        """Return the name of every worker: a pump's name for its first one, then `NAME#2` and so on."""
        pumps = self.config.enabled_pumps.items()
        return [
            name if number == 1 else f"{name}#{number}" for name, pump in pumps for number in range(1, pump.workers + 1)
        ]

    def _add(self, row: str) -> None:
        status = self.status.pumps[row] = PumpStatus(row)
        self._describe(row)

        def launch(job: dict[str, Any]) -> WorkerProcess:
            return WorkerProcess(row, job, lambda process, message: self._on_line(supervisor, process, message))

        supervisor = self.supervisors[row] = PumpSupervisor(status, self._job(row), launch)
        supervisor.start()

    def _add_input(self, name: str) -> None:
        config = self.config.inputs[name]
        status = self.status.inputs[name] = InputStatus(name, config.type, config.required)

        def launch(job: dict[str, Any]) -> WorkerProcess:
            return WorkerProcess(
                name,
                job,
                lambda process, message: self._on_line(supervisor, process, message),
                module=MODULE,
                tag="input",
            )

        supervisor = self.inputs[name] = InputSupervisor(status, self._input_job(name), launch)
        supervisor.start()

    def _input_job(self, name: str) -> dict[str, Any]:
        return {
            "v": 1,
            "input": name,
            "config": input_snapshot(self.config, name),
            "buffer": self.url,
            "slot": self.config.runner_slot,
            "purge_delay": self.config.purge_delay,
        }

    def _describe(self, row: str) -> None:
        status = self.status.pumps[row]
        pump = self.config.pumps[status.pump]
        status.type, status.required = pump.type, pump.required

    def _job(self, row: str) -> dict[str, Any]:
        name, _, number = row.partition("#")
        slot = self.config.runner_slot
        return {
            "v": 1,
            "pump": name,
            "worker": int(number or 1),
            "share": f"{slot}#{number}" if number else slot,
            "config": snapshot(self.config, name),
            "buffer": self.url,
            "purge_delay": self.config.purge_delay,
        }

    # Events from threads -----------------------------------------------------------------------------------------

    def _on_line(self, supervisor: Supervisor, process: WorkerProcess, message: dict[str, Any] | None) -> None:
        def hear() -> None:
            if supervisor.owns(process):
                supervisor.hear(message)

        self.events.put(hear)

    def _on_stats(self, stats: BufferStats, runners: list[dict[str, str]]) -> None:
        self.events.put(lambda: self._tell_stats(stats, runners))

    def _on_skip(self, pump: str, part: int, to: int) -> None:
        self.events.put(lambda: self._skip(pump, part, to))

    def _tell_stats(self, stats: BufferStats, runners: list[dict[str, str]]) -> None:
        self._keep_slot(runners)
        self.status.buffer, self.status.runners = stats, runners
        for row, supervisor in self.supervisors.items():
            if cursor := stats.cursors.get(self.status.pumps[row].pump):
                supervisor.observe(cursor)
        elsewhere = pumps_of(runners)
        for name, cursor in stats.cursors.items():
            if name not in self.supervisors:
                self._tell_unattended(name, cursor, name in elsewhere)
        for name in set(self.status.pumps).difference(self.supervisors, stats.cursors):
            del self.status.pumps[name]

    def _tell_unattended(self, name: str, cursor: CursorStats, elsewhere: bool) -> None:
        """Show a place in the log that no worker here moves: of a pump that is disabled, or is not in this file."""
        row = self.status.pumps.setdefault(name, PumpStatus(name, required=False))
        row.cursor = cursor
        if name in self.config.pumps:
            row.enter("stopped", "disabled")
        elif elsewhere:
            row.enter("elsewhere")
        elif row.state != "orphan":
            row.enter("orphan")
            log.warning(
                "no pump of this configuration owns this place in the log, and it holds what it has not passed: "
                "add the pump again, or `pumpkit cursor drop %s`",
                name,
                extra={"pump": name},
            )

    def _skip(self, pump: str, part: int, to: int) -> None:
        for row, supervisor in self.supervisors.items():
            if self.status.pumps[row].pump == pump:
                supervisor.skip(part, to)

    # Signals -----------------------------------------------------------------------------------------------------

    def _take_signals(self) -> None:
        signal.signal(signal.SIGTERM, lambda *_: self.events.put(self._stop))
        signal.signal(signal.SIGINT, lambda *_: self.events.put(self._stop))
        signal.signal(signal.SIGHUP, lambda *_: self.events.put(self._reload))

    def _stop(self) -> None:
        if self.stop_by is not None:
            self.interrupted = True
            return
        log.info("stopping after the batches in hand")
        self.stop_by = time.monotonic() + self._grace()
        for supervisor in self._all():
            supervisor.stop()

    def _grace(self) -> float:
        if self.config.shutdown_grace is not None:
            return self.config.shutdown_grace
        return max([LEAST_GRACE, *(supervisor.timeout + 2 for supervisor in self._all())])

    def _reload(self) -> None:
        """Read the file again; if it is broken the old configuration goes on. Only changed pumps are restarted."""
        if self.stop_by is not None:
            return
        try:
            config = load(self.config.file)
            for name, pump in config.enabled_pumps.items():
                self.buffer.register(name, pump.start)
        except ConfigInvalid as error:
            for problem in error.problems:
                log.error("not reloaded: %s", problem)
            return
        except BufferError as error:
            log.error("not reloaded: %s", error)
            return
        for key in ("buffer", "slot", "health_check_address", "health_check_path"):
            if getattr(config, key) != getattr(self.config, key):
                log.warning("%s has changed: that takes effect at the next start", key.replace("_", "-"))
        set_up_logging(config.log)
        tell_notes(config)
        before = {row: self._job(row) for row in self.supervisors}
        inputs = {name: self._input_job(name) for name in self.inputs}
        self.config = attrs.evolve(config, slot=self.config.slot)  # which its workers go by
        self._tell_others()
        rows = self._rows()
        for row in list(self.supervisors):
            if row not in rows:
                self._retire(row)
        for row in rows:
            if row not in self.supervisors:
                self._add(row)
            elif self.status.pumps[row].state == "failed" or not _same(before[row], self._job(row)):
                self._describe(row)
                self.supervisors[row].start(self._job(row))
        self._reload_inputs(inputs)
        log.info("reloaded %s", config.file)

    def _reload_inputs(self, before: dict[str, dict[str, Any]]) -> None:
        for name in list(self.inputs):
            if name not in self.config.enabled_inputs:
                supervisor = self.inputs.pop(name)
                supervisor.stop()
                self.leaving.append(supervisor)
                del self.status.inputs[name]
        for name, config in self.config.enabled_inputs.items():
            if name not in self.inputs:
                self._add_input(name)
            elif self.status.inputs[name].state == "failed" or before[name] != self._input_job(name):
                self.status.inputs[name].required = config.required
                self.inputs[name].start(self._input_job(name))

    def _retire(self, row: str) -> None:
        """Stop a worker that is gone from the configuration; a pump's cursor stays."""
        supervisor = self.supervisors.pop(row)
        supervisor.stop()
        self.leaving.append(supervisor)
        del self.status.pumps[row]


def _same(before: dict[str, Any], after: dict[str, Any]) -> bool:
    return before["purge_delay"] == after["purge_delay"] and same_settings(before["config"], after["config"])
