"""A buffer of several streams, for more than one of them can take: each producer keeps to one of them.

Every shard is a whole buffer of its own name, in a cluster on a node of its own. What asks for a place in the log asks
a shard (`parts`): no order holds between two of them, and no transaction.
"""

import heapq
import zlib
from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar, NoReturn

from pumpkit.buffers.base import (
    BufferStats,
    Confirm,
    CursorStats,
    DeadLetter,
    Gap,
    Mark,
    Start,
    Wanted,
    together,
)
from pumpkit.buffers.drops import add
from pumpkit.buffers.drops import together as drops_together
from pumpkit.buffers.redis.buffer import RedisBuffer, SlotLock
from pumpkit.errors import BufferConfigError
from pumpkit.frames import read_header


class ShardedBuffer:
    """Several buffers as one; see `base.Buffer`."""

    can_be_shared: ClassVar = True
    may_forget: ClassVar = True

    def __init__(self, shards: Sequence[RedisBuffer]) -> None:
        self._shards = list(shards)

    def parts(self) -> list[RedisBuffer]:
        """See `base.Buffer.parts`."""
        return list(self._shards)

    def append(
        self,
        frames: Sequence[bytes],
        *,
        accept_gap: bool = False,
        timeout: float = 5.0,
        confirm: Confirm = "stored",
    ) -> Gap | None:
        """See `base.Buffer.append`."""
        if not frames:
            return None
        shard = self._shards[zlib.crc32(read_header(frames[0]).producer) % len(self._shards)]
        return shard.append(frames, accept_gap=accept_gap, timeout=timeout, confirm=confirm)

    def cursor(self, pump: str, start: Start = "oldest", *, share: str | None = None) -> NoReturn:
        """Raise BufferConfigError: a cursor is in one of the parts."""
        raise BufferConfigError(f"the buffer has {len(self._shards)} streams; open a cursor in each of its parts")

    def skip_target(self, pump: str, free_bytes: int, others: Collection[str] = ()) -> NoReturn:
        """Raise BufferConfigError: a place is in one of the parts."""
        raise BufferConfigError(f"the buffer has {len(self._shards)} streams; ask each of its parts")

    def register(self, pump: str, start: Start = "oldest") -> None:
        """See `base.Buffer.register`."""
        for shard in self._shards:
            shard.register(pump, start)

    def trim(self) -> int:
        """See `base.Buffer.trim`."""
        return sum(shard.trim() for shard in self._shards)

    def set_max_bytes(self, max_bytes: int) -> None:
        """See `base.Buffer.set_max_bytes`. Each shard gets its part of it."""
        if max_bytes < 1:
            raise ValueError(f"a size cap of {max_bytes} bytes holds nothing")
        for shard in self._shards:
            shard.set_max_bytes(-(-max_bytes // len(self._shards)))

    def set_wanted(self, pump: str, wanted: Wanted) -> None:
        """See `base.Buffer.set_wanted`."""
        for shard in self._shards:
            shard.set_wanted(pump, wanted)

    def drop_cursor(self, pump: str) -> None:
        """See `base.Buffer.drop_cursor`."""
        for shard in self._having(pump):
            shard.drop_cursor(pump)

    def rename_cursor(self, pump: str, new: str) -> None:
        """See `base.Buffer.rename_cursor`. An interrupted one can be repeated."""
        for shard in self._having(pump):
            shard.rename_cursor(pump, new)

    def _having(self, pump: str) -> list[RedisBuffer]:
        """Return the shards that know a pump: all, or what an interrupted change has left. Raises KeyError."""
        having = [shard for shard in self._shards if pump in shard.stats().cursors]
        return having or [self._shards[0]]  # which says that there is no such pump

    def dead_letters(self, pump: str, limit: int = 100, after: str | None = None) -> list[DeadLetter]:
        """See `base.Buffer.dead_letters`."""
        letters = [shard.letters(pump) for shard in self._shards]
        place = None
        if after is not None:
            found = [one for one in (of_shard.place(after) for of_shard in letters) if one is not None]
            if not found:
                return letters[0].page(limit, after)  # which says that there is no such letter
            place = found[0]
        pages = [of_shard.after(limit, place) for of_shard in letters]
        return list(heapq.merge(*pages, key=lambda letter: (letter.position, letter.id)))[:limit]

    def mark(self, pump: str, mark: Mark, ids: Sequence[str] | None = None) -> int:
        """See `base.Buffer.mark`."""
        return sum(shard.mark(pump, mark, ids) for shard in self._shards)

    def stats(self) -> BufferStats:
        """See `base.Buffer.stats`. The position of a cursor is the least of its shards'."""
        each = [shard.stats() for shard in self._shards]
        drops: dict[str, int] = {}
        cursors: dict[str, list[CursorStats]] = {}
        for stats in each:
            drops = add(drops, stats.drops)
            for name, cursor in stats.cursors.items():
                cursors.setdefault(name, []).append(cursor)
        return BufferStats(
            buffer_id=each[0].buffer_id,
            location=each[0].location,
            size_bytes=sum(stats.size_bytes for stats in each),
            max_bytes=sum(stats.max_bytes for stats in each),
            frames=sum(stats.frames for stats in each),
            stored=sum(stats.stored for stats in each),
            lost=sum(stats.lost for stats in each),
            drops=drops,
            producers=sorted((one for stats in each for one in stats.producers), key=lambda one: one.producer),
            cursors={name: together(of_shards) for name, of_shards in cursors.items()},
            is_young=any(stats.is_young for stats in each),
            drops_by_host=drops_together(row for stats in each for row in stats.drops_by_host),
        )

    def runner_lock(self, holder: Mapping[str, str], slot: str = "") -> SlotLock:
        """See `base.Buffer.runner_lock`."""
        return self._shards[0].runner_lock(holder, slot)

    def runner(self) -> dict[str, str] | None:
        """See `base.Buffer.runner`."""
        return self._shards[0].runner()

    def runners(self) -> list[dict[str, str]]:
        """See `base.Buffer.runners`."""
        return self._shards[0].runners()

    def close(self) -> None:
        """See `base.Buffer.close`."""
        for shard in self._shards:
            shard.close()
