"""Records in hand: the frames of a fetch taken apart, their records numbered through, on their way to the sink.

A record keeps its number as long as its frame is in hand, so what is known of it (accepted, suspect) stays true when
a later fetch joins. The functions are the steps of a record's way; each does what its name says to some numbers.
"""

import bisect
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import attrs

from pumpkit import frames
from pumpkit.buffers import Delivery
from pumpkit.buffers.base import Counts, DeadLetter, Part, Position
from pumpkit.deliver import Dead, Kind
from pumpkit.errors import BadFrame, FrameTooNew
from pumpkit.hookspecs import Predicate, Record, Records, Shorten
from pumpkit.ids import record_ids
from pumpkit.values import pack_record


@attrs.define
class Slot:
    """One frame in hand; its records have the numbers `start` to `stop - 1`. Without ids none could be read."""

    delivery: Delivery
    start: int
    ids: list[str] = attrs.field(factory=list)
    filtered: int = 0
    dead: list[DeadLetter] = attrs.field(factory=list)

    @property
    def stop(self) -> int:
        """The number after its last record."""
        return self.start + self.delivery.total

    def counts(self) -> Counts:
        """Return what became of its records, once none is live."""
        dead = sum(letter.records for letter in self.dead)
        total = self.delivery.total
        return Counts(total - self.filtered - dead, self.filtered, dead, total if self.delivery.redelivered else 0)


@attrs.define
class Batch:
    """The frames in hand. `records[n - start]` is record n, None once a failed write had it; `live` are undecided."""

    start: int
    slots: list[Slot] = attrs.field(factory=list)
    records: list[Record | None] = attrs.field(factory=list)
    live: Sequence[int] = ()
    plugin: str = ""  # whose steps and sink these records are for
    _opened: tuple[Slot, list[Record | None]] | None = attrs.field(default=None, init=False, repr=False)

    @property
    def stop(self) -> int:
        """The number after the last record."""
        return self.slots[-1].stop if self.slots else self.start

    @property
    def first(self) -> Position | None:
        """The position of the first frame, None without one."""
        return self.slots[0].delivery.position if self.slots else None

    @property
    def through(self) -> Position | None:
        """The position of the last frame, None without one."""
        return self.slots[-1].delivery.position if self.slots else None

    def join(self, later: "Batch") -> None:
        """Take a later fetch in hand too."""
        self.slots += later.slots
        self.records += later.records
        self.live = later.live if not self.live else [*self.live, *later.live]

    def slot(self, number: int) -> Slot:
        """Return the frame that a number belongs to."""
        return self.slots[bisect.bisect_right(self.slots, number, key=lambda slot: slot.start) - 1]

    def part(self, first: int, last: int) -> tuple[tuple[Position, int], tuple[Position, int]]:
        """Return two numbers as (position, index in the frame)."""
        a, b = self.slot(first), self.slot(last)
        return (a.delivery.position, first - a.start), (b.delivery.position, last - b.start)

    def ids(self, numbers: Sequence[int]) -> list[str]:
        """Return record ids."""
        if len(self.slots) == 1:
            ids = self.slots[0].ids
        else:
            ids = []
            for slot in self.slots:
                ids += slot.ids or [""] * slot.delivery.total
        if _in_a_row(numbers):
            return ids[numbers[0] - self.start : numbers[-1] + 1 - self.start]
        return [ids[number - self.start] for number in numbers]

    def settled(self) -> list[Slot]:
        """Return the frames, from the first on, none of whose records is live."""
        if not self.live:
            return self.slots
        first = min(self.live)
        return [slot for slot in self.slots if slot.stop <= first]

    def original(self, number: int) -> Record:
        """Return a record as it came, whatever a sink did to it. The frame it is in stays at hand for the next one."""
        slot = self.slot(number)
        if self._opened is None or self._opened[0] is not slot:
            self._opened = (slot, _open(attrs.evolve(slot))[0])
        record = self._opened[1][number - slot.start]
        if record is None:
            raise ValueError(f"record {number} cannot be decoded")
        fresh: Record = _fresh(record)
        return fresh

    def drop(self, slots: Sequence[Slot]) -> None:
        """Let go of these frames, the first ones in hand."""
        self._opened = None
        if len(slots) == len(self.slots):
            self.start, self.slots, self.records, self.live = self.stop, [], [], ()
        elif slots:
            del self.records[: slots[-1].stop - self.start]
            del self.slots[: len(slots)]
            self.start = self.slots[0].start


def _fresh(value: Any) -> Any:
    """Return a copy of a wire value, its own at every depth."""
    if isinstance(value, list):
        return [_fresh(inner) for inner in value]
    if isinstance(value, dict):
        return {key: _fresh(inner) for key, inner in value.items()}
    return value


def decode(deliveries: Sequence[Delivery], start: int, buffer_id: str, sources: Collection[str] = ()) -> Batch:
    """Take frames apart. A bad frame or record becomes a dead letter; a frame of another source is filtered whole.

    A frame of a later version ends the batch; if it is the first, FrameTooNew is raised.
    """
    batch = Batch(start)
    live: list[Sequence[int]] = []
    for delivery in deliveries:
        slot = Slot(delivery, batch.stop)
        records: list[Record | None] = [None] * delivery.total
        try:
            if sources and frames.read_header(delivery.frame).source not in sources:
                slot.filtered = delivery.total
            else:
                records, good = _open(slot)
                live.append(good)
        except FrameTooNew:
            if not batch.slots:
                raise
            break
        except BadFrame as error:
            slot.ids = []
            dead = _letter(slot, f"{buffer_id}:{delivery.position}", "bad-frame", str(error), 0, delivery.frame)
            slot.dead = [dead._replace(records=delivery.total)]
        batch.slots.append(slot)
        batch.records += records
    batch.live = live[0] if len(live) == 1 else [number for numbers in live for number in numbers]
    return batch


def _open(slot: Slot) -> tuple[list[Record | None], Sequence[int]]:
    """Return a frame's records, None for bad ones, and the numbers of the good ones."""
    content = frames.decode(slot.delivery.frame)
    header = content.header
    if header.total != slot.delivery.total:
        raise BadFrame(f"{header.total} records in the frame, {slot.delivery.total} in the log")
    slot.ids = record_ids(header.producer, header.first, header.total)
    records: list[Record | None] = list(content.records)
    if header.common:
        records = [header.common | record for record in content.records]
    if not content.bad:
        return records, range(slot.start, slot.stop)
    slot.dead = [_letter(slot, slot.ids[i], "bad-frame", f"bad record: {why}", 0, raw) for i, why, raw in content.bad]
    spread: list[Record | None] = [None] * header.total
    for index, record in zip(content.indexes, records, strict=True):
        spread[index] = record
    return spread, [slot.start + index for index in content.indexes]


def without(batch: Batch, parts: Iterable[Part]) -> None:
    """Take what the sink has accepted before, in another worker, out of the live records."""
    starts = {slot.delivery.position: slot.start for slot in batch.slots}
    accepted = {
        starts[part.position] + index
        for part in parts
        if part.position in starts
        for index in range(part.first, part.last + 1)
    }
    if accepted:
        batch.live = [number for number in batch.live if number not in accepted]


def select(batch: Batch, numbers: Sequence[int], wanted: Predicate | None) -> list[int]:
    """Return which records the pump wants, and count the others. One whose predicate raises becomes a dead letter."""
    if wanted is None:
        return list(numbers)
    keep = []
    for number, record in zip(numbers, take(batch, numbers, None), strict=True):
        try:
            answer = bool(wanted(record))
        except (Exception, SystemExit) as error:
            bury(batch, Dead(number, "filter", f"filters: {type(error).__name__}: {error}"))
            continue
        if answer:
            keep.append(number)
        else:
            batch.slot(number).filtered += 1
    return keep


def shorten(batch: Batch, numbers: Sequence[int], look: Shorten | None) -> list[int]:
    """Give records the look that the sink is to see. One that cannot be given it becomes a dead letter."""
    if look is None:
        return list(numbers)
    keep = []
    for number, record in zip(numbers, take(batch, numbers, None), strict=True):
        try:
            batch.records[number - batch.start] = _looking(record, look)
        except (Exception, SystemExit) as error:
            bury(batch, Dead(number, "filter", f"omit_detail: {type(error).__name__}: {error}"))
            continue
        keep.append(number)
    return keep


def take(batch: Batch, numbers: Sequence[int], look: Shorten | None) -> Records:
    """Return records, in order. Those that a failed write had are decoded again and given their look again."""
    start = batch.start
    if _in_a_row(numbers):
        records = batch.records[numbers[0] - start : numbers[-1] + 1 - start]
    else:
        records = [batch.records[number - start] for number in numbers]
    if None not in records:
        return records  # type: ignore[return-value]  # no None among them
    fresh = _decoded_again(batch, [n for n, record in zip(numbers, records, strict=True) if record is None], look)
    return [fresh[n] if record is None else record for n, record in zip(numbers, records, strict=True)]


def _in_a_row(numbers: Sequence[int]) -> bool:
    """Return whether numbers, which ascend, are all that lie between the first and the last of them."""
    return bool(numbers) and numbers[-1] - numbers[0] + 1 == len(numbers)


def forget(batch: Batch, numbers: Sequence[int]) -> None:
    """Forget records that a failed write had: they were the sink's to change."""
    for number in numbers:
        batch.records[number - batch.start] = None


def bury(batch: Batch, dead: Dead, plugin: str = "", look: Shorten | None = None) -> None:
    """Make a dead letter of a record, as the sink was to get it: decoded again, so that good ones pay nothing."""
    slot = batch.slot(dead.number)
    try:
        blob = pack_record(_looking(batch.original(dead.number), look))
    except Exception:  # its look is what it died of, or cannot be kept
        blob = pack_record(batch.original(dead.number))
    id_ = slot.ids[dead.number - slot.start]
    slot.dead.append(_letter(slot, id_, dead.kind, dead.reason, dead.attempts, blob, plugin or batch.plugin))


def _looking(record: Record, look: Shorten | None) -> Record:
    """Return a record with its look; a plugin may have a say in it, so the answer is checked."""
    if look is None:
        return record
    seen = look(record)
    if not isinstance(seen, dict):
        raise TypeError(f"a record became {type(seen).__name__}")
    return seen


def _decoded_again(batch: Batch, numbers: Iterable[int], look: Shorten | None) -> dict[int, Record]:
    return {number: _looking(batch.original(number), look) for number in numbers}


def _by_slot(batch: Batch, numbers: Iterable[int]) -> Iterator[tuple[Slot, list[int]]]:
    groups: dict[int, tuple[Slot, list[int]]] = {}
    for number in numbers:
        slot = batch.slot(number)
        groups.setdefault(slot.start, (slot, []))[1].append(number)
    yield from groups.values()


def runs(batch: Batch, numbers: Iterable[int]) -> list[Part]:
    """Return records as parts: runs within their frames."""
    parts: list[Part] = []
    for slot, inside in _by_slot(batch, sorted(numbers)):
        position = slot.delivery.position
        for number in inside:
            index = number - slot.start
            if parts and parts[-1].position == position and parts[-1].last == index - 1:
                parts[-1] = parts[-1]._replace(last=index)
            else:
                parts.append(Part(position, index, index))
    return parts


def _letter(slot: Slot, id_: str, kind: Kind, why: str, attempts: int, blob: bytes, plugin: str = "") -> DeadLetter:
    now = time.time_ns() // 1_000_000
    why = why[:2_000].encode(errors="backslashreplace").decode()  # a reason may quote what no database takes as text
    return DeadLetter(id_, slot.delivery.position, now, kind, why, attempts, plugin, blob)
