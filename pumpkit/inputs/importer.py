"""The process of one input: `python -P -m pumpkit.inputs.importer NAME`, started by the runner with a job on stdin.

It speaks the protocol of `pumpkit.pipes`:

    in   {"v": 1, "input": NAME, "config": {...}, "buffer": URL, "purge_delay": SECONDS, "runner": PID}
         {"do": "stop"}
    out  {"status": "state", "state": ..., "reason": ...}
         {"status": "counts", "records": N, "bad": N, "bytes": N, "waiting": N, "moved": BOOL}

`config` is what `pumpkit.config.snapshot.input_snapshot` makes. Counts come each second: records moved since the start
of this process, how many of these are none and become dead letters, the bytes of all as items, the items that are in
the lists now, and whether something was moved since the last time. Of all importers of an input one is `running`; the
others are `standby`, and take over within seconds of its death.
"""

import os
import queue
import signal
import sys
import time
import traceback
from contextlib import closing, suppress
from typing import Any

from pumpkit.buffers import open_buffer
from pumpkit.buffers.base import Buffer
from pumpkit.buffers.redis import url as urls
from pumpkit.buffers.redis.link import Link
from pumpkit.buffers.redis.lists import go_pump_lock
from pumpkit.config.snapshot import restore_input
from pumpkit.errors import BufferBusy, BufferError, BufferUnavailable, ConfigError, Fenced
from pumpkit.inputs.redis_list import NOTHING, Drain, beside
from pumpkit.inputs.routes import Routes
from pumpkit.pipes import CRASHED, MISCONFIGURED, NOT_YET, STOPPED, Pipes, live

#: Seconds between two heartbeats, and two tries of a standby.
HEARTBEAT = 1.0

#: The first and the longest pause, in seconds, while the log takes nothing or a server is away.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0

#: Seconds between two looks for another pump.
LOOK_PERIOD = 60.0

#: Seconds that a step may take once the runner is gone.
LAST_STEP = 15.0


class Leave(Exception):
    """Stop now."""


class Importer:
    """One input's process: its main loop, and what it tells."""

    def __init__(self, job: dict[str, Any], pipes: Pipes) -> None:
        self.config = restore_input(job["config"])
        self.pipes = pipes
        self._buffer_url: str = job["buffer"]
        self._pause: float = job.get("purge_delay", 0.2)
        self._stop = False
        self._nudges: queue.SimpleQueue[None] = queue.SimpleQueue()  # may be put to from a signal handler
        self._next_beat = 0.0
        self._records = self._bad = self._bytes = 0
        self._told_records = 0
        self._next_look = 0.0
        self._warned: set[str] = set()
        self._drains: list[Drain] = []

    def run(self) -> int:
        """Move lists until it is told to stop; return the exit code."""
        self.pipes.listen(self._obey)
        signal.signal(signal.SIGTERM, lambda *_: self._obey({"do": "stop"}))
        try:
            self._run()
        except Leave:
            self.pipes.state("stopped")
            return STOPPED
        except BufferUnavailable as error:
            code, state, reason = NOT_YET, "waiting", str(error)
        except ConfigError as error:
            code, state, reason = MISCONFIGURED, "failed", str(error)
        except Exception as error:
            traceback.print_exc()
            code, state, reason = CRASHED, "crashed", f"{type(error).__name__}: {error}"
        self.pipes.state(state, reason)
        return code

    def _run(self) -> None:
        with (
            closing(open_buffer(self._buffer_url)) as buffer,
            closing(Link(urls.parse(self.config.url or self._buffer_url))) as self._link,
        ):
            while True:
                try:
                    self._hold_and_drain(buffer)
                except BufferBusy as error:
                    self._rest(HEARTBEAT, "standby", str(error))
                except Fenced as error:
                    self._rest(HEARTBEAT, "standby", str(error))
                except BufferUnavailable as error:
                    self._rest(LONGEST_PAUSE, "waiting", str(error))

    def _hold_and_drain(self, buffer: Buffer) -> None:
        """Move the lists while the lease is this importer's."""
        with Routes(self.config, self._link, buffer) as routes:
            self._drains = routes.take()
            try:
                self._drain()
            finally:
                self._drains = []

    def _drain(self) -> None:
        again_at = dict.fromkeys(range(len(self._drains)), 0.0)  # when each list is looked at next
        pause = FIRST_PAUSE
        while True:
            self._attend()
            now = time.monotonic()
            for number, drain in enumerate(self._drains):
                if again_at[number] > now:
                    continue
                try:
                    moved = drain.step()
                except BufferUnavailable as error:
                    self._rest(pause, "waiting", str(error))
                    pause = min(2 * pause, LONGEST_PAUSE)
                    break
                pause = FIRST_PAUSE
                self.pipes.state("running")
                self._records += moved.records
                self._bad += moved.bad
                self._bytes += moved.size
                if moved is NOTHING:
                    again_at[number] = now + self._pause
                    if drain.disturbed:
                        self._warn(
                            f"disturbed {drain.key}",
                            f"somebody else takes items off the list {drain.key}; what it takes never gets into the"
                            " log: stop the other pump",
                        )
                self._attend()
            else:
                self._rest(min(again_at.values()) - time.monotonic())

    # What people see and want -------------------------------------------------------------------------------------

    def _attend(self) -> None:
        """Look up from work: raise if it is to stop, and let the heart beat once a second."""
        if self._stop:
            raise Leave
        now = time.monotonic()
        if now >= self._next_beat:
            self._next_beat = now + HEARTBEAT
            self._beat()
        if now >= self._next_look and self._drains:
            self._next_look = now + LOOK_PERIOD
            self._look_for_others()

    def _beat(self) -> None:
        counts: dict[str, Any] = {"records": self._records, "bad": self._bad, "bytes": self._bytes}
        counts["moved"] = self._records != self._told_records
        self._told_records = self._records
        with suppress(BufferError):  # whoever moves the lists will say so
            keys = [key for list_, _ in self.config.lists() for key in (list_, beside(list_, "in-flight"))]
            counts["waiting"] = sum(self._link.command("LLEN", key, timeout=1.0) for key in keys)
        self.pipes.send("counts", **counts)

    def _look_for_others(self) -> None:
        """Warn of an iam-pump that runs on the same Redis, and of lists that Redis will delete."""
        with suppress(BufferError):
            if self.config.dialect == "iam" and go_pump_lock(self.config.url or self._buffer_url) is not None:
                self._warn(
                    "iam-pump",
                    f"an iam-pump holds its lock in {self._link.place.shown}: if it drains the list"
                    f" {self._drains[0].key}, what it takes never gets into the log; stop it",
                )
            for drain in self._drains:
                seconds = self._link.command("TTL", drain.key)
                if seconds >= 0:
                    self._warn(
                        f"TTL {drain.key}",
                        f"Redis deletes the list {drain.key} in {seconds} s, and what is not moved by then is lost;"
                        " find out who sets a time to live on it (storage_expiration_time), and do without",
                    )

    def _warn(self, subject: str, text: str) -> None:
        """Say something once."""
        if subject not in self._warned:
            self._warned.add(subject)
            print(text, file=sys.stderr, flush=True)

    def _rest(self, seconds: float, state: str = "", reason: str = "") -> None:
        """Wait, with a heartbeat."""
        if state:
            self.pipes.state(state, reason)
        until = time.monotonic() + seconds
        while True:
            self._attend()
            left = until - time.monotonic()
            if left <= 0:
                return
            with suppress(queue.Empty):
                self._nudges.get(timeout=min(left, HEARTBEAT))

    def _obey(self, order: dict[str, Any]) -> None:
        self._stop = self._stop or order["do"] in ("stop", "eof")
        self._nudges.put(None)
        if order["do"] == "eof":  # the runner is gone: the step in hand may end, but not take for ever
            time.sleep(LAST_STEP)
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    live(lambda job, pipes: Importer(job, pipes).run())
