"""The process of one pump: `python -P -m pumpkit.worker PUMP`, started by the runner with a job on stdin.

What it says and how it ends: `pumpkit.pipes`.
"""

import faulthandler
import os
import queue
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

import attrs

from pumpkit.buffers import Buffer, Cursor, open_buffer
from pumpkit.buffers.base import Position, together
from pumpkit.config.snapshot import restore
from pumpkit.describing import describe_plugin, find_problems, try_sink
from pumpkit.errors import BufferBusy, BufferUnavailable, ConfigError, Fenced, Unavailable
from pumpkit.pipes import CLOSE_LIMIT, CRASHED, INIT_LIMIT, MISCONFIGURED, NOT_YET, STOPPED, Pipes, live
from pumpkit.plugins import Sink
from pumpkit.pump import Pump
from pumpkit.replay import Replayer
from pumpkit.trouble import NOWHERE, Place, Stage, Trouble

#: Seconds between two looks at what people want of the pump, two heartbeats, and two tries of a standby.
HEARTBEAT = 1.0

#: Seconds that new records have before old ones, while there are new ones: dead letters are replayed on an idle log
#: each second, else so often.
REPLAY_AFTER = 10.0

#: Seconds between two looks at an idle log, however short `purge-delay` is.
LEAST_REST = 0.001


class Leave(Exception):
    """Stop now; what is in hand stays uncommitted."""


class Abandon(Exception):
    """Drop what is in hand: somebody wants the pump paused, or moved ahead."""


@attrs.define
class Lane:
    """One of the logs that the buffer is made of, on its way to the sink that all of them share."""

    pump: Pump
    replayer: Replayer
    next_turn: float = 0.0  # as the other one by time.monotonic
    replayed_at: float = attrs.field(factory=time.monotonic)


class Worker:
    """One pump's worker: its main loop, and what its pump needs of the process."""

    def __init__(self, job: dict[str, Any], pipes: Pipes) -> None:
        self.job = job
        self.pipes = pipes
        self.config, self.meta = restore(job["config"])
        self.trouble = [Trouble.from_json(one) for one in job["trouble"]]
        self._stop = False
        self._skips: queue.SimpleQueue[tuple[int, Position]] = queue.SimpleQueue()  # part of the buffer, where to
        self._nudges: queue.SimpleQueue[None] = queue.SimpleQueue()  # may be put to from a signal handler
        self._cursors: list[Cursor] = []  # one in each part of the buffer
        self._takes_turns = False
        self._got_on = True  # since the last heartbeat: decided about records, or found none
        self._next_beat = 0.0
        self._timeout: float | None = INIT_LIMIT

    def run(self) -> int:
        """Run the pump until it is told to stop; return the exit code."""
        self.pipes.listen(self._obey)
        signal.signal(signal.SIGTERM, lambda *_: self._obey({"do": "stop"}))
        try:
            self._run()
        except Leave:
            self.pipes.state("stopped")
            return STOPPED
        except Fenced as error:  # what it had in hand is somebody else's to deliver
            code, state, reason = NOT_YET, "waiting", f"it lost what it had in hand: {error}"
        except (BufferUnavailable, Unavailable) as error:
            code, state, reason = NOT_YET, "waiting", str(error)
        except (ConnectionError, TimeoutError) as error:
            code, state, reason = NOT_YET, "waiting", f"{type(error).__name__}: {error}"
        except ConfigError as error:  # where runners take turns, another one may be able to, or may still be at it
            code, state, reason = NOT_YET if self._takes_turns else MISCONFIGURED, "failed", str(error)
        except (Exception, SystemExit) as error:
            traceback.print_exc()
            code, state, reason = CRASHED, "crashed", f"{type(error).__name__}: {error}"
        self.pipes.state(state, reason)
        return code

    def _run(self) -> None:
        with self.watch("init", NOWHERE, NOWHERE, INIT_LIMIT):
            sink = Sink.open(self.config, self.meta)
        if sink.ordered and self.job["worker"] > 1:
            text = "keeps records in order, so only the first worker of the pump delivers to it; set workers: 1"
            raise ConfigError(f"the sink {self.config.type} {text}")
        with closing(open_buffer(self.job["buffer"], create=False)) as buffer:
            try:
                self._open_cursors(buffer, sink)
                self._carry(buffer.parts(), sink)
            finally:
                self._close_cursors()

    def _open_cursors(self, buffer: Buffer, sink: Sink) -> None:
        """Open a cursor in each part of the buffer; of an ordered sink, once it is this runner's turn."""
        self._takes_turns = buffer.can_be_shared and sink.ordered
        if self._takes_turns:
            self._wait_for_turn(buffer.parts())
            return
        share = self.job["share"] if buffer.can_be_shared else None
        for part in buffer.parts():
            self._cursors.append(part.cursor(self.config.name, share=share))

    def _wait_for_turn(self, parts: Sequence[Buffer]) -> None:
        """Stand by until no other runner has this pump. Whoever has the first part gets the others, once free."""
        while len(self._cursors) < len(parts):
            try:
                for cursor in self._cursors:
                    cursor.hold()
                self._cursors.append(parts[len(self._cursors)].cursor(self.config.name))
                continue
            except Fenced:
                self._close_cursors()
            except BufferBusy as error:
                self.pipes.state("standby", str(error))
            except BufferUnavailable as error:
                self.pipes.state("waiting", f"the buffer: {error}")
            self.pipes.send("counts")
            self._rest(HEARTBEAT)
            if self._stop:
                raise Leave

    def _close_cursors(self) -> None:
        while self._cursors:
            self._cursors.pop().close()

    def _carry(self, parts: Sequence[Buffer], sink: Sink) -> None:
        try:
            with self.watch("init", NOWHERE, NOWHERE, INIT_LIMIT):
                sink.init()
                lanes = [self._lane(part, cursor, sink) for part, cursor in zip(parts, self._cursors, strict=True)]
            self._timeout = lanes[0].pump.timeout
            self.pipes.state("running", plugin=str(sink.plugin), timeout=self._timeout)
            self._loop(lanes)
        finally:
            self._close(sink)

    def _lane(self, part: Buffer, cursor: Cursor, sink: Sink) -> Lane:
        buffer_id, accepted = part.stats().buffer_id, self.job["accepted"]
        pump = Pump(self.config, sink, cursor, buffer_id, self, trouble=self.trouble, accepted=accepted)
        return Lane(pump, Replayer(pump, self.trouble))

    def _close(self, sink: Sink) -> None:
        try:
            with self.watch("close", NOWHERE, NOWHERE, CLOSE_LIMIT):
                sink.close()
        except (Exception, SystemExit):  # everything it wrote is committed
            traceback.print_exc()

    def _loop(self, lanes: Sequence[Lane]) -> None:
        while True:
            try:
                moved = 0
                for lane in lanes:
                    self._attend()
                    moved += self._turn(lane, lanes)
                if not moved:
                    next_turn = min(lane.next_turn for lane in lanes)
                    self._rest(min(max(0.0, next_turn - time.monotonic()), HEARTBEAT))
            except Abandon:
                for lane in lanes:
                    lane.pump.abandon()
                    lane.next_turn = 0.0
                self._step_aside()

    def _turn(self, lane: Lane, lanes: Sequence[Lane]) -> int:
        """Carry what one log has, and now and then its dead letters; return how many frames that was."""
        moved = 0
        if time.monotonic() >= lane.next_turn:
            first = lane.pump.batch.first
            moved = lane.pump.turn()
            if lane.pump.batch.first is None or lane.pump.batch.first != first:
                self._got_on = True
            if not moved:
                lane.next_turn = time.monotonic() + max(self.job["purge_delay"], LEAST_REST)
                if not any(one.pump.batch.live for one in lanes):  # else it still waits, for what it last said
                    self.pipes.state("running")
        if time.monotonic() - lane.replayed_at >= (REPLAY_AFTER if moved else HEARTBEAT):
            self._replay(lane, lanes)
            lane.replayed_at = time.monotonic()
        return moved

    def _replay(self, lane: Lane, lanes: Sequence[Lane]) -> None:
        troubled = bool(lane.replayer.trouble)
        lane.replayer.turn()
        if troubled and not any(one.replayer.trouble for one in lanes):
            self.pipes.send("replayed")

    def _attend(self) -> None:
        """Look up from work: raise if somebody wants something else, and let the heart beat once a second."""
        if self._stop:
            raise Leave
        if not self._skips.empty():
            raise Abandon
        if time.monotonic() >= self._next_beat and self._beat() == "pause":
            raise Abandon

    def _beat(self) -> str:
        """Tell how far the pump is; return what people want of it."""
        self._next_beat = time.monotonic() + HEARTBEAT
        try:
            stats = together([cursor.stats() for cursor in self._cursors])
        except BufferUnavailable:  # whoever uses a cursor next will say so
            self.pipes.send("counts")
            return "run"
        self.pipes.send("counts", **stats._asdict(), moved=self._got_on)
        self._got_on = False
        return stats.wanted

    def _step_aside(self) -> None:
        """With nothing in hand: move ahead if told to, and wait for as long as the pump is to be paused."""
        while not self._stop:
            while not self._skips.empty():
                part, to = self._skips.get()
                if skipped := self._cursors[part].skip(to):
                    print(f"the log is nearly full: skipped {skipped} records", file=sys.stderr)
            if self._beat() != "pause":
                return
            self.pipes.state("paused")
            self._rest(HEARTBEAT)

    def _rest(self, seconds: float) -> None:
        with suppress(queue.Empty):
            self._nudges.get(timeout=seconds)

    def _obey(self, order: dict[str, Any]) -> None:
        match order["do"]:
            case "stop":
                self._stop = True
            case "skip":
                self._skips.put((order["part"], order["to"]))
            case "eof":
                self._stop = True
                self._end_without_runner()
        self._nudges.put(None)

    def _end_without_runner(self) -> None:
        """Let the batch in hand be finished, but not for ever: the next runner's worker waits for this pump's lock."""
        self._nudges.put(None)
        time.sleep(2 + (INIT_LIMIT if self._timeout is None else self._timeout))
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    # What a pump needs of the process it runs in -----------------------------------------------------------------

    @contextmanager
    def watch(self, stage: Stage, first: Place, last: Place, limit: float | None) -> Iterator[None]:
        """Guard plugin code: faulthandler's watchdog ends a blocked call, even one in C that holds the GIL."""
        self.pipes.send("working", stage=stage, first=first, last=last, limit=limit)
        if limit is not None:
            faulthandler.dump_traceback_later(limit + max(1.0, limit / 10), exit=True)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            self.pipes.send("free")

    def pause(self, seconds: float, reason: str) -> None:
        """Wait, with a heartbeat."""
        self.pipes.state("waiting", reason)
        until = time.monotonic() + seconds
        while True:
            self._attend()
            left = until - time.monotonic()
            if left <= 0:
                return
            self._rest(min(left, HEARTBEAT))

    def wrote(self, records: int, seconds: float) -> None:
        """Pass on that the sink accepted records, and keep the heart beating through a long batch."""
        self.pipes.send("wrote", records=records, seconds=round(seconds, 6))
        self.pipes.state("running")
        if time.monotonic() >= self._next_beat:
            self._beat()


def work(job: dict[str, Any], pipes: Pipes) -> int:
    """Do a job; return the exit code."""
    if "describe" in job:
        pipes.send("report", **describe_plugin(job["describe"]))
        return STOPPED
    if job.get("check"):
        pump = restore(job["config"])
        if job.get("connect"):
            pipes.send("report", **try_sink(*pump, lambda: pipes.state("starting")))
        else:
            pipes.send("report", problems=find_problems(*pump))
        return STOPPED
    return Worker(job, pipes).run()


if __name__ == "__main__":
    live(work)
