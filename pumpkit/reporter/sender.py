"""From frames to the buffer: what packs when, sends, repeats and spills. Used by one thread at a time, starts none.

One append is in flight, and the same bytes are repeated until it is answered: the buffer knows what it has, so a
lost answer doubles nothing. Confirmed frames stay in a window for a while if the buffer may forget them; what it then
misses is pending again. What is in the spill file comes before what is pending, for the buffer takes frames in order.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pumpkit.frames import MAX_RECORDS
from pumpkit.reporter import process
from pumpkit.reporter.framer import Frame, Framer, best_codec
from pumpkit.reporter.link import APPEND_FRAMES, Failed, Link
from pumpkit.reporter.log_lines import log
from pumpkit.reporter.reentrant import Tally
from pumpkit.reporter.settings import Log, Settings
from pumpkit.reporter.spill import Spill, open_spill
from pumpkit.reporter.window import Window

if TYPE_CHECKING:
    from pumpkit.buffers.base import Gap

#: Seconds that one append may take, and gets even after the deadline. The queue is not emptied meanwhile.
_TIMEOUT = 1.0
_LEAST = 0.05

#: Bytes that one append carries at most.
_APPEND_BYTES = 4 << 20

#: Bytes of the bound that are left to the frame being built and to the one that is over it.
_BEING_BUILT = 3 << 20

#: Seconds between looks at the queue, and the records that one should find: packed before they leave the processor's
#: cache they cost least, and so do the next ones, which the application builds in their place. A half-full queue rings.
_SHORTEST_PAUSE = 0.005
_LONGEST_PAUSE = 0.2
_FOUND = 250

#: Seconds without an answer after which the buffer is asked whether it still has what is in the window.
_ASK = 1.0

#: Seconds that the buffer may be away before frames are spilled; sooner if memory is half full.
_SPILL_AFTER = 1.0

#: Seconds without a drop after which dropping is over.
_CALM = 30.0


class Sender:
    """Sends what is in a queue; `open_log` and `clock` are those of `Link`."""

    def __init__(
        self,
        queue: deque[Any],
        settings: Settings,
        open_log: Callable[[float], Log],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        #: Records dropped by the application side: the queue was full, or the reporter was stopped.
        self.full = Tally()
        self.unsent = Tally()
        #: Records that the sample left out.
        self.sampled = Tally()
        #: How often a record was confirmed: more than once if the buffer forgot it in between.
        self.confirmations = 0
        #: How many records the buffer was handed at least once.
        self.sent = 0
        #: Frames that were packed and not confirmed, oldest first.
        self.pending: deque[Frame] = deque()
        self.pending_bytes = 0
        #: Frames that were confirmed and may have to be sent again, and how many records had to be.
        self.window = Window(settings.resend_window, min(settings.resend_bytes, settings.buffer_bytes // 2))
        self.resent = 0
        self.link = Link(settings, open_log, clock)
        self._settings = settings
        self._clock = clock
        self._spill: Spill | None = None
        self._framer: Framer | None = None
        self._frames_bound = settings.buffer_bytes - min(_BEING_BUILT, settings.buffer_bytes // 4)
        self._frame_size = max(1, min(MAX_RECORDS, settings.records_buffer_size // 2))
        self._since = self._added = 0.0  # nothing in the queue is older; when the last frame was made
        self._look = _LONGEST_PAUSE
        self._ask_at = 0.0
        self._deadline: float | None = None
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
    def queued(self) -> int:
        """How many records are not in a frame yet."""
        return self._framer.waiting if self._framer else len(self._queue)

    @property
    def spilled(self) -> int:
        """How many records are in the spill file, and not sent on as far as is known."""
        return self._spill.mine if self._spill else 0

    @property
    def sent_bytes(self) -> int:
        """Bytes of the frames that the buffer has confirmed."""
        return self.link.sent_bytes

    @property
    def _lost(self) -> int:
        """How many records were in a spill file that somebody removed."""
        return self._spill.lost if self._spill else 0

    @property
    def confirmed(self) -> int:
        """How many records the buffer has. It goes back when the buffer turns out to have forgotten some."""
        return self.confirmations - self.resent

    @property
    def settled(self) -> int:
        """How many of the taken records are before the first that is still in memory; it goes back as `confirmed`."""
        if self._framer is None:
            return 0
        return self.pending[0].before if self.pending else self._framer.framed

    @property
    def in_memory(self) -> int:
        """How many records are neither confirmed nor spilled nor dropped."""
        rejected = sum(self._framer.rejected.values()) if self._framer else 0
        return len(self._queue) + self.taken - self.confirmed - self.spilled - self._lost - rejected

    def drops(self) -> dict[str, int]:
        """Return how many records were dropped since the producer began, by cause."""
        rejected = self._framer.rejected if self._framer else {}
        totals = {"full": self.full.read(), "unsent": self.unsent.read() + self._lost, **rejected}
        return {cause: total for cause, total in totals.items() if total}

    @property
    def idle(self) -> bool:
        """Whether nothing is left to pack or to send."""
        return not (self._queue or self.pending or (self._framer and self._framer.waiting))

    # Sending ------------------------------------------------------------------------------------------------

    def turn(self, hurry: bool = False, timeout: float | None = None) -> float:
        """Pack what is due, or all in a hurry; append once; return the seconds until the next turn.

        `timeout` is in seconds, for all that is asked of the buffer and the spill file together.
        """
        now = self._clock()
        self._deadline = None if timeout is None else now + timeout
        before = self.taken
        self._pack(now, hurry)
        packed = self.taken - before
        if now >= self.link.retry_at:
            if self._sendable:
                self._append()
            elif now >= self._ask_at and self._curious and not hurry:
                self._ask()
            self._send_on()
        self._spill_over(hurry)
        self._watch_drops(now)
        return self._pause(packed)

    def retry_now(self) -> None:
        """Make the next turn try, however long the pause was to be."""
        self.link.retry_now()
        if self._spill is not None:
            self._spill.look_now()

    def finish(self, timeout: float) -> None:
        """Spill what could not be sent; tell the buffer of drops it does not know of; disconnect.

        If the answer is that it has forgotten something, that is sent again. `timeout` is in seconds, for everything.
        """
        self._deadline = self._clock() + timeout
        self._spill_rest(self._deadline)
        framer = self._framer
        if not self.pending and self.drops() != (framer.told if framer else {}):
            self._add(self._ready().drops_frame(self.drops()))
            if not self.spilled:
                self._append()
            while self._sendable and self.link.trouble is None and self._clock() < self._deadline:
                self._append()
            self._spill_over(hurry=True)
        self.window.clear()
        self.link.close()
        if self._spill is not None:
            self._spill.close()

    def _timeout(self) -> float:
        """Return the seconds that what is asked next may take."""
        left = _TIMEOUT if self._deadline is None else self._deadline - self._clock()
        return max(_LEAST, min(_TIMEOUT, left))

    def _ready(self) -> Framer:
        if self._framer is None:
            with process.importing():
                codec = best_codec()
            if self._settings.overflow == "spill":
                self._spill = open_spill(self._settings, self.link, self._clock)
            self._framer = Framer(self._queue, self._settings, codec)
            self._since = self._added = self._clock()
        return self._framer

    def _pack(self, now: float, hurry: bool) -> None:
        """Pack records, and make frames of them while these are due and there is room for them."""
        framer = self._ready()
        interval = self._settings.flush_interval
        due = hurry or (not self.pending and now - self._since >= interval)
        goal = framer.taken + len(self._queue) if due else 0  # what comes meanwhile waits for its own time
        if not framer.waiting:
            self._since = now
        if not due and self._room and len(self._queue) >= _FOUND // 2:
            framer.fill()
        for _ in range(APPEND_FRAMES):
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
        return self.pending_bytes + self.window.size < self._frames_bound

    def _add(self, frame: Frame) -> None:
        self._added = self._clock()
        self.pending.append(frame)
        self.pending_bytes += len(frame.data)

    @property
    def _curious(self) -> bool:
        """Whether there is a question to the buffer: whether it still has everything, or is back."""
        return bool(self.window or self.link.trouble)

    @property
    def _sendable(self) -> bool:
        """Whether the oldest pending frame may be sent now: what is in the spill file comes before younger ones."""
        return bool(self.pending) and not (self._spill and self._spill.holds_up(self.pending[0]))

    def _append(self) -> None:
        """Send what is pending, some frames at a time."""
        kept: list[Frame] = []
        size = 0
        for frame in self.pending:
            size += len(frame.data)
            if kept and (len(kept) == APPEND_FRAMES or size > _APPEND_BYTES):
                break
            if self._spill and self._spill.holds_up(frame):
                break
            kept.append(frame)
        if not self._send(kept):
            return
        for frame in kept:
            self.pending.popleft()
            self.pending_bytes -= len(frame.data)
            self.confirmations += frame.total

    def _ask(self) -> None:
        """Ask the buffer whether it has all that is neither spilled nor in memory, by a frame without records."""
        first = self._spill.first if self._spill and self._spill.mine else None
        self._send([self._ready().question(first)])

    def _send(self, kept: list[Frame]) -> bool:
        """Append frames of this reporter; return whether the buffer has them now. Raises nothing."""
        self.sent = max(self.sent, kept[-1].first + kept[-1].total)
        try:
            gap = self.link.append([frame.data for frame in kept], self._timeout(), self._accept_gap)
        except Failed:
            return False
        self._accept_gap = False
        if gap is not None:
            self._fill(gap, kept[0])
            return False
        now = self._clock()
        self._ask_at = now + _ASK
        self.window.expire(now)
        if self.link.may_forget:
            self.window.keep(kept, now)
        return True

    def _fill(self, gap: "Gap", sent: Frame) -> None:
        """Make the frames pending again that the buffer has forgotten; go on without those that are gone."""
        back = self.window.take_back(gap.next_seq)
        self.pending.extendleft(reversed(back))
        self.pending_bytes += sum(len(frame.data) for frame in back)
        again = sum(frame.total for frame in back)
        self.resent += again
        self._ready().told = {}  # that is forgotten too
        if back:
            log.warning("the buffer has forgotten records that it had confirmed: sending %d of them again", again)
        missing = (back[0] if back else sent).first - gap.next_seq
        self._accept_gap = missing > 0 or not back
        if self._accept_gap:
            log.error("the buffer has lost %d records that it had confirmed; was it recreated?", missing)

    # The spill file -----------------------------------------------------------------------------------------

    def _spill_over(self, hurry: bool, at_once: bool = False) -> int:
        """Move frames into the spill file if the buffer has been away for some time, or there is none to wait.

        Whether it is away or not if that has to be `at_once`. Return how many frames were moved.
        """
        spill = self._spill
        if spill is None or not self.pending:
            return 0
        away = self.link.trouble is not None
        pressed = hurry or self.pending_bytes > self._frames_bound // 2
        long_away = away and self._clock() - self.link.down_since >= _SPILL_AFTER
        if not (at_once or long_away or (pressed and (away or spill.mine))):
            return 0
        moved = 0
        while True:
            frames = list(self.pending)
            start = sum(frame.first < spill.next_seq for frame in frames)  # older ones would be taken for known ones
            some = frames[start : start + APPEND_FRAMES]
            if not some or not spill.put(some, self._timeout()):
                return moved
            self.pending = deque(frames[:start] + frames[start + len(some) :])
            self.pending_bytes -= sum(len(frame.data) for frame in some)
            moved += len(some)
            if not hurry:
                return moved

    def _spill_rest(self, deadline: float) -> None:
        """Move all that waits by now into the spill file, if there is time: a slow buffer is as bad as none."""
        goal = self.taken + len(self._queue)
        while self._spill and not self.idle and self.settled < goal and self._clock() < deadline:
            self._pack(self._clock(), hurry=True)
            if not self._spill_over(hurry=True, at_once=True):
                break

    def _send_on(self) -> None:
        """Send on some of what is in the spill file, whosever it is, if the buffer takes it."""
        spill = self._spill
        if spill is None or self._clock() < self.link.retry_at:  # an append has failed just now
            return
        before = spill.mine
        spill.send_on(self._ready().producer, self._send, self._confirm, self._timeout())
        if before and not spill.mine:  # it does not send on drops: tell of them, and see whether the buffer is back
            self._add(self._ready().drops_frame(self.drops()))

    def _confirm(self, records: int) -> None:
        self.confirmations += records

    # Pace ---------------------------------------------------------------------------------------------------

    def _pause(self, packed: int) -> float:
        now = self._clock()
        waiting = self._ready().waiting
        if (self._sendable and now >= self.link.retry_at) or (waiting >= self._frame_size and self._room):
            return 0.0
        self._look = max(_SHORTEST_PAUSE, min(_LONGEST_PAUSE, self._look * min(2.0, _FOUND / max(packed, 1))))
        pause = min(self._look, max(_SHORTEST_PAUSE, self._settings.flush_interval))
        if self._spill and self._spill.has_more and now >= self.link.retry_at:
            pause = min(pause, _SHORTEST_PAUSE)
        if self._sendable:
            pause = min(pause, self.link.retry_at - now)
        elif waiting and not self.pending:  # else nothing becomes due: what is pending waits for the spill file
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
