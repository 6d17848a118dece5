"""One pump's cursor: alone, or one of several that share the pump's frames.

A pump is a consumer group of the stream and a cursor one of its consumers. What a cursor has in hand is pending for its
consumer until a commit acknowledges it; so it is known which frames a dead cursor had, and the next one is given them
first, in order.
"""

import logging
import os
import secrets
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pumpkit.buffers.base import Counts, CursorStats, DeadLetter, Delivery, Part, Position
from pumpkit.buffers.redis import letters
from pumpkit.buffers.redis.keys import PumpKeys
from pumpkit.buffers.redis.leases import TTL, Lease, Leases, held
from pumpkit.buffers.redis.link import Argument
from pumpkit.buffers.redis.log import Log, named
from pumpkit.buffers.redis.view import look, state
from pumpkit.errors import BufferBusy, BufferError, BufferReplaced, BufferUnavailable, Fenced

#: Seconds between two looks for dead cursors of a shared pump.
_CLAIM_PERIOD = TTL / 3

#: Records and bytes that a skip passes in one step.
_SKIP_RECORDS = 1_000
_SKIP_BYTES = 4 << 20

#: Frames that one script hands out, and takes over: the server does nothing else meanwhile.
_FETCH_STEP = 100
_CLAIM_STEP = 1_000

log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """A frame in hand."""

    id: bytes
    delivery: Delivery


class Unsure(NamedTuple):
    """A commit that was not answered: it may have been done."""

    what: tuple[Position, Counts, int, list[DeadLetter]]
    passed: set[Position]
    nonce: str


class RedisCursor:
    """A pump's place in the log; see `base.Cursor`. For one thread, in the process that opened it."""

    def __init__(self, log: Log, leases: Leases, lease: Lease, pump: str, consumer: str, *, alone: bool) -> None:
        self.pump = pump
        self.was_reset = False
        self._log = log
        self._leases = leases
        self._lease = lease
        self._consumer = consumer
        self._alone = alone
        self._keys: PumpKeys = log.keys.of_pump(pump)
        self._letters = letters.Letters(log.link, self._keys)
        self._pid = os.getpid()
        self._closed = False
        self._hand: dict[Position, Entry] = {}  # read and not passed yet, in order
        self._handed: set[Position] = set()  # those that were handed out
        self._unsure: Unsure | None = None
        self._replays: Lease | None = None  # what makes this the one of several cursors that replays
        self._next_claim = 0.0
        self._buffer_id = ""
        self._open()

    # The way of a frame -------------------------------------------------------------------------------------------

    def fetch(self, max_records: int, max_bytes: int, after: Position | None = None) -> list[Delivery]:
        """See `base.Cursor.fetch`."""
        self._check()
        if after is not None and after != self._position and after not in self._handed:
            raise ValueError(f"{after} is no position that this cursor handed out")
        if after is None:
            self._handed.clear()
        found = self._take(max_records, max_bytes, after)
        if not found or found[-1].delivery.position == max(self._hand):
            records = max_records - sum(entry.delivery.total for entry in found)
            size = max_bytes - sum(len(entry.delivery.frame) for entry in found)
            if not found or (records > 0 and size > 0):
                self._read(max(1, records), max(1, size), in_hand=after is not None)
                found = self._take(max_records, max_bytes, after)
        self._handed.update(entry.delivery.position for entry in found)
        return [entry.delivery for entry in found]

    def commit(self, through: Position, counts: Counts, dead: Sequence[DeadLetter] = ()) -> None:
        """See `base.Cursor.commit`."""
        self._check()
        if through not in self._handed:
            raise ValueError(f"{through} is no position that this cursor handed out")
        entries = [self._hand[position] for position in self._handed if position <= through]
        total = sum(entry.delivery.total for entry in entries)
        counted = counts.delivered + counts.filtered + counts.dead
        if counted != total:
            raise ValueError(f"{counted} records counted, but {total} were handed out up to position {through}")
        self._commit(through, counts, 0, dead, entries)

    def hold(self) -> None:
        """See `base.Cursor.hold`."""
        self._check()
        self._lease.check()

    def accept(self, parts: Sequence[Part]) -> None:
        """See `base.Cursor.accept`."""
        self._check()
        words: list[Argument] = []
        for part in parts:
            words += [str(part.position), f"{part.first}-{part.last}"]
        keys = [self._keys.accepted, self._log.keys.locks, self._keys.pump]
        if not self._log.link.call("accept", keys, [self._lease.name, self._lease.token, self._buffer_id, *words]):
            raise self._fenced()

    def accepted(self) -> list[Part]:
        """See `base.Cursor.accepted`."""
        self._check()
        found = named(self._log.link.command("HGETALL", self._keys.accepted))
        parts = []
        for position, ranges in sorted(found.items(), key=lambda item: int(item[0])):
            for range_ in ranges.decode().split(","):
                first, _, last = range_.partition("-")
                parts.append(Part(int(position), int(first), int(last)))
        return parts

    def skip(self, through: Position) -> int:
        """See `base.Cursor.skip`."""
        self._check()
        taken: dict[Position, set[int]] = {}
        for part in self.accepted():
            taken.setdefault(part.position, set()).update(range(part.first, part.last + 1))
        skipped = 0
        while True:
            if not self._hand or max(self._hand) < through:
                self._read(_SKIP_RECORDS, _SKIP_BYTES)
            entries = [entry for position, entry in self._hand.items() if position <= through]
            if not entries:
                return skipped
            last = entries[-1].delivery.position
            total = sum(entry.delivery.total for entry in entries)
            delivered = sum(len(taken.get(entry.delivery.position, ())) for entry in entries)
            self._commit(last, Counts(delivered), total - delivered, (), entries)
            skipped += total - delivered

    # Dead letters -------------------------------------------------------------------------------------------------

    def marked(self, limit: int) -> list[DeadLetter]:
        """See `base.Cursor.marked`. Of several cursors of a pump one is told; it stays the one until it is closed."""
        self._check()
        found = self._letters.marked(limit)
        if found and not self._alone and (self._replays is None or self._replays.lost):
            try:
                self._replays = self._leases.take(f"replay:{self.pump}")
            except BufferBusy:
                return []
        return found

    def resolve(self, replayed: Iterable[str], purged: Iterable[str], failed: Iterable[DeadLetter]) -> None:
        """See `base.Cursor.resolve`."""
        self._check()
        self._settle()
        replayed, purged, failed = list(replayed), list(purged), list(failed)
        stored = self._letters.stored([*replayed, *purged, *(letter.id for letter in failed)])
        known = dict(zip([*replayed, *purged, *(letter.id for letter in failed)], stored, strict=True))
        gone: list[Argument] = []
        for id_ in [*replayed, *purged]:
            before = known[id_]
            if before is not None:
                old = letters.restored(id_, before)
                gone += [id_, letters.place(old), old.records if id_ in replayed else 0, letters.epoch(before)]
        again: list[Argument] = []
        for letter in failed:
            before = known[letter.id]
            if before is not None:
                old = letters.restored(letter.id, before)
                facts = letters.known(letter, letters.epoch(before))
                again += [letter.id, letters.place(old), letters.place(letter), facts, letter.record]
        words: list[Argument] = [
            self._lease.name,
            self._lease.token,
            secrets.token_hex(8),
            self._consumer,
            len(gone) // 4,
        ]
        keys = self._keys
        names = [keys.pump, self._log.keys.locks, keys.dead, keys.records, keys.order, keys.marks, keys.marked]
        if not self._log.link.call("resolve", names, [*words, *gone, *again]):
            raise self._fenced()

    # The rest -----------------------------------------------------------------------------------------------------

    def stats(self) -> CursorStats:
        """See `base.Cursor.stats`."""
        self._check()
        pumps = look(self._log, [self.pump]).pumps
        if self.pump not in pumps:
            raise Fenced(f"pump {self.pump} is not known to the buffer any more; it was flushed, or the pump dropped")
        return pumps[self.pump]

    def close(self) -> None:
        """See `base.Cursor.close`. Frames still in hand are handed out again later, marked as redelivered."""
        if self._closed or self._pid != os.getpid():
            return
        self._closed = True
        self._leases.forget(self._lease)
        if self._replays is not None:
            self._replays.release()
        suspect = str(max([self._suspect, *self._handed])) if self._alone else ""
        keys = [self._log.keys.log, self._keys.pump, self._log.keys.locks]
        try:
            words = [self.pump, self._consumer, self._lease.name, self._lease.token, suspect]
            self._log.link.call("close", keys, words)
        except BufferError:  # the lease ends by itself, and the next one takes everything for redelivered
            pass

    def __del__(self) -> None:
        if getattr(self, "_closed", True):
            return
        for lease in (self._lease, self._replays):  # nobody can use them any more
            if lease is not None:
                lease.release()

    def _open(self) -> None:
        """Take the pump's place in the log as it is now, and what dead cursors had in hand."""
        keys = [self._log.keys.log, self._log.keys.meta, self._keys.pump, self._log.keys.locks, self._keys.accepted]
        words: list[Argument] = [self.pump, self._lease.name, self._lease.token, int(self._alone)]
        while True:
            answer = self._log.link.call("open", keys, words)
            match state(answer):
                case "ok":
                    break
                case "gone":
                    self._log.make()
                case "fenced":
                    raise self._fenced()
                case _:
                    raise Fenced(f"pump {self.pump} was dropped from the buffer")
        buffer_id = answer[1].decode()
        self.was_reset = self.was_reset or bool(answer[4]) or self._buffer_id not in ("", buffer_id)
        self._buffer_id, self._position = buffer_id, int(answer[2])
        self._suspect = int(answer[3]) if self._alone else 0
        self._epoch = int(answer[5])
        self._hand.clear()
        self._handed.clear()
        self._claim()

    def _claim(self) -> int:
        """Take over what cursors of this pump had in hand that are dead: all others, if this one is alone.

        Returns how many frames.
        """
        self._next_claim = time.monotonic() + _CLAIM_PERIOD
        link, keys = self._log.link, self._log.keys
        words: list[Argument] = [self.pump, self._consumer, ALONE, int(TTL * 1e6)]
        time_now, *others = link.call("consumers", [keys.log, keys.locks], words)
        dead: list[Argument] = []
        for consumer, *values in others:
            lease = held(int(time_now), *values)
            if self._alone or not lease.alive:
                dead += [consumer, lease.name, lease.token]
        total, done = 0, not dead
        while not done:
            words = [self.pump, self._consumer, self._lease.name, self._lease.token, _CLAIM_STEP]
            claimed, last, done = link.call("claim", [keys.log, keys.locks, self._keys.pump], [*words, *dead])
            if claimed < 0:
                raise self._fenced()
            total += claimed
            if self._alone:
                self._suspect = max(self._suspect, int(last))
            dead[2::3] = [""] * (len(dead) // 3)  # from the first step on they hold nothing
        if total:
            log.info("pump %s: took over %d frames that a dead worker had in hand", self.pump, total)
        return total

    def _take(self, max_records: int, max_bytes: int, after: Position | None) -> list[Entry]:
        """Return what is in hand behind a position, within bounds; at least one if there is any."""
        taken: list[Entry] = []
        for position, entry in self._hand.items():
            if after is None or position > after:
                max_records -= entry.delivery.total
                max_bytes -= len(entry.delivery.frame)
                if taken and (max_records < 0 or max_bytes < 0):
                    break
                taken.append(entry)
        return taken

    def _read(self, max_records: int, max_bytes: int, in_hand: bool = False) -> None:
        """Read what comes next into the hand. `in_hand`: whether the caller holds frames of the log as it was."""
        self._settle()
        last = self._hand[max(self._hand)].id if self._hand else b"0-0"
        if not self._alone and not in_hand and time.monotonic() >= self._next_claim and self._claim():
            last = b"0-0"  # what was taken over comes before what is in hand
        while max_records > 0 and max_bytes > 0:
            entries = self._read_step(max_records, max_bytes, last, in_hand)
            max_records -= sum(entry.delivery.total for entry in entries)
            max_bytes -= sum(len(entry.delivery.frame) for entry in entries)
            if len(entries) < _FETCH_STEP:
                break
            last = entries[-1].id
        self._hand = dict(sorted(self._hand.items()))

    def _read_step(self, max_records: int, max_bytes: int, last: bytes, in_hand: bool) -> list[Entry]:
        """Read into the hand what one script hands out; return it."""
        keys = [self._log.keys.log, self._log.keys.meta, self._keys.pump, self._log.keys.locks, self._keys.accepted]
        words: list[Argument] = [self.pump, self._consumer, self._lease.name, self._lease.token, self._buffer_id]
        answer = self._log.link.call_once("fetch", keys, [*words, max_records, max_bytes, last, _FETCH_STEP])
        match state(answer):
            case "ok":
                pass
            case "fenced":
                raise self._fenced()
            case "other" if in_hand or self._hand:
                raise BufferReplaced(
                    f"the buffer of pump {self.pump} was replaced while it had records of the old one in hand;"
                    " open the cursor anew"
                )
            case "lost" if self._hand:
                raise Fenced(f"the group of pump {self.pump} is gone, and what it had in hand is no longer known")
            case _:
                self._open()
                return self._read_step(max_records, max_bytes, b"0-0", in_hand)
        vanished = int(answer[1])
        if vanished > 0:
            log.error("pump %s: %d records have vanished from the log; counted as skipped", self.pump, vanished)
        entries = []
        for id_, frame, total, again in answer[2:]:
            first, _, second = id_.partition(b"-")
            position = int(first) + int(second)
            redelivered = position <= self._suspect if self._alone else bool(again)
            entries.append(Entry(id_, Delivery(position, frame, int(total), redelivered)))
        for entry in entries:
            self._hand.setdefault(entry.delivery.position, entry)
        return entries

    def _commit(
        self, through: Position, counts: Counts, skipped: int, dead: Sequence[DeadLetter], entries: Sequence[Entry]
    ) -> None:
        what = (through, counts, skipped, list(dead))
        if self._unsure is None or self._unsure.what != what:
            self._settle()
            passed = {entry.delivery.position for entry in entries}
            self._unsure = Unsure(what, passed, secrets.token_hex(8))
        words: list[Argument] = [self.pump, self._consumer, self._lease.name, self._lease.token, self._buffer_id]
        words += [self._unsure.nonce, str(through), *counts, skipped, len(entries)]
        words += [entry.id for entry in sorted(entries, key=lambda entry: entry.delivery.position)]
        for letter in {letter.id: letter for letter in dead}.values():
            words += [letters.utf8(letter.id), letters.place(letter), letters.known(letter, self._epoch), letter.record]
        keys, log_keys = self._keys, self._log.keys
        names = [log_keys.log, log_keys.meta, keys.pump, log_keys.locks, keys.accepted]
        names += [keys.dead, keys.records, keys.order, keys.marks, keys.marked]
        answer = self._log.link.call("commit", names, words)
        unsure, self._unsure = self._unsure, None
        if state(answer) != "ok":
            raise self._fenced()
        self._pass(unsure)

    def _settle(self) -> None:
        """Find out whether a commit that was not answered has been done."""
        unsure = self._unsure
        if unsure is None:
            return
        done = self._log.link.command("HGET", self._keys.pump, f"done:{self._consumer}")
        self._unsure = None
        if done == unsure.nonce.encode():
            self._pass(unsure)

    def _pass(self, done: Unsure) -> None:
        self._position = max(self._position, done.what[0])
        self._hand = {position: entry for position, entry in self._hand.items() if position not in done.passed}
        self._handed -= done.passed

    def _fenced(self) -> Fenced:
        self._lease.lost = True
        return Fenced(f"somebody else has taken over what pump {self.pump} had in hand here")

    def _check(self) -> None:
        if self._closed:
            raise BufferUnavailable(f"the cursor of pump {self.pump} is closed")
        if self._pid != os.getpid():
            raise BufferBusy(f"the cursor of pump {self.pump} belongs to process {self._pid}, which forked this one")


#: The consumer of a cursor that is held alone; none of several can be called so.
ALONE = "@"


def lease_name(pump: str, share: str | None) -> str:
    """Return the lease of a pump's cursor: `take.lua` knows which of them exclude each other."""
    return f"pump:{pump}" if share is None else f"pump:{pump}@{share}"
