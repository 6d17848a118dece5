"""The resend window: frames that the buffer has confirmed, kept for a while in case it forgets them.

A Redis that crashes or fails over may come back as it was some moments ago. Frames are numbered, so it says so with
its next answer (`Gap`), and what is still here can be sent again, as the same bytes and under the same ids.
"""

from collections import deque

from pumpkit.reporter.framer import Frame


class Window:
    """Confirmed frames, oldest first: those of the last `seconds`, and `max_bytes` at most.

    A frame is let go only by an answer that comes `seconds` after its own: as long as there is none, nobody knows
    what the buffer will have forgotten once it answers again. No seconds keep nothing.
    """

    def __init__(self, seconds: float, max_bytes: int) -> None:
        #: Bytes of the frames in it.
        self.size = 0
        self._seconds = seconds
        self._max_bytes = max_bytes if seconds > 0 else 0
        self._frames: deque[tuple[float, Frame]] = deque()  # with the time of its confirmation

    def __bool__(self) -> bool:
        return bool(self._frames)

    def keep(self, frames: list[Frame], now: float) -> None:
        """Keep frames that were confirmed just now, if they carry records."""
        for frame in frames:
            if frame.total:
                self._frames.append((now, frame))
                self.size += len(frame.data)
        while self.size > self._max_bytes:
            self._drop_oldest()

    def expire(self, now: float) -> None:
        """Let go of frames that are old enough, because the buffer has answered just now and misses nothing."""
        while self._frames and self._frames[0][0] + self._seconds <= now:
            self._drop_oldest()

    def take_back(self, next_seq: int) -> list[Frame]:
        """Take out and return, in order, the frames that a buffer does not have if it expects `next_seq`."""
        back: list[Frame] = []
        while self._frames and self._frames[-1][1].first >= next_seq:
            _, frame = self._frames.pop()
            self.size -= len(frame.data)
            back.append(frame)
        back.reverse()
        return back

    def clear(self) -> None:
        """Let go of everything."""
        self._frames.clear()
        self.size = 0

    def _drop_oldest(self) -> None:
        _, frame = self._frames.popleft()
        self.size -= len(frame.data)
