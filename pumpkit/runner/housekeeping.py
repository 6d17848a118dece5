"""Care for the log, each second: trimming what every pump has passed, and making room when it nears its cap.

A thread of its own with a connection of its own: a log that somebody has locked must not hold up the runner.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection

from pumpkit.buffers import Buffer, open_buffer
from pumpkit.buffers.base import BufferStats, Position, pumps_of
from pumpkit.config import Config
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

    `config()` returns the configuration as it is now; with `create` a log that is gone is made again. `tell(stats,
    runners)` and `skip(pump, part, to)` are called from this thread.
    """

    def __init__(
        self,
        url: str | None,
        config: Callable[[], Config],
        tell: Callable[[BufferStats, list[dict[str, str]]], None],
        skip: Callable[[str, int, Position], None],
        *,
        create: bool = False,
    ) -> None:
        super().__init__(name="housekeeping", daemon=True)
        self._url = url
        self._config = config
        self._tell = tell
        self._skip = skip
        self._create = create
        self._stop_asked = threading.Event()
        self._trouble = ""
        self._known: dict[int, str] = {}  # the id of each part of the buffer

    def stop(self) -> None:
        """End after the present round."""
        self._stop_asked.set()

    def run(self) -> None:
        """Do a round each second."""
        buffer: Buffer | None = None
        while not self._stop_asked.wait(PERIOD):
            try:
                buffer = buffer or open_buffer(self._url, create=self._create)
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
        each = [self._with_every_pump(index, buffer, part) for index, part in enumerate(parts)]
        stats, runners = each[0] if len(parts) == 1 else buffer.stats(), buffer.runners()
        self._tell(stats, runners)
        for part, before in zip(parts, each, strict=True):
            until = time.monotonic() + TRIM_SPAN / len(parts)
            while not before.is_young and time.monotonic() < until and part.trim():
                pass
        orphans = set(stats.cursors) - set(self._config().pumps) - pumps_of(runners)
        for index, (part, before) in enumerate(zip(parts, each, strict=True)):
            if _nearly_full(before) and _nearly_full(now := part.stats()):
                self._make_room(index, part, now, orphans)

    def _with_every_pump(self, index: int, buffer: Buffer, part: Buffer) -> BufferStats:
        """Return the state of a part, after making sure that it knows every pump: it may have been made anew."""
        config, stats = self._config(), part.stats()
        missing = [name for name in config.enabled_pumps if name not in stats.cursors]
        known, self._known[index] = self._known.get(index, stats.buffer_id), stats.buffer_id
        if not missing and known == stats.buffer_id:
            return stats
        log.warning("the buffer was made anew, or somebody dropped a cursor: every pump is there again, at the oldest")
        for name in missing:
            part.register(name)
        if config.buffer.max_bytes is not None:
            buffer.set_max_bytes(config.buffer.max_bytes)
        return part.stats()

    def _make_room(self, index: int, part: Buffer, stats: BufferStats, orphans: Collection[str]) -> None:
        """Move pumps ahead that may be: orphans, and if that makes no room, those that are not required as well.

        What another runner configures is that runner's to move.
        """
        configured = self._config().pumps
        optional = [name for name in stats.cursors if name in configured and not configured[name].required]
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


def _nearly_full(stats: BufferStats) -> bool:
    return bool(stats.max_bytes) and stats.size_bytes > NEARLY_FULL * stats.max_bytes
