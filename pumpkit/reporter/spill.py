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
from pumpkit.errors import BufferBusy, BufferFull
from pumpkit.reporter import buffer_url, process
from pumpkit.reporter.framer import Frame
from pumpkit.reporter.link import APPEND_FRAMES, Failed, Link
from pumpkit.reporter.log_lines import log
from pumpkit.reporter.settings import Settings

if TYPE_CHECKING:
    from pumpkit.buffers.base import Buffer, BufferStats, Counts, Cursor, Delivery, Position, ProducerStats

#: The cursor that sends on.
_CURSOR = "spill"

#: Records and bytes that are sent on at a time, and the seconds after which the queue is looked at in between.
_RECORDS = 32_000
_BYTES = 4 << 20
_TURN = 0.25

#: Seconds that asking something of the file gets at least, and until one that could not be used is tried again.
_LEAST = 0.05
_AGAIN = 5.0

#: Seconds between looks for what other processes have left in the file, and for the end of their sending on of ours.
_LOOK = 5.0
_LOOK_FOR_MINE = 0.2

#: Seconds that another process has to send what the buffer has forgotten again; it asks once the buffer is back.
_GRACE = 10.0

#: Seconds within which two writes may leave a file with the same time; file systems have such clocks.
_COARSE = 2

#: Stands among the drops of a producer in the file: the sum of those that the buffer was told of.
_TOLD = "told"

#: Appends frames of this reporter to the buffer; returns whether they are there.
Send = Callable[[list[Frame]], bool]


def file_for(url: str | None, folder: str | None) -> Path:
    """Return the file that stands in for a buffer, named after its URL (without the password).

    It is also named after the version of frames: after a return to an older pumpkit, which cannot read what a newer one
    has left, that waits in a file of its own and holds nobody up. A newer one has to send on the files of older ones
    too. Raises RuntimeError where there is no home folder.
    """
    from pumpkit.buffers import registry

    name = hashlib.sha256(registry.shown(url or buffer_url.default()).encode()).hexdigest()[:16]
    return Path(folder or registry.state_folder() / "spill", f"{name}-v{frames.VERSION}.db")


def open_spill(settings: Settings, link: Link, clock: Callable[[], float]) -> "Spill | None":
    """Return a reporter's way into its spill file; None, which is logged, if it is not known where that would be."""
    try:
        with process.importing():
            file = file_for(settings.buffer if isinstance(settings.buffer, str) else None, settings.spill_folder)
    except Exception as error:
        log.error("records cannot be spilled, and wait in memory only: %s", error)
        return None
    return Spill(file, settings.spill_bytes, link, clock)


class Spill:
    """A reporter's way into a spill file and out of it, to the buffer of `link`.

    `clock` returns seconds that only go forward.
    """

    def __init__(self, file: Path, max_bytes: int, link: Link, clock: Callable[[], float] = time.monotonic) -> None:
        #: How many records of this reporter are in it and not sent on, as far as is known here.
        self.mine = 0
        #: The number of the first of them, and the one after the last that ever was in it.
        self.first = self.next_seq = 0
        #: How many were lost because somebody removed the file.
        self.lost = 0
        #: Whether more is to be sent on at once.
        self.has_more = False
        self._file = file
        self._max_bytes = max_bytes
        self._link = link
        self._clock = clock
        self._buffer: Buffer | None = None
        self._cursor: Cursor | None = None
        self._trouble = ""
        self._usable_at = self._look_at = self._room_at = clock()
        self._id = ""  # of the buffer that has ours
        self._seen: list[tuple[int, int]] | None = []  # how the file looked when it was empty: it need not be there
        self._gap_since: float | None = None  # the buffer lacks what other processes may have

    def holds_up(self, frame: Frame) -> bool:
        """Whether a frame has to wait, because older ones of this reporter are in the file."""
        return self.mine > 0 and frame.first >= self.first

    def put(self, kept: list[Frame], timeout: float) -> bool:
        """Store frames of this reporter, in order; return whether they are in the file now. Raises nothing."""
        deadline = self._clock() + timeout
        if self._clock() < max(self._usable_at, self._room_at):
            return False
        try:
            buffer = self._open(timeout)
            self._prepare(buffer)
            left = max(_LEAST, deadline - self._clock())
            buffer.append([frame.data for frame in kept], accept_gap=True, timeout=left)
        except BufferFull as error:  # which is no reason not to send on
            self._room_at = self._clock() + _AGAIN
            self._say(error)
            return False
        except Exception as error:
            self._failed(error)
            return False
        if self._trouble:
            log.warning("the spill file takes records again")
            self._trouble = ""
        total = sum(frame.total for frame in kept)
        if total and not self.mine:
            self.first = kept[0].first
            log.warning("records are spilled into %s until the buffer takes them", self._file)
        self.mine += total
        self.next_seq = max(self.next_seq, kept[-1].first + kept[-1].total)
        return True

    def send_on(self, producer: bytes, send: Send, sent_on: Callable[[int], None], timeout: float) -> None:
        """Send on a little of what is in the file, if it is time to look. Raises nothing.

        `producer` is this reporter's; its frames go through `send`. `sent_on` is called with how many of its records
        the buffer turns out to have. `timeout` is in seconds, for each append.
        """
        now = self._clock()
        self.has_more = False
        if now < self._look_at or now < self._usable_at:
            return
        self._look_at = now + (_LOOK_FOR_MINE if self.mine else _LOOK)
        if not self.mine and self._cursor is None and self._state() == self._seen:
            return
        try:
            self.has_more = self._send_on(producer, send, sent_on, timeout)
        except Failed:
            self.close()  # another process may try
        except BufferBusy:  # another process is at it
            pass
        except Exception as error:
            self._failed(error)
        if self.has_more:
            self.look_now()

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

    def _open(self, timeout: float) -> "Buffer":
        if self._buffer is None:
            url = f"sqlite:///{self._file}"
            with process.importing():
                from pumpkit.buffers import registry

                driver = registry.driver(url)
            self._buffer = driver.open(url, create=True, timeout=timeout)
        return self._buffer

    def _prepare(self, buffer: "Buffer") -> None:
        """See to the size of the file, and to which file it is. Only those who put something there change it."""
        stats = buffer.stats()
        if stats.max_bytes != self._max_bytes:
            buffer.set_max_bytes(self._max_bytes)
        self._notice_removal(stats)
        self._id = stats.buffer_id

    def _notice_removal(self, stats: "BufferStats") -> None:
        if self.mine and stats.buffer_id != self._id:
            log.error("the spill file %s was removed, and %d records that were in it are lost", self._file, self.mine)
            lost, self.mine = self.mine, 0
            self.lost += lost

    def _send_on(self, producer: bytes, send: Send, sent_on: Callable[[int], None], timeout: float) -> bool:
        """Send on for a moment; return whether there is more that the buffer takes."""
        until = self._clock() + min(_TURN, timeout)
        buffer = self._open(timeout)
        if self._cursor is None:
            self._cursor = buffer.cursor(_CURSOR)
        deliveries = self._cursor.fetch(_RECORDS, _BYTES)
        for position, group, whose in _groups(deliveries):
            mine = whose == producer
            if not (send(group) if mine else self._append_others(group, timeout)):
                self.close()  # another process may try
                return False
            total = sum(frame.total for frame in group)
            self._cursor.commit(position, _delivered(total))
            if mine:
                self.first = group[-1].first + group[-1].total
                self.mine -= total
                sent_on(total)
            if self._clock() >= until:
                break
        if deliveries:
            buffer.trim()
            self._room_at = self._clock()
            return True
        stats = buffer.stats()
        if not self._tell_drops(buffer, stats, producer, timeout, until):
            return True
        while buffer.trim():
            pass
        self._gap_since = None
        self.close()  # others may have their turn
        self._look_back()
        self._notice_removal(stats)
        by_others, self.mine = self.mine, 0
        sent_on(by_others)
        return False

    def _append_others(self, group: list[Frame], timeout: float) -> bool:
        """Append frames of another process; return whether they are there.

        What the buffer lacks before them may be in the memory of that process: it has some time to send it first.
        """
        blobs = [frame.data for frame in group]
        gap = self._link.append(blobs, timeout)
        if gap is None:
            return True
        now = self._clock()
        if self._gap_since is None:
            self._gap_since = now
        if now < max(self._gap_since, self._link.up_since) + _GRACE:
            return False
        log.error("the buffer lacks %d records of another process", group[0].first - gap.next_seq)
        return self._link.append(blobs, timeout, accept_gap=True) is None

    def _tell_drops(
        self, buffer: "Buffer", stats: "BufferStats", producer: bytes, timeout: float, until: float
    ) -> bool:
        """Tell the buffer once what other producers have dropped; return False if there was no time for all of them.

        A frame that only carries drops is not stored, so it cannot be sent on as others are. A buffer that does not
        know the producer has no use for it: it has counted these drops before it forgot the producer.
        """
        for one in stats.producers:
            total = sum(number for cause, number in one.drops.items() if cause != _TOLD)
            if one.producer == producer.hex() or total == one.drops.get(_TOLD, 0):
                continue
            if self._clock() >= until:
                return False
            drops = {cause: number for cause, number in one.drops.items() if cause != _TOLD}
            self._link.append([_farewell(one, drops)], timeout)
            buffer.append([_farewell(one, {_TOLD: total})], timeout=timeout)
        return True

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
        self.close()
        self._say(error)

    def _say(self, error: Exception) -> None:
        before, self._trouble = self._trouble, type(error).__name__
        if self._trouble != before:
            log.error("the spill file %s cannot be used: %s", self._file, error)


def _groups(deliveries: "list[Delivery]") -> "Iterator[tuple[Position, list[Frame], bytes]]":
    """Yield what can be appended at once: a few frames in a row of one producer, with the last one's position."""
    headers = [(frames.read_header(one.frame), one) for one in deliveries]
    for producer, group in itertools.groupby(headers, key=lambda pair: pair[0].producer):
        several = list(group)
        for start in range(0, len(several), APPEND_FRAMES):
            some = several[start : start + APPEND_FRAMES]
            yield some[-1][1].position, [Frame(header.first, one.total, one.frame) for header, one in some], producer


def _farewell(one: "ProducerStats", drops: dict[str, int]) -> bytes:
    return frames.pack_frame(
        producer=bytes.fromhex(one.producer),
        first=one.next_seq,
        runs=[],
        created_ms=time.time_ns() // 1_000_000,
        source=one.source,
        codec=frames.RAW,
        drops=drops,
    )


def _delivered(total: int) -> "Counts":
    from pumpkit.buffers.base import Counts

    return Counts(delivered=total)
