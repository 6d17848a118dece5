"""Keeping the process of one input alive: what it has moved, over all its lives."""

import time
from collections.abc import Callable
from typing import Any

from pumpkit.runner.supervisor import Process, Supervisor
from pumpkit.status import InputStatus

#: The module that is the process of an input.
MODULE = "pumpkit.inputs.importer"


class InputSupervisor(Supervisor):
    """The process of one input, over all its lives."""

    status: InputStatus

    def __init__(
        self,
        status: InputStatus,
        job: dict[str, Any],
        launch: Callable[[dict[str, Any]], Process],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(status, job, launch, clock)
        self._before = (0, 0, 0)  # what processes that have ended moved

    def take(self, message: dict[str, Any]) -> None:
        """See `Supervisor.take`. A process counts from its own start."""
        if message["status"] != "counts":
            return
        status, before = self.status, self._before
        status.records = before[0] + message["records"]
        status.bad = before[1] + message["bad"]
        status.bytes = before[2] + message["bytes"]
        status.waiting = message.get("waiting")  # absent when the list cannot be looked at
        if message["moved"] or not status.waiting:
            status.moved = time.monotonic()

    def buried(self) -> None:
        """See `Supervisor.buried`."""
        self._before = (self.status.records, self.status.bad, self.status.bytes)
