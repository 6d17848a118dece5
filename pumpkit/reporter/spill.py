"""The spill file: a local buffer that takes frames while the buffer itself is away.

It is an embedded buffer like any other, so what it has confirmed survives a crash, with the same numbers and ids. The
reporters of a user that report to the same buffer share one file; whoever finds the buffer back sends on what is in it,
whosever it is. The buffer knows what it has, so what is sent on again after a crash in between is not doubled.
"""

import contextlib
import hashlib
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pumpkit import frames
from pumpkit.errors import BufferBusy
from pumpkit.reporter import buffer_url, process
from pumpkit.reporter.framer import Frame
from pumpkit.reporter.link import APPEND_FRAMES, Failed
from pumpkit.reporter.log_lines import log

if TYPE_CHECKING:
    from pumpkit.buffers.base import Buffer, BufferStats, Counts, Cursor, Delivery, Position

#: The cursor that sends on.
_CURSOR = "spill"

#: Records and bytes that are sent on at a time.
_RECORDS = 32_000
_BYTES = 4 << 20

#: Seconds that a write to the file may take, and until a file that could not be used is tried again.
_TIMEOUT = 1.0
_AGAIN = 5.0

#: Seconds between looks for what other processes have left in the file, and for the end of their sending on of ours.
_LOOK = 5.0
_LOOK_FOR_MINE = 0.2

#: Seconds within which two writes may leave a file with the same time; file systems have such clocks.
_COARSE = 2

#: Appends frames of one producer to the buffer, told whether it is this reporter's; returns whether they are there.
#: Raises Failed.
Append = Callable[[list[Frame], bool], bool]


def file_for(url: str | None, folder: str | None) -> Path:
    """Return the file that stands in for a buffer, named after its URL (without the password)."""
    from pumpkit.buffers import registry

    name = hashlib.sha256(registry.shown(url or buffer_url.default()).encode()).hexdigest()[:16]
    return Path(folder or registry.state_folder() / "spill", f"{name}.db")


class Spill:
    """A reporter's way into a spill file and out of it. `clock` returns seconds that only go forward."""

    def __init__(self, file: Path, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        #: How many records of this reporter are in it and not sent on, as far as is known here.
        self.mine = 0
        #: The number of the first of them, and the one after the last that ever was in it.
        self.first = self.next_seq = 0
        #: How many were lost because somebody removed the file.
        self.lost = 0
        self._file = file
        self._max_bytes = max_bytes
        self._clock = clock
        self._buffer: Buffer | None = None
        self._cursor: Cursor | None = None
        self._trouble = ""
        self._usable_at = self._look_at = clock()
        self._told: dict[str, dict[str, int]] = {}  # drops of other producers that the buffer knows of
        self._id = ""  # of the buffer that has ours
        self._seen: list[tuple[int, int]] | None = []  # how the file looked when it was empty: it need not be there
        self._bounded = False  # the size of what is open

    def put(self, kept: list[Frame]) -> bool:
        """Store frames of this reporter, in order; return whether they are in the file now. Raises nothing."""
        if self._clock() < self._usable_at:
            return False
        try:
            buffer = self._open()
            if not self._bounded:  # not by those who only look: it changes the file
                buffer.set_max_bytes(self._max_bytes)
                self._bounded = True
            if not self.mine:
                self._id = buffer.stats().buffer_id
            buffer.append([frame.data for frame in kept], accept_gap=True, timeout=_TIMEOUT)
        except Exception as error:
            self._failed(error)
            return False
        if self._trouble:
            log.warning("the spill file takes records again")
            self._trouble = ""
        total = sum(frame.total for frame in kept)
        if total and not self.mine:
            self.first = kept[0].first
            log.warning("records are spilled into %s, because the buffer is away", self._file)
        self.mine += total
        self.next_seq = max(self.next_seq, kept[-1].first + kept[-1].total)
        return True

    def send_on(self, append: Append, producer: bytes) -> None:
        """Send on a little of what is in the file, if it is time to look. `producer` is this reporter's.

        Raises Failed if the buffer does.
        """
        now = self._clock()
        if now < self._look_at or now < self._usable_at:
            return
        self._look_at = now + (_LOOK_FOR_MINE if self.mine else _LOOK)
        if not self.mine and self._state() == self._seen:
            return
        try:
            self._send_on(append, producer)
        except Failed:
            self.close()  # another process may try
            raise
        except BufferBusy:  # another process is at it
            return
        except Exception as error:
            self._failed(error)

    def look_now(self) -> None:
        """Let it be time to look."""
        self._look_at = self._clock()

    def close(self) -> None:
        """Close the file. Raises nothing."""
        for resource in (self._cursor, self._buffer):
            if resource is not None:
                with contextlib.suppress(Exception):
                    resource.close()
        self._cursor = self._buffer = None
        self._bounded = False

    def _open(self) -> "Buffer":
        if self._buffer is None:
            with process.importing():
                from pumpkit.buffers import open_buffer
            self._buffer = open_buffer(f"sqlite:///{self._file}")
        return self._buffer

    def _send_on(self, append: Append, producer: bytes) -> None:
        buffer = self._open()
        if self._cursor is None:
            self._cursor = buffer.cursor(_CURSOR)
        deliveries = self._cursor.fetch(_RECORDS, _BYTES)
        for position, group, whose in _groups(deliveries):
            mine = whose == producer
            if not append(group, mine):
                return
            total = sum(frame.total for frame in group)
            self._cursor.commit(position, _delivered(total))
            if mine:
                self.mine -= total
                self.first = group[-1].first + group[-1].total
        if deliveries:
            self.look_now()  # there may be more
            return
        stats = buffer.stats()
        self._tell_drops(stats, append, producer)
        while buffer.trim():
            pass
        self.close()  # others may have their turn
        self._look_back()
        if self.mine and stats.buffer_id != self._id:
            log.error("the spill file %s was removed, and %d records that were in it are lost", self._file, self.mine)
            self.lost += self.mine
        self.mine = 0  # else others have sent them on

    def _tell_drops(self, stats: "BufferStats", append: Append, producer: bytes) -> None:
        """Tell the buffer what other producers have dropped: a frame that only carries drops is not stored."""
        for one in stats.producers:
            if one.producer == producer.hex() or not one.drops or self._told.get(one.producer) == one.drops:
                continue
            farewell = frames.pack_frame(
                producer=bytes.fromhex(one.producer),
                first=one.next_seq,
                runs=[],
                created_ms=time.time_ns() // 1_000_000,
                source=one.source,
                codec=frames.RAW,
                drops=one.drops,
            )
            if append([Frame(one.next_seq, 0, farewell)], False):
                self._told[one.producer] = one.drops

    def _state(self) -> list[tuple[int, int]]:
        """Return what changes whenever somebody puts something into the file; nothing if there is none."""
        found = []
        for file in (self._file, self._file.with_name(self._file.name + "-wal")):
            with contextlib.suppress(OSError):
                state = file.stat()
                found.append((state.st_mtime_ns, state.st_size))
        return found

    def _look_back(self) -> None:
        """Remember how the empty file looks, unless it was written so lately that another write may look the same."""
        seen = self._state()
        lately = time.time_ns() - _COARSE * 1_000_000_000
        self._seen = seen if all(changed < lately for changed, _ in seen) else None

    def _failed(self, error: Exception) -> None:
        self._usable_at = self._clock() + _AGAIN
        trouble = type(error).__name__
        if trouble != self._trouble:
            log.error("the spill file %s cannot be used: %s", self._file, error)
        self._trouble = trouble
        self.close()


def _groups(deliveries: "list[Delivery]") -> "Iterator[tuple[Position, list[Frame], bytes]]":
    """Yield what can be appended at once: a few frames in a row of one producer, with the last one's position."""
    headers = [(frames.read_header(one.frame), one) for one in deliveries]
    for producer, group in itertools.groupby(headers, key=lambda pair: pair[0].producer):
        several = list(group)
        for start in range(0, len(several), APPEND_FRAMES):
            some = several[start : start + APPEND_FRAMES]
            yield some[-1][1].position, [Frame(header.first, one.total, one.frame) for header, one in some], producer


def _delivered(total: int) -> "Counts":
    from pumpkit.buffers.base import Counts

    return Counts(delivered=total)
