"""From frames to the buffer: what sends, repeats, backs off and says so. Used by one thread at a time, starts none.

One append is in flight, and the same bytes are repeated until it is answered: the buffer knows what it has, so a
lost answer doubles nothing. Confirmed frames stay in a window for a while if the buffer may forget them; what it then
misses is pending again.
"""

import logging
import random
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pumpkit.errors import BufferConfigError, BufferFull, BufferUnavailable, Unconfirmed
from pumpkit.frames import MAX_RECORDS
from pumpkit.reporter import process
from pumpkit.reporter.framer import SLICE, Frame, Framer, best_codec
from pumpkit.reporter.reentrant import Tally
from pumpkit.reporter.settings import Log, Settings
from pumpkit.reporter.window import Window

if TYPE_CHECKING:
    from pumpkit.buffers.base import Gap

#: Seconds that one append may take. The queue is not emptied meanwhile.
APPEND_TIMEOUT = 1.0

#: Frames and bytes that one append carries at most.
_APPEND_FRAMES = 16
_APPEND_BYTES = 4 << 20

#: Seconds between looks at the queue, while it is filling fast and while it is not.
_BUSY = 0.005
_IDLE = 0.05

#: Seconds to the next attempt: the first, the longest, and while the buffer cannot work as configured.
_FIRST_RETRY = 0.1
_LONGEST_RETRY = 5.0
_CONFIG_RETRY = 30.0

#: Seconds without an answer after which the buffer is asked whether it still has what is in the window.
_ASK = 1.0

#: Failures in a row after which the connection is made anew.
_RECONNECT_AFTER = 3

#: Seconds without a drop after which dropping is over.
_CALM = 30.0

log = logging.getLogger("pumpkit.reporter")


class Sender:
    """Sends what is in a queue. `open_log` connects to the buffer; `clock` returns seconds that only go forward."""

    def __init__(
        self,
        queue: deque[Any],
        settings: Settings,
        open_log: Callable[[], Log],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        #: Records dropped by the application side: the queue was full, or the reporter was stopped.
        self.full = Tally()
        self.unsent = Tally()
        self.confirmed = 0
        #: Frames that were packed and not confirmed, oldest first.
        self.pending: deque[Frame] = deque()
        self.pending_bytes = 0
        #: Frames that were confirmed and may have to be sent again, and how many records were.
        self.window = Window(settings.resend_window, min(settings.resend_bytes, settings.buffer_bytes // 2))
        self.resent = 0
        #: Why the buffer does not take frames now; None while it does.
        self.trouble: str | None = None
        #: Whether an append is in flight.
        self.asking = False
        self._settings = settings
        self._open_log = open_log
        self._clock = clock
        self._log: Log | None = None
        self._framer: Framer | None = None
        self._frame_size = max(1, min(MAX_RECORDS, settings.records_buffer_size // 2))
        self._since = self._added = 0.0  # nothing in the queue is older; when the last frame was made
        self._poll = _IDLE
        self._failures = 0
        self._kind = ""
        self._down_since = 0.0
        self._retry_at = clock()
        self._ask_at = 0.0
        self._accept_gap = False
        self._dropped = 0
        self._drops_until: float | None = None

    # What became of records ---------------------------------------------------------------------------------

    @property
    def producer(self) -> bytes | None:
        """The producer that the frames are numbered under, None before the first."""
        return self._framer.producer if self._framer else None

    @property
    def taken(self) -> int:
        """How many records were taken from the queue."""
        return self._framer.taken if self._framer else 0

    @property
    def settled(self) -> int:
        """How many of the taken records are confirmed or rejected. They settle in order.

        It goes back when the buffer turns out to have forgotten some.
        """
        return self.confirmed + (sum(self._framer.rejected.values()) if self._framer else 0)

    @property
    def in_memory(self) -> int:
        """How many records are neither confirmed nor dropped."""
        return len(self._queue) + self.taken - self.settled

    def drops(self) -> dict[str, int]:
        """Return how many records were dropped since the producer began, by cause."""
        rejected = self._framer.rejected if self._framer else {}
        totals = {"full": self.full.read(), "unsent": self.unsent.read(), **rejected}
        return {cause: total for cause, total in totals.items() if total}

    @property
    def idle(self) -> bool:
        """Whether nothing is left to pack or to send."""
        return not (self._queue or self.pending or (self._framer and self._framer.waiting))

    # Sending ------------------------------------------------------------------------------------------------

    def turn(self, hurry: bool = False, timeout: float = APPEND_TIMEOUT) -> float:
        """Pack what is due, or all in a hurry; append once; return the seconds until the next turn.

        `timeout` is in seconds, for the append.
        """
        now = self._clock()
        before = self.taken
        self._pack(now, hurry)
        if self.pending and now >= self._retry_at:
            self._append(timeout)
        elif self.window and not self.pending and not hurry and now >= max(self._ask_at, self._retry_at):
            self._ask(timeout)
        self._watch_drops(now)
        return self._pause(self.taken - before)

    def retry_now(self) -> None:
        """Make the next turn try, however long the pause was to be."""
        self._retry_at = self._clock()

    def finish(self, timeout: float) -> None:
        """Tell the buffer of drops it does not know of, with a frame without records; then disconnect.

        If the answer is that it has forgotten something, that is sent again, for as long as `timeout` (seconds) allows.
        """
        framer = self._framer
        if not self.pending and self.drops() != (framer.told if framer else {}):
            deadline = self._clock() + timeout
            self._add(self._ready().drops_frame(self.drops()))
            self._append(timeout)
            while self.pending and self.trouble is None and (left := deadline - self._clock()) > 0:
                self._append(left)
        self.window.clear()
        self._disconnect()

    def _ready(self) -> Framer:
        if self._framer is None:
            with process.importing():
                codec = best_codec()
            self._framer = Framer(self._queue, self._settings, codec)
            self._since = self._added = self._clock()
        return self._framer

    def _pack(self, now: float, hurry: bool) -> None:
        """Move records into frames while these are due and there is room for them."""
        framer = self._ready()
        interval = self._settings.flush_interval
        due = hurry or (not self.pending and now - self._since >= interval)
        goal = framer.taken + len(self._queue) if due else 0  # what comes meanwhile waits for its own time
        if not framer.waiting:
            self._since = now
        for _ in range(_APPEND_FRAMES):
            if not self._room or (framer.framed >= goal and framer.waiting < self._frame_size):
                break
            frame = framer.next_frame(self.drops())
            if frame is None:  # all of them were rejected
                break
            self._add(frame)
            self._since = now
        if not self.pending and (hurry or now - self._added >= interval) and self.drops() != framer.told:
            self._add(framer.drops_frame(self.drops()))

    @property
    def _room(self) -> bool:
        return self.pending_bytes + self.window.size < self._settings.buffer_bytes

    def _add(self, frame: Frame) -> None:
        self._added = self._clock()
        self.pending.append(frame)
        self.pending_bytes += len(frame.data)

    def _append(self, timeout: float) -> None:
        """Send what is pending, some frames at a time."""
        frames: list[Frame] = []
        size = 0
        for frame in self.pending:
            size += len(frame.data)
            if frames and (len(frames) == _APPEND_FRAMES or size > _APPEND_BYTES):
                break
            frames.append(frame)
        if not self._send(frames, timeout):
            return
        for frame in frames:
            self.pending.popleft()
            self.pending_bytes -= len(frame.data)
            self.confirmed += frame.total
        if self._log is not None and self._log.may_forget:
            self.window.keep(frames, self._clock())

    def _ask(self, timeout: float) -> None:
        """Ask the buffer whether it still has what is in the window, by a frame without records."""
        drops = self.drops()
        framer = self._ready()
        if drops == framer.told:  # else a frame that tells of them, and must not be lost, will soon ask as well
            self._send([framer.drops_frame(drops)], timeout)

    def _send(self, frames: list[Frame], timeout: float) -> bool:
        """Append frames; return whether the buffer has them now. Raises nothing."""
        self.asking = True
        try:
            if self._log is None:
                self._log = self._open_log()
            gap = self._log.append(
                [frame.data for frame in frames],
                accept_gap=self._accept_gap,
                timeout=timeout,
                confirm=self._settings.confirm,
            )
        except Exception as error:  # whatever a driver raises, the frames are kept and repeated
            self._failed(error)
            return False
        finally:
            self.asking = False
        self._accept_gap = False
        if gap is not None:
            self._fill(gap, frames[0])
            return False
        now = self._clock()
        if self.trouble is not None:
            log.warning("the buffer takes records again, after %.1f s", now - self._down_since)
        self.trouble = None
        self._failures = 0
        self._retry_at = now
        self._ask_at = now + _ASK
        self.window.expire(now)
        return True

    def _fill(self, gap: "Gap", sent: Frame) -> None:
        """Make the frames pending again that the buffer has forgotten; go on without those that are gone."""
        back = self.window.take_back(gap.next_seq)
        self.pending.extendleft(reversed(back))
        self.pending_bytes += sum(len(frame.data) for frame in back)
        again = sum(frame.total for frame in back)
        self.confirmed -= again
        self.resent += again
        self._ready().told = {}  # that is forgotten too
        if back:
            log.warning("the buffer has forgotten records that it had confirmed: sending %d of them again", again)
        missing = (back[0] if back else sent).first - gap.next_seq
        self._accept_gap = missing > 0 or not back
        if self._accept_gap:
            log.error("the buffer has lost %d records that it had confirmed; was it recreated?", missing)

    def _failed(self, error: Exception) -> None:
        now = self._clock()
        kind = _trouble(error)
        if self.trouble is None:
            self._down_since = now
        if self.trouble is None or kind != self._kind:
            log.error("%s: %s (records are kept in memory, up to the bounds)", kind, error)
        self._kind = kind
        self.trouble = f"{kind}: {error}"
        self._failures += 1
        pause = min(_LONGEST_RETRY, _FIRST_RETRY * 2 ** min(self._failures - 1, 10))
        if isinstance(error, BufferConfigError):
            pause = _CONFIG_RETRY
        self._retry_at = now + pause * random.uniform(0.5, 1.0)
        if self._failures % _RECONNECT_AFTER == 0:
            self._disconnect()

    def _disconnect(self) -> None:
        """Close the connection; the next append opens another. A Buffer that was given stays its giver's."""
        connection, self._log = self._log, None
        if connection is None or connection is self._settings.buffer:
            return
        try:
            connection.close()
        except Exception as error:
            log.error("closing the buffer: %s: %s", type(error).__name__, error)

    # Pace ---------------------------------------------------------------------------------------------------

    def _pause(self, packed: int) -> float:
        now = self._clock()
        waiting = self._ready().waiting
        if (self.pending and now >= self._retry_at) or (waiting >= self._frame_size and self._room):
            return 0.0
        idle = max(_BUSY, min(_IDLE, self._settings.flush_interval))
        self._poll = _BUSY if packed >= SLICE else min(2 * self._poll, idle)
        pause = self._poll
        if self.pending:
            pause = min(pause, self._retry_at - now)
        elif waiting:
            pause = min(pause, self._since + self._settings.flush_interval - now)
        return max(pause, 0.0)

    def _watch_drops(self, now: float) -> None:
        """Log when records begin to be dropped for want of room, and when that is over."""
        dropped = self.full.read()
        if dropped > self._dropped:
            if self._drops_until is None:
                most, policy = self._settings.records_buffer_size, self._settings.overflow
                log.error("more than %d records wait: dropping and counting (overflow=%r)", most, policy)
            self._drops_until = now + _CALM
        elif self._drops_until is not None and now >= self._drops_until:
            log.warning("records are not dropped any more; %d were so far", dropped)
            self._drops_until = None
        self._dropped = dropped


def _trouble(error: Exception) -> str:
    """Return which trouble it is; a new line is logged only when this changes."""
    match error:
        case BufferConfigError():
            return "the buffer cannot work as configured"
        case BufferFull():
            return "the buffer is full"
        case Unconfirmed():
            return "the buffer does not confirm"
        case BufferUnavailable():
            return "the buffer is away"
    return f"the buffer raised {type(error).__name__}"
