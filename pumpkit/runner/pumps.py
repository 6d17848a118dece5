"""Keeping one worker of a pump alive: its ledger, its rate, and the records that killed the workers before."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from pumpkit.buffers.base import CursorStats, Position
from pumpkit.deliver import Kind
from pumpkit.runner.supervisor import WITH_RECORDS, Process, Supervisor, Working
from pumpkit.status import PumpStatus
from pumpkit.trouble import Trouble

#: Seconds over which the rate is taken.
RATE_SPAN = 5.0

#: Deaths remembered of one pump; more than a search for one record takes.
MAX_TROUBLE = 200


class PumpSupervisor(Supervisor):
    """One worker of a pump, over all its lives."""

    status: PumpStatus

    def __init__(
        self,
        status: PumpStatus,
        job: dict[str, Any],
        launch: Callable[[dict[str, Any]], Process],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(status, job, launch, clock)
        self._trouble: list[Trouble] = []
        self._accepted = 0
        self._delivered: deque[tuple[float, int]] = deque()

    def start(self, job: dict[str, Any] | None = None) -> None:
        """See `Supervisor.start`."""
        self._forget_replays()
        super().start(job)

    def skip(self, part: int, to: Position) -> bool:
        """Let the worker move ahead in a part of the buffer; return whether there is one whose turn it is."""
        if self._process is None or self.status.state == "standby":
            return False
        self._process.send({"do": "skip", "part": part, "to": to})
        return True

    def observe(self, stats: CursorStats) -> None:
        """Take in what the log says of this pump, while no worker does."""
        if self._process is None or self.status.cursor is None or self.status.state == "standby":
            self._take(stats)

    def take(self, message: dict[str, Any]) -> None:
        """See `Supervisor.take`."""
        match message["status"]:
            case "state" if "plugin" in message:
                self.status.plugin = message["plugin"]
            case "wrote":
                self._accepted += 1
                self.status.writes += 1
                self.status.write_seconds += message["seconds"]
            case "replayed":
                self._forget_replays()
            case "counts" if "position" in message:
                self._count(CursorStats(**{key: message[key] for key in CursorStats._fields}), message["moved"])

    def full_job(self) -> dict[str, Any]:
        """See `Supervisor.full_job`."""
        return self.job | {"trouble": [one.to_json() for one in self._trouble], "accepted": self._accepted}

    def buried(self) -> None:
        """See `Supervisor.buried`."""
        self.status.rate = 0.0
        self._delivered.clear()

    def remember(self, working: Working, kind: Kind) -> bool:
        """Note the records in hand as trouble; return whether that narrows the search for the one that kills."""
        if working.stage not in WITH_RECORDS:
            return False
        one = Trouble(working.stage, working.first, working.last, kind, self._accepted)
        again = any((one.first, one.last) == (other.first, other.last) for other in self._trouble)
        narrower = not again and any(one.within(other) for other in self._trouble)
        self._trouble = [*self._trouble, one][-MAX_TROUBLE:]
        return narrower

    def _count(self, stats: CursorStats, moved: bool) -> None:
        now = self._clock()
        self._take(stats, moved)
        self._delivered.append((now, stats.delivered))
        while now - self._delivered[0][0] > RATE_SPAN:
            self._delivered.popleft()
        then, delivered = self._delivered[0]
        self.status.rate = (stats.delivered - delivered) / (now - then) if now > then else 0.0

    def _take(self, stats: CursorStats, moved: bool = False) -> None:
        """Take up where the pump is; what lies behind it is no trouble any more."""
        before, self.status.cursor = self.status.cursor, stats
        if moved or before is None or stats.lag == 0 or stats.position != before.position:
            self.status.moved = time.monotonic()
        if before is not None and stats.position < before.position:  # in a log that was created anew
            self._trouble = []
        self._trouble = [one for one in self._trouble if one.stage == "replay" or one.last[0] > stats.position]

    def _forget_replays(self) -> None:
        self._trouble = [one for one in self._trouble if one.stage != "replay"]
