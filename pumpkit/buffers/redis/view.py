"""The state of the log and its pumps at one moment, read by one script; then producers, of which there may be many."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from pumpkit.buffers.base import BufferStats, CursorStats, HostDrops, Position, Wanted
from pumpkit.buffers.drops import add, complete, later, total
from pumpkit.buffers.redis.link import Argument
from pumpkit.buffers.redis.log import Log, by_host, named, producers

#: Microseconds for which a log is young.
_YOUNG = 60_000_000

#: How often to look for a moment in which no reporter dropped anything.
_LOOKS = 5

_COUNTS = (b"delivered", b"filtered", b"dead", b"skipped", b"redelivered")


class View(NamedTuple):
    """What the server said."""

    buffer_id: str
    meta: dict[bytes, bytes]
    frames: int
    rows: dict[bytes, bytes]  # of producers
    pumps: dict[str, CursorStats]
    is_young: bool
    dropped: list[HostDrops]  # as they were with these rows

    def number(self, name: str) -> int:
        """Return a number of the log's."""
        return int(self.meta.get(name.encode(), 0))

    def stats(self, location: str) -> BufferStats:
        """Return what everybody is told."""
        known = producers(self.rows)
        drops: dict[str, int] = json.loads(self.meta[b"drops"])
        for producer in known:
            drops = add(drops, producer.drops)
        return BufferStats(
            buffer_id=self.buffer_id,
            location=location,
            size_bytes=self.number("bytes") - self.number("trimmed_bytes"),
            max_bytes=self.number("max_bytes"),
            frames=self.frames,
            stored=self.number("stored"),
            lost=self.number("lost"),
            drops=later(drops, total(self.dropped)),  # which was read after the producers
            producers=known,
            cursors=self.pumps,
            is_young=self.is_young,
            drops_by_host=complete(self.dropped, drops),
        )


def look(log: Log, pumps: Sequence[str] = (), *, with_producers: bool = False) -> View:
    """Look at the log, at all pumps or at those named; a log that is gone is made again first."""
    keys = log.keys
    arguments: list[Argument] = [keys.pump_prefix, keys.dead_prefix, *pumps]
    looks = _LOOKS
    while True:
        answer = log.link.call("stats", [keys.log, keys.meta, keys.pumps], arguments)
        if answer[0] != b"ok":
            log.make()
            continue
        _, meta, frames, states, age = answer
        known = named(meta)
        rows = log.rows() if with_producers else {}
        latest = named(log.link.command("HGETALL", keys.meta)) if rows else known
        dropped = by_host(latest)
        looks -= 1
        is_same = all(latest.get(name) == known[name] for name in (b"id", b"drops"))
        if is_same and (looks <= 0 or dropped == by_host(known)):
            break  # else some of them were folded, or dropped more, meanwhile
    buffer_id = known[b"id"].decode()
    found = {}
    for name, state, letters, oldest in states:
        found[name.decode()] = _standing(name.decode(), named(state), known, letters, oldest)
    return View(buffer_id, known, frames, rows, found, int(age) < _YOUNG, dropped)


def _standing(name: str, row: dict[bytes, bytes], meta: dict[bytes, bytes], letters: int, oldest: bytes) -> CursorStats:
    """Return a pump's place and ledger. In a log made anew it is about to begin again."""
    stored = int(meta[b"stored"])
    position: Position
    if row[b"id"] == meta[b"id"]:
        began = int(row[b"began"])
        delivered, filtered, dead, skipped, redelivered = (int(row.get(name, 0)) for name in _COUNTS)
        position = min(int(row[b"position"]), int(row[b"floor"]))
    else:
        began, position = int(meta[b"trimmed"]), int(meta[b"trimmed_to"])
        delivered = filtered = dead = skipped = redelivered = 0
    lag = stored - began - delivered - filtered - dead - skipped
    wanted: Wanted = "pause" if row.get(b"wanted") == b"pause" else "run"
    return CursorStats(
        pump=name,
        position=position,
        began=began,
        delivered=delivered,
        filtered=filtered,
        dead=dead,
        skipped=skipped,
        redelivered=redelivered,
        lag=lag,
        oldest_ms=int(oldest) if oldest and lag else None,
        wanted=wanted,
        dead_letters=letters,
        dead_bytes=int(row.get(b"dead_bytes", 0)),
    )


def state(answer: Any) -> str:
    """Return the word that a script begins its answer with."""
    word: bytes = answer[0]
    return word.decode()
