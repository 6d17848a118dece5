"""The log of one name: producers append to it, the trimmer makes room in it, and anybody may look at it."""

import json
import operator
import os
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pumpkit import frames as wire
from pumpkit.buffers.base import Confirm, Gap, HostDrops, Position, ProducerStats
from pumpkit.buffers.drops import OTHER, PAIRS, add, later, subtract
from pumpkit.buffers.redis.confirm import Confirmation
from pumpkit.buffers.redis.keys import Keys
from pumpkit.buffers.redis.leases import Lease
from pumpkit.buffers.redis.link import Argument, Link
from pumpkit.errors import BadFrame, BufferConfigError, BufferFull, BufferMissing, BufferUnavailable, Fenced

#: The size cap of a new buffer, in bytes of frames.
MAX_BYTES = 1 << 30

#: The layout of keys and values that this version reads and writes.
FORMAT = 1

#: Entries and bytes that one trim deletes at most: the server does nothing else meanwhile.
_SLICE_ENTRIES = 256
_SLICE_BYTES = 1 << 20

#: Entries that one step of a walk over the log looks at, and producers that one step reads or forgets.
_STEP = 500

#: Milliseconds of silence after which a producer without frames is forgotten, and seconds between looks for such.
_IDLE_MS = 7 * 86_400_000
_FOLD_PERIOD = 600.0

_LARGEST = (1 << 63) - 1  # of the server's integers


class ListChanged(NamedTuple):
    """The answer to an append that was to take items off a list which does not begin with them any more."""


class Move(NamedTuple):
    """Items to take off the head of a list in the same step as an append; `lease` is what allows it."""

    key: str
    items: int
    first_item: bytes
    last_item: bytes
    lease: Lease


class Row(NamedTuple):
    """What the log knows of a producer."""

    next_seq: int
    drops: dict[str, int]
    source: str
    host: str
    pid: int
    last_ms: int

    def packed(self) -> str:
        """Return the row as it is stored; the position of the last frame is added by the server."""
        return json.dumps(list(self))


_NOBODY = Row(0, {}, "", "", 0, 0)


def read_row(stored: str) -> tuple[Row, Position]:
    """Return a producer's row and the position of its last frame."""
    if not stored:
        return _NOBODY, 0
    row, _, last = stored.rpartition("|")
    return Row(*json.loads(row)), int(last)


class Log:
    """The log, as any process sees it."""

    def __init__(self, link: Link, keys: Keys, *, create: bool, shard: int = 0) -> None:
        self.link = link
        self.keys = keys
        self._create = create
        self._shard = shard
        self._host = socket.gethostname()
        self._rows: dict[bytes, str] = {}  # of the producers that append here, as they were last seen
        self._folded_at = time.monotonic()
        self._confirmation = Confirmation(link)

    def make(self) -> None:
        """Make the log unless it is there. Raises BufferMissing if that is not wanted, BufferConfigError."""
        meta = self.link.command("HMGET", self.keys.meta, "id", "format")
        if meta[1] is not None and int(meta[1]) > FORMAT:
            raise BufferConfigError(f"{self.shown} was made by a later version of pumpkit; upgrade this one")
        if self._create:
            keys = [self.keys.log, self.keys.meta, self.keys.producers]
            self.link.call(
                "make", keys, [secrets.token_hex(16), MAX_BYTES, FORMAT, self.link.place.shards or 1, self._shard]
            )
        elif meta[0] is None or not self.link.command("EXISTS", self.keys.log):
            raise BufferMissing(self.shown)

    def shards(self) -> int:
        """Return how many shards the buffer was made with. Raises BufferConfigError if the URL says another number."""
        shards = int(self.link.command("HGET", self.keys.meta, "shards") or 1)
        said = self.link.place.shards
        if said is not None and said != shards:
            raise BufferConfigError(
                f"{self.shown} was made with shards={shards}, and the URL says {said}; write {shards}, or nothing,"
                " which takes what is there"
            )
        return shards

    @property
    def shown(self) -> str:
        """Where it is, for people."""
        return self.link.place.shown

    def append(
        self,
        frames: Sequence[bytes],
        accept_gap: bool,
        timeout: float,
        confirm: Confirm = "stored",
        move: Move | None = None,
    ) -> Gap | ListChanged | None:
        """Store frames of one producer; see `base.Buffer.append`. With `move`, they were made of items of a list."""
        headers = [wire.read_header(frame) for frame in frames]
        if len({header.producer for header in headers}) > 1:
            raise ValueError("one append takes frames of one producer")
        if not headers:
            return None
        deadline = time.monotonic() + timeout
        producer = headers[0].producer
        pairs = list(zip(headers, frames, strict=True))
        row, is_fresh = self._rows.get(producer, ""), False
        while True:
            plan = self._plan(read_row(row)[0], pairs, accept_gap)
            if move is not None and not (plan.store or plan.gap or plan.refused):
                return None  # an answer was lost: it was stored, and moved in the same step
            left = deadline - time.monotonic()
            if left <= 0:
                raise BufferUnavailable(f"{self.shown}: no answer within {timeout:g} s")
            if plan.refused or (plan.gap and not plan.passed):
                if is_fresh and plan.refused:
                    raise BadFrame(plan.refused)
                if is_fresh:
                    return plan.gap
                answer = self.link.call("row", self._log_keys, [producer], timeout=left)
            else:
                answer = self._send(producer, row, plan, confirm, move, left)
            match answer[0]:
                case b"ok":
                    return plan.gap
                case b"row":  # somebody else appended for it, an answer was lost, or nothing was known of it here
                    row, is_fresh = answer[1].decode(), True
                    self._rows[producer] = row
                case b"gone":
                    self.make()
                    self._rows.clear()
                    row, is_fresh = "", True
                case b"full":
                    raise BufferFull(f"{self.shown} is at its size cap of {int(answer[2])} bytes")
                case b"changed":
                    return ListChanged()
                case _:
                    raise Fenced(f"{self.shown}: somebody else moves this list now")

    @property
    def _log_keys(self) -> list[str]:
        return [self.keys.log, self.keys.meta, self.keys.producers]

    def _plan(self, row: Row, pairs: Sequence[tuple[wire.Header, bytes]], accept_gap: bool) -> "Plan":
        """Return what an append would do, if `row` is what the log knows."""
        next_seq, drops, lost = row.next_seq, row.drops, 0
        store: list[Argument] = []
        gap, refused, passed = None, "", 0
        for header, frame in pairs:
            if header.first > next_seq and not accept_gap:
                gap = Gap(next_seq)
                break
            drops = later(drops, header.drops)
            passed += 1
            if header.first < next_seq:
                if header.next_seq > next_seq:
                    refused = (
                        f"records {header.first} to {header.next_seq - 1} overlap the {next_seq} that the log has;"
                        " a producer repeats its frames as they were"
                    )
                    break
                continue
            lost += header.first - next_seq
            next_seq = header.next_seq
            if header.total:
                store += [frame, header.total, header.created_ms]
        new = Row(next_seq, drops, pairs[0][0].source, self._host, os.getpid(), time.time_ns() // 1_000_000)
        more = subtract(drops, row.drops)
        return Plan(new.packed(), store, lost, gap, refused, passed, json.dumps([new.host, new.source]), more)

    def _send(
        self, producer: bytes, row: str, plan: "Plan", confirm: Confirm, move: Move | None, timeout: float
    ) -> list[Any]:
        """Do what is planned, if the log knows what it was planned for."""
        keys, taken = self._log_keys, (0, b"", b"", "", "")
        if move is not None:
            keys += [move.key, self.keys.locks]
            taken = (move.items, move.first_item, move.last_item, move.lease.name, move.lease.token)
        drops: list[Argument] = [plan.pair, PAIRS, len(plan.drops)]
        for cause, more in plan.drops.items():
            drops += [json.dumps(cause), min(more, _LARGEST)]
        arguments: list[Argument] = [producer, row, plan.row, min(plan.lost, _LARGEST), *taken, *drops, *plan.store]
        answer: list[Any] = self._confirmation.call("append", keys, arguments, confirm, timeout)
        if answer[0] == b"ok":
            self._rows[producer] = answer[1].decode()
        return answer

    # Room ---------------------------------------------------------------------------------------------------------

    def trim(self) -> int:
        """Delete a slice of what every pump has passed; return how many frames."""
        keys = [self.keys.log, self.keys.meta, self.keys.pumps]
        trimmed = int(self.link.call("trim", keys, [self.keys.pump_prefix, _SLICE_ENTRIES, _SLICE_BYTES]))
        if trimmed < 0:
            self.make()
            return 0
        if not trimmed and time.monotonic() - self._folded_at >= _FOLD_PERIOD:
            self._folded_at = time.monotonic()
            self.fold()
        return trimmed

    def fold(self) -> int:
        """Forget producers that are silent for a week and have no frame left; return how many."""
        trimmed_to, before = self.link.command("HMGET", self.keys.meta, "trimmed_to", "drops")
        now, gone = time.time_ns() // 1_000_000, []
        for producer, stored in self.rows().items():
            row, last = read_row(stored.decode())
            if now - row.last_ms > _IDLE_MS and last <= int(trimmed_to or 0):
                gone.append((producer, stored, row.drops))
        for begin in range(0, len(gone), _STEP):
            drops, words = json.loads(before), []
            for producer, stored, dropped in gone[begin : begin + _STEP]:
                drops = add(drops, dropped)
                words += [producer, stored]
            after = json.dumps(drops)
            if not self.link.call("fold", [self.keys.meta, self.keys.producers], [before, after, *words]):
                return begin
            before = after
        return len(gone)

    def rows(self) -> dict[bytes, bytes]:
        """Return the rows of all producers, read bit by bit: there may be many."""
        rows: dict[bytes, bytes] = {}
        at = b"0"
        while True:
            at, found = self.link.command("HSCAN", self.keys.producers, at, "COUNT", _STEP)
            rows |= named(found)
            if int(at) == 0:
                return rows

    def reach(self, after: Position, until: Position, size: int) -> Position | None:
        """Return how far after a position, and not beyond another, frames of `size` bytes reach; None without one."""
        at, left = after, size
        more = True
        while left > 0 and more:
            words: list[Argument] = [str(at), str(until), min(left, _SLICE_BYTES), _STEP]
            last, bytes_, more = self.link.call("reach", [self.keys.log], words)
            at, left = int(last), left - int(bytes_)
        return at if at > after else None

    def set_max_bytes(self, max_bytes: int) -> None:
        """Set the size cap."""
        self.link.command("HSET", self.keys.meta, "max_bytes", max_bytes)


class Plan(NamedTuple):
    """What an append does: the producer's new row, frames to store, and what it answers."""

    row: str
    store: list[Argument]  # bytes, records and creation time of each frame
    lost: int
    gap: Gap | None
    refused: str
    passed: int  # frames before the gap
    pair: str  # host and source, as JSON
    drops: dict[str, int]  # that nobody has counted yet


def named(reply: Any) -> dict[bytes, bytes]:
    """Return a hash, however the client's protocol returns one."""
    if isinstance(reply, dict):
        return reply
    return dict(zip(reply[::2], reply[1::2], strict=True))


def producers(rows: Mapping[bytes, bytes]) -> list[ProducerStats]:
    """Return every producer that is not folded yet, in order of birth."""
    found = []
    for producer, stored in sorted(rows.items()):
        row, _ = read_row(stored.decode())
        found.append(ProducerStats(producer.hex(), row.source, row.host, row.pid, row.next_seq, row.last_ms, row.drops))
    return found


def by_host(meta: Mapping[bytes, bytes]) -> list[HostDrops]:
    """Return what was counted by host and source, as `lua/append.lua` does; the one that dropped last at the end."""
    pairs: dict[str, HostDrops] = {}
    others: dict[str, int] = {}
    counts = {name.decode(): int(value) for name, value in meta.items() if name.startswith(b"dropped")}
    for name, at in sorted(counts.items(), key=operator.itemgetter(1)):
        if name.startswith("dropped_at:"):
            pair = name.removeprefix("dropped_at:")
            host, source = json.loads(pair)
            pairs[pair] = HostDrops(host, source, at // 1_000, {})
    for name, total in counts.items():
        kind, _, rest = name.partition(":")
        pair, _, cause = rest.rpartition("\n")
        if kind == "dropped":
            pairs[pair].drops[json.loads(cause)] = total
        elif kind == "dropped_other":
            others[json.loads(cause)] = total
    return [*([HostDrops(OTHER, "", None, others)] if others else []), *pairs.values()]
