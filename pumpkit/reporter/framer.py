"""From records in memory to frames: what packs, numbers and rejects. Used by one thread at a time."""

import time
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

from pumpkit import frames
from pumpkit.errors import Unpackable
from pumpkit.ids import new_producer
from pumpkit.reporter import common
from pumpkit.reporter.log_lines import log
from pumpkit.reporter.settings import Settings
from pumpkit.values import Packed, RecordPacker, as_map

#: Records packed in one call: the interpreter lock is held that long, about half a millisecond.
SLICE = 500

#: Records in the first call of several, before it is known how large they are; and bytes that one call aims at.
_FIRST_SLICE = SLICE // 8
_SLICE_BYTES = 256 << 10

#: Raw bytes of a frame; one run of records more may be in it.
_FRAME_BYTES = 1 << 20

#: Seconds to sleep between slices: long enough for a waiting application thread to take the interpreter lock.
_BREATH = 50e-6

#: Different complaints about records that are logged; everything is counted.
_MAX_COMPLAINTS = 100


class Frame(NamedTuple):
    """A frame that waits for its confirmation, and how many records were taken before those in it."""

    first: int
    total: int
    data: bytes
    before: int = 0


class _Run(NamedTuple):
    """Packed records. Once they are in a frame, at least the first `through` taken ones are in one, or rejected."""

    blob: bytes
    number: int
    through: int


class Framer:
    """Takes records from a queue and makes frames of them, under a producer of its own."""

    def __init__(self, queue: deque[Any], settings: Settings, codec: int) -> None:
        self._queue = queue
        self.producer = new_producer()
        #: Records taken from the queue, and how many of them were rejected, by cause.
        self.taken = 0
        self.rejected = {"unpackable": 0, "too-large": 0}
        #: The totals of drops that the last frame carried.
        self.told: dict[str, int] = {}
        self._next_seq = 0
        self._source = settings.source
        self._common = common.of_process(settings.common)
        self._codec = codec
        self._packer = RecordPacker(settings.max_record_bytes)
        self._slice_bytes = min(_SLICE_BYTES, settings.max_record_bytes) // 2
        self._pressed = settings.records_buffer_size // 2
        self._fields = settings.fields
        self._detail = _detail_fields() if settings.omit_detailed else ()
        self._runs: deque[_Run] = deque()  # packed and not yet in a frame
        self._framed = 0
        self._records = self._bytes = 0  # what is in the runs
        self._complaints: set[str] = set()

    @property
    def waiting(self) -> int:
        """How many records are not in a frame yet."""
        return len(self._queue) + self._records

    @property
    def framed(self) -> int:
        """How many of the taken records are before the first that is neither in a frame nor rejected."""
        return self._framed if self._runs else self.taken

    def next_frame(self, drops: Mapping[str, int]) -> Frame | None:
        """Return a frame of what waits, up to 2,000 records and about 1 MiB; None if nothing does."""
        self.fill()
        runs: list[_Run] = []
        count = size = 0
        for run in self._runs:
            if runs and (count + run.number > frames.MAX_RECORDS or size + len(run.blob) > _FRAME_BYTES):
                break
            runs.append(run)
            count += run.number
            size += len(run.blob)
        if not runs:
            return None
        frame = self._frame([(run.blob, run.number) for run in runs], count, drops)
        for run in runs:
            self._runs.popleft()
            self._framed = run.through
        self._records -= count
        self._bytes -= size
        return frame

    def drops_frame(self, drops: Mapping[str, int]) -> Frame:
        """Return a frame without records, which only carries the drops."""
        return self._frame([], 0, drops)

    def question(self, first: int | None = None) -> Frame:
        """Return a frame without records or news: the answer to it says whether the buffer has all before `first`.

        None stands for the next record.
        """
        first = self._next_seq if first is None else first
        created_ms = time.time_ns() // 1_000_000
        data = frames.pack_frame(
            producer=self.producer, first=first, runs=[], created_ms=created_ms, source=self._source, codec=frames.RAW
        )
        return Frame(first, 0, data)

    def _frame(self, runs: list[tuple[bytes, int]], count: int, drops: Mapping[str, int]) -> Frame:
        told = {cause: total for cause, total in {**drops, **self.rejected}.items() if total}
        data = frames.pack_frame(
            producer=self.producer,
            first=self._next_seq,
            runs=runs,
            created_ms=time.time_ns() // 1_000_000,
            source=self._source,
            codec=self._codec,
            drops=told,
            common=self._common,
        )
        frame = Frame(self._next_seq, count, data, self.framed)
        self._next_seq += count
        self.told = told
        return frame

    def fill(self) -> None:
        """Pack what is in the queue now, in slices, until a frame is full."""
        left = len(self._queue)
        most = _FIRST_SLICE
        while left > 0 and self._records < frames.MAX_RECORDS and self._bytes < _FRAME_BYTES:
            records = self._take(min(most, left, frames.MAX_RECORDS - self._records))
            packed = self.pack(records)
            size = sum(len(blob) for blob, _ in packed.runs)
            start = self.taken - len(records)
            if not self._runs:
                self._framed = start
            self._runs += [_Run(blob, number, start) for blob, number in packed.runs[:-1]]
            self._runs += [_Run(blob, number, self.taken) for blob, number in packed.runs[-1:]]
            self._records += len(records) - len(packed.rejected)
            self._bytes += size
            for error in packed.rejected:
                self._reject(error)
            most = max(1, min(SLICE, 2 * most, self._slice_bytes * len(records) // max(size, 1)))
            left = min(left - len(records), len(self._queue))
            if 0 < left < self._pressed:
                time.sleep(_BREATH)

    def _take(self, most: int) -> list[Any]:
        records: list[Any] = []
        wanted = min(most, len(self._queue))
        self.taken += wanted  # before they leave the queue, so that whoever asks never sees less than there is
        try:
            while len(records) < wanted:
                records.append(self._queue.popleft())
        except IndexError:  # an overflowing application thread dropped the oldest meanwhile
            self.taken -= wanted - len(records)
        return records

    def pack(self, records: list[Any]) -> Packed:
        """Pack what may leave the process of records. Raises nothing."""
        try:
            shown = [self._shown(record) for record in records] if self._fields or self._detail else records
            return self._packer.pack(shown)
        except BaseException as error:  # such as SystemExit, from code of the record's own
            if len(records) == 1:
                return Packed([], [Unpackable(f"packing it raised {type(error).__name__}: {error}")])
        each = [self.pack([record]) for record in records]
        return Packed([run for one in each for run in one.runs], [error for one in each for error in one.rejected])

    def _shown(self, record: object) -> object:
        """Return what may leave the process of a record, as a map of its own."""
        try:
            fields = as_map(record)
        except Exception:  # the packer meets the same and says what is wrong
            return record
        if self._fields is not None:
            fields = {name: fields[name] for name in self._fields if name in fields}
        for name in self._detail:
            if name in fields:
                fields[name] = ""
        return fields

    def _reject(self, error: Unpackable) -> None:
        self.rejected[error.cause] += 1
        complaint = error.cause if error.cause == "too-large" else ":".join(str(error).split(":", 2)[:2])
        if complaint not in self._complaints and len(self._complaints) < _MAX_COMPLAINTS:
            self._complaints.add(complaint)
            log.error(
                "a record was dropped as %s: %s (counted; further ones like it are not logged)", error.cause, error
            )


def _detail_fields() -> tuple[str, ...]:
    from pumpkit.records import DETAIL_FIELDS  # here, because it loads attrs

    return DETAIL_FIELDS


def best_codec() -> int:
    """Return the codec for this installation: raw frames where zstandard is missing."""
    try:
        import zstandard  # noqa: F401
    except ImportError:
        return frames.RAW
    return frames.ZSTD
