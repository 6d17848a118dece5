"""The connection to the buffer: it opens, appends, backs off, and says once when something changes."""

import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from pumpkit.errors import BufferConfigError, BufferFull, BufferUnavailable, Unconfirmed
from pumpkit.reporter.log_lines import log
from pumpkit.reporter.settings import Log, Settings

if TYPE_CHECKING:
    from pumpkit.buffers.base import Gap

#: Frames that one append carries at most.
APPEND_FRAMES = 16

#: Seconds to the next attempt: the first, the longest, and while the buffer cannot work as configured.
_FIRST_RETRY = 0.1
_LONGEST_RETRY = 5.0
_CONFIG_RETRY = 30.0

#: Seconds that an append gets at least, however long connecting took.
_LEAST = 0.05

#: Failures in a row after which the connection is made anew.
_RECONNECT_AFTER = 3


class Failed(Exception):
    """An append did not succeed. The link has said why, and knows when to try again."""


class Link:
    """Appends frames to a buffer that `open_log` connects to, within so many seconds.

    `clock` returns seconds that only go forward.
    """

    def __init__(self, settings: Settings, open_log: Callable[[float], Log], clock: Callable[[], float]) -> None:
        #: Why the buffer does not take frames now, None while it does; and why it last did not.
        self.trouble: str | None = None
        self.last_error: str | None = None
        #: Whether an append is in flight, and how long the last one took, in seconds.
        self.asking = False
        self.append_seconds: float | None = None
        #: Bytes of the frames that the buffer has confirmed.
        self.sent_bytes = 0
        #: When the next attempt is due, by the clock; since when the buffer has been away; and when it last came back.
        self.retry_at = clock()
        self.down_since = self.up_since = 0.0
        self._open_log = open_log
        self._settings = settings
        self._clock = clock
        self._jitter = random.Random()  # our own: the application may have seeded the common one
        self._log: Log | None = None
        self._failures = 0
        self._kind = ""

    @property
    def may_forget(self) -> bool:
        """Whether the buffer may lose frames that it has confirmed."""
        return self._log is not None and self._log.may_forget

    def append(self, frames: list[bytes], timeout: float, accept_gap: bool = False) -> "Gap | None":
        """Append frames of one producer, within `timeout` seconds, connecting included.

        See `pumpkit.buffers.base.Buffer.append`.
        Raises Failed, and nothing else.
        """
        self.asking = True
        began = time.monotonic()
        try:
            if self._log is None:
                self._log = self._open_log(timeout)
                timeout = max(_LEAST, timeout - (time.monotonic() - began))
            gap = self._log.append(frames, accept_gap=accept_gap, timeout=timeout, confirm=self._settings.confirm)
        except Exception as error:  # whatever a driver raises, the frames are kept and repeated
            self._failed(error)
            raise Failed(self.trouble) from error
        finally:
            self.asking = False
            self.append_seconds = time.monotonic() - began
        if gap is None:
            self.sent_bytes += sum(map(len, frames))
            self._succeeded()
        return gap

    def retry_now(self) -> None:
        """Let the next attempt be due, however long the pause was to be."""
        self.retry_at = self._clock()

    def close(self) -> None:
        """Close the connection; the next append opens another. A Buffer that was given stays its giver's."""
        connection, self._log = self._log, None
        if connection is None or connection is self._settings.buffer:
            return
        try:
            connection.close()
        except Exception as error:
            log.error("closing the buffer: %s: %s", type(error).__name__, error)

    def _succeeded(self) -> None:
        now = self._clock()
        before, self.trouble = self.trouble, None
        self._failures = 0
        self.retry_at = now
        if before is not None:
            self.up_since = now
            log.warning("the buffer takes records again, after %.1f s", now - self.down_since)

    def _failed(self, error: Exception) -> None:
        now = self._clock()
        kind = _kind(error)
        is_news = self.trouble is None or kind != self._kind
        if self.trouble is None:
            self.down_since = now
        self._kind = kind
        self.trouble = self.last_error = f"{kind}: {error}"
        self._failures += 1
        pause = min(_LONGEST_RETRY, _FIRST_RETRY * 2 ** min(self._failures - 1, 10))
        if isinstance(error, BufferConfigError):
            pause = _CONFIG_RETRY
        self.retry_at = now + pause * self._jitter.uniform(0.5, 1.0)
        if self._failures % _RECONNECT_AFTER == 0:
            self.close()
        if is_news:
            log.error("%s: %s (records are kept in memory, up to the bounds)", kind, error)


def _kind(error: Exception) -> str:
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
