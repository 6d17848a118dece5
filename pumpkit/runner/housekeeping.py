"""Care for the log, each second: trimming what every pump has passed, and making room when it nears its cap.

A thread of its own with a connection of its own: a log that somebody has locked must not hold up the runner.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection

from pumpkit.buffers import Buffer, open_buffer
from pumpkit.buffers.base import BufferStats, Position, pumps_of
from pumpkit.errors import BufferBusy, BufferError

#: Seconds between two rounds.
PERIOD = 1.0

#: Seconds of trimming in one round, so that the state is never old.
TRIM_SPAN = 0.5

#: Parts of the cap: from the first on room is made, down to the second.
NEARLY_FULL, ROOMY = 0.90, 0.85

log = logging.getLogger(__name__)


class Housekeeper(threading.Thread):
    """Trims and watches the log until told to stop.

    `pumps()` returns the names of all configured pumps and of those that are required; `tell(stats, runners)` and
    `skip(pump, part, to)` are called from this thread.
    """

    def __init__(
        self,
        url: str | None,
        pumps: Callable[[], tuple[Collection[str], Collection[str]]],
        tell: Callable[[BufferStats, list[dict[str, str]]], None],
        skip: Callable[[str, int, Position], None],
    ) -> None:
        super().__init__(name="housekeeping", daemon=True)
        self._url = url
        self._pumps = pumps
        self._tell = tell
        self._skip = skip
        self._stop_asked = threading.Event()
        self._trouble = ""

    def stop(self) -> None:
        """End after the present round."""
        self._stop_asked.set()

    def run(self) -> None:
        """Do a round each second."""
        buffer: Buffer | None = None
        while not self._stop_asked.wait(PERIOD):
            try:
                buffer = buffer or open_buffer(self._url, create=False)
                self._round(buffer)
            except BufferError as error:
                if str(error) != self._trouble:
                    log.warning("cannot look after the buffer: %s", error)
                self._trouble = str(error)
            else:
                if self._trouble:
                    log.info("the buffer is there again")
                self._trouble = ""
        if buffer is not None:
            buffer.close()

    def _round(self, buffer: Buffer) -> None:
        parts = buffer.parts()
        for part in parts:
            until = time.monotonic() + TRIM_SPAN / len(parts)
            while part.trim() and time.monotonic() < until:
                pass
        stats, runners = buffer.stats(), buffer.runners()
        self._tell(stats, runners)
        configured, _ = self._pumps()
        orphans = set(stats.cursors) - set(configured) - pumps_of(runners)
        for index, part in enumerate(parts):
            of_part = stats if len(parts) == 1 else part.stats()
            if of_part.max_bytes and of_part.size_bytes > NEARLY_FULL * of_part.max_bytes:
                self._make_room(index, part, of_part, orphans)

    def _make_room(self, index: int, part: Buffer, stats: BufferStats, orphans: Collection[str]) -> None:
        """Move pumps ahead that may be: orphans, and if that makes no room, those that are not required as well.

        What another runner configures is that runner's to move.
        """
        configured, required = self._pumps()
        optional = [name for name in stats.cursors if name in configured and name not in required]
        wanted = int(stats.size_bytes - ROOMY * stats.max_bytes)
        lost = [name for name in stats.cursors if name in orphans]
        for group in (lost, lost + optional):
            targets = {pump: part.skip_target(pump, wanted, group) for pump in group}
            for pump, to in targets.items():
                if to is not None:
                    self._move(index, part, pump, to)
            if any(targets.values()):
                return

    def _move(self, index: int, part: Buffer, pump: str, to: Position) -> None:
        try:
            cursor = part.cursor(pump)
        except BufferBusy:  # a worker has it, maybe one of ours
            self._skip(pump, index, to)
            return
        try:
            log.warning("the buffer is nearly full: skipped %d records", cursor.skip(to), extra={"pump": pump})
        finally:
            cursor.close()
