"""Moving one list in Redis into the log, a batch at a time: neither lost nor doubled, whatever dies when.

`Within` is for a list and a log in one Redis (of a cluster: in one slot). A batch is read, a frame made of it, and one
script stores the frame and takes the items off the list. Until then they are where they were.

`Across` is for a log elsewhere. One script takes a batch off the list into another one, `{KEY}:pumpkit:in-flight`, and
notes in `{KEY}:pumpkit:state` under which producer and number it goes. The frame made of it is always the same, and the
log takes it once however often it is repeated. Then a second script lets go of the batch.

Either holds a batch until it is known what became of it: after an error, `step` goes on where it was.
"""

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from pumpkit.buffers.base import Buffer
from pumpkit.buffers.redis.buffer import RedisBuffer
from pumpkit.buffers.redis.leases import Lease
from pumpkit.buffers.redis.link import Argument, Link
from pumpkit.buffers.redis.log import ListChanged
from pumpkit.errors import BufferConfigError, Fenced
from pumpkit.ids import new_producer
from pumpkit.inputs.framing import BATCH_BYTES, KEEP, Framed, ItemFramer, Items

#: Bytes by which an item is recognised.
_KNOWN_BY = 64 << 10

#: Microseconds without a batch after which the next one goes under a new producer: logs forget idle ones.
_IDLE = 3_600_000_000

log = logging.getLogger(__name__)


class Moved(NamedTuple):
    """What one step has moved: records, how many of these are none and will be dead letters, and bytes of items."""

    records: int = 0
    bad: int = 0
    size: int = 0


NOTHING = Moved()


class Drain(Protocol):
    """One list on its way into the log."""

    key: str

    #: How often somebody else was seen to take items off the list.
    disturbed: int

    def step(self) -> Moved:
        """Move a batch, or return NOTHING if there is none, or if somebody else takes items off the list just now.

        Raises BufferUnavailable or BufferFull, after which the next step tries the same batch again; Fenced if somebody
        else has the lease; BufferConfigError if the key holds no list.
        """


class _Batch(NamedTuple):
    """A batch in hand."""

    items: Items
    size: int
    producer: bytes
    first: int
    frame: Framed

    def moved(self) -> Moved:
        return Moved(self.frame.total, self.frame.bad, self.size)


class Within:
    """A list beside the log."""

    def __init__(
        self,
        link: Link,
        key: str,
        buffer: RedisBuffer,
        lease: Lease,
        framer: ItemFramer,
        most: int,
        left: "Across | None" = None,
    ) -> None:
        """`left` finishes what an importer whose log was elsewhere has left in flight."""
        self.key = key
        self.disturbed = 0
        self._link = link
        self._buffer = buffer
        self._lease = lease
        self._framer = framer
        self._most = most
        self._left = left
        self._producer, self._next = new_producer(), 0
        self._batch: _Batch | None = None

    def step(self) -> Moved:
        """See `Drain.step`."""
        if self._left is not None:
            moved, self._left = self._left.step(), None
            return moved
        self._lease.check()
        batch = self._batch = self._batch or self._read()
        if batch is None:
            return NOTHING
        blobs = batch.items.blobs
        answer = self._buffer.append_moving(
            batch.frame.data, self.key, len(blobs), blobs[0][:_KNOWN_BY], blobs[-1][:_KNOWN_BY], self._lease
        )
        self._batch = None
        if answer is None:
            self._next += batch.frame.total
            return batch.moved()
        if isinstance(answer, ListChanged):
            self.disturbed += 1
        else:  # the log was created anew, or has forgotten this producer
            self._producer, self._next = new_producer(), 0
        return NOTHING

    def _read(self) -> _Batch | None:
        answer = self._link.call("list_read", [self.key], [self._most, BATCH_BYTES, KEEP])
        items = _items(answer, self._link, self.key)
        if not items.blobs:
            return None
        frame = self._framer.frame(items, self._producer, self._next)
        return _Batch(items, sum(map(len, items.blobs)), self._producer, self._next, frame)


class Across:
    """A list in another place than the log."""

    def __init__(
        self, link: Link, key: str, buffer: Buffer, locks: str, lease: Lease, framer: ItemFramer, most: int
    ) -> None:
        self.key = key
        self.disturbed = 0
        self._link = link
        self._buffer = buffer
        self._keys = [beside(key, "in-flight"), beside(key, "state"), locks]
        self._lease = lease
        self._framer = framer
        self._most = most
        self._last = "", 0  # producer and sequence that come next, as this process knows them
        self._batch: _Batch | None = None

    def step(self) -> Moved:
        """See `Drain.step`."""
        self._lease.check()
        batch = self._batch = self._batch or self._take()
        if batch is None:
            return NOTHING
        if self._buffer.append([batch.frame.data]) is not None:
            self._buffer.append([batch.frame.data], accept_gap=True)  # into a log that was created anew
        self._let_go(batch)
        self._batch = None
        return batch.moved()

    def _take(self) -> _Batch | None:
        bounds: list[Argument] = [self._most, BATCH_BYTES, KEEP]
        holding: list[Argument] = [self._lease.name, self._lease.token]
        naming: list[Argument] = [new_producer().hex(), *self._last, _IDLE]
        answer = self._link.call("list_read", [self.key, *self._keys], bounds + holding + naming)
        items = _items(answer, self._link, self.key)
        if not items.blobs:
            return None
        producer, first = bytes.fromhex(answer[3].decode()), int(answer[4])
        frame = self._framer.frame(items, producer, first)
        return _Batch(items, sum(map(len, items.blobs)), producer, first, frame)

    def _let_go(self, batch: _Batch) -> None:
        holding: list[Argument] = [self._lease.name, self._lease.token]
        numbers: list[Argument] = [batch.producer.hex(), batch.first, batch.first + batch.frame.total]
        if self._link.call("list_done", self._keys, holding + numbers) == b"fenced":
            raise Fenced(f"{self._link.place.shown}: somebody else moves {self.key} now")
        self._last = batch.producer.hex(), batch.first + batch.frame.total


def beside(key: str, what: str) -> str:
    """Return a key of ours for a list, in a cluster in the same slot."""
    opening = key.find("{")
    tagged = opening >= 0 and key.find("}", opening) > opening + 1
    return f"{key}:pumpkit:{what}" if tagged else f"{{{key}}}:pumpkit:{what}"


def _items(answer: Sequence[Any], link: Link, key: str) -> Items:
    """Return the items in the answer of `list_read`. Raises Fenced, or BufferConfigError for what is no list."""
    match answer[0]:
        case b"type":
            raise BufferConfigError(
                f"{link.place.shown}: the key {answer[2].decode()} is a {answer[1].decode()}, not a list; correct `key`"
            )
        case b"fenced":
            raise Fenced(f"{link.place.shown}: somebody else moves {key} now")
    return Items(answer[1], int(answer[2]))
