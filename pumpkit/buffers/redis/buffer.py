"""A buffer in Redis as a whole: the log, its pumps, and the leases that keep them in order."""

import contextlib
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import ClassVar

from pumpkit.buffers.base import BufferStats, Confirm, DeadLetter, Gap, Mark, Position, Start, Wanted
from pumpkit.buffers.redis.cursor import ALONE, RedisCursor, lease_name
from pumpkit.buffers.redis.keys import Keys
from pumpkit.buffers.redis.leases import MEMORY, Lease, Leases
from pumpkit.buffers.redis.letters import Letters, UnknownPump
from pumpkit.buffers.redis.link import PATIENCE, Link
from pumpkit.buffers.redis.log import ListChanged, Log, Move
from pumpkit.buffers.redis.url import Place
from pumpkit.buffers.redis.view import View, look
from pumpkit.errors import BufferError, Fenced
from pumpkit.ids import is_pump_name

log = logging.getLogger(__name__)


class RedisBuffer:
    """A buffer in Redis or Valkey; see `base.Buffer` for what it does, and the package for its keys.

    Threads may share it.
    """

    can_be_shared: ClassVar = True
    may_forget: ClassVar = True  # it is as durable as the server is set up to be

    def __init__(self, place: Place, *, create: bool, timeout: float = PATIENCE, shard: int = 0) -> None:
        """Open the buffer; `timeout` is for each call that names none. Raises as `redis.open` does."""
        self._link = Link(place, timeout)
        self._keys = Keys.of(place.name)
        self._log = Log(self._link, self._keys, create=create, shard=shard)
        self._leases = Leases(self._link, self._keys.locks)
        try:
            self._log.make()
            #: How many streams the whole buffer has, of which this is one.
            self.shards = self._log.shards()
            self._link.place = place._replace(shards=self.shards)  # whoever makes it again makes as many
        except BufferError:
            self._link.close()
            raise

    def append(
        self,
        frames: Sequence[bytes],
        *,
        accept_gap: bool = False,
        timeout: float = 5.0,
        confirm: Confirm = "stored",
    ) -> Gap | None:
        """See `base.Buffer.append`."""
        answer = self._log.append(frames, accept_gap, timeout, confirm)
        assert not isinstance(answer, ListChanged)
        return answer

    def append_moving(
        self, frame: bytes, key: str, count: int, first_item: bytes, last_item: bytes, lease: Lease
    ) -> Gap | ListChanged | None:
        """Store a frame made of the first `count` items of the list `key`, and take them off it, in one step.

        Nothing is done, and the answer is ListChanged, if the list does not begin with `first_item`, or its item number
        `count` with `last_item`; of long items their beginning is enough. Repeating a frame whose answer got lost is
        harmless, whatever the list begins with by then. Raises Fenced if `lease`, one of `self.leases`, is not held any
        more; else as `append` does.
        """
        return self._log.append([frame], False, 5.0, "stored", Move(key, count, first_item, last_item, lease))

    @property
    def leases(self) -> Leases:
        """The leases of this buffer."""
        return self._leases

    @property
    def place(self) -> Place:
        """Where it is."""
        return self._link.place

    def cursor(self, pump: str, start: Start = "oldest", *, share: str | None = None) -> RedisCursor:
        """See `base.Buffer.cursor`."""
        if share is not None and (not share or not share.isprintable() or set(share) & set("|@ ")):
            raise ValueError(f"bad name {share!r} for one of several cursors: no spaces, `@` and `|`")
        self.register(pump, start)
        lease = self._leases.take(lease_name(pump, share))
        try:
            return RedisCursor(self._log, self._leases, lease, pump, share or ALONE, alone=share is None)
        except BaseException:
            lease.release()
            raise

    def register(self, pump: str, start: Start = "oldest") -> None:
        """See `base.Buffer.register`."""
        if not is_pump_name(pump):
            raise ValueError(f"bad pump name {pump!r}: small letters, digits, `_`, `.` and `-`, at most 63")
        keys = [self._keys.log, self._keys.meta, self._keys.pumps, self._keys.of_pump(pump).pump]
        while not self._link.call("register", keys, [pump, start]):
            self._log.make()

    def trim(self) -> int:
        """See `base.Buffer.trim`."""
        return self._log.trim()

    def skip_target(self, pump: str, free_bytes: int, others: Collection[str] = ()) -> Position | None:
        """See `base.Buffer.skip_target`."""
        self._known(pump)
        view = look(self._log)
        positions = {name: cursor.position for name, cursor in view.pumps.items()}
        holding = [position for name, position in positions.items() if name != pump and name not in others]
        limit = min(holding, default=view.number("last"))
        target = self._log.reach(min(positions.values()), limit, free_bytes)
        return target if target is not None and target > positions[pump] else None

    def set_max_bytes(self, max_bytes: int) -> None:
        """See `base.Buffer.set_max_bytes`."""
        if max_bytes < 1:
            raise ValueError(f"a size cap of {max_bytes} bytes holds nothing")
        self._log.set_max_bytes(max_bytes)

    def set_wanted(self, pump: str, wanted: Wanted) -> None:
        """See `base.Buffer.set_wanted`."""
        if not is_pump_name(pump) or not self._link.call("want", [self._keys.of_pump(pump).pump], [wanted]):
            raise _unknown(pump)

    def drop_cursor(self, pump: str) -> None:
        """See `base.Buffer.drop_cursor`."""
        with self._alone(pump) as lease:
            keys = [self._keys.log, self._keys.pumps, self._keys.locks, *self._keys.of_pump(pump)]
            if not self._link.call("drop", keys, [pump, lease.name, lease.token]):
                raise Fenced(f"somebody else has taken pump {pump} over")

    def rename_cursor(self, pump: str, new: str) -> None:
        """See `base.Buffer.rename_cursor`."""
        if not is_pump_name(new):
            raise ValueError(f"bad pump name {new!r}: small letters, digits, `_`, `.` and `-`, at most 63")
        with self._alone(pump) as lease:
            keys = [self._keys.log, self._keys.pumps, self._keys.locks]
            keys += [*self._keys.of_pump(pump), *self._keys.of_pump(new)]
            answer = self._link.call_once("rename", keys, [pump, lease.name, lease.token, new])
        if answer == 0:
            raise ValueError(f"there is a pump {new!r} already")
        if answer < 0:
            raise Fenced(f"somebody else has taken pump {pump} over")

    @contextlib.contextmanager
    def _alone(self, pump: str) -> Iterator[Lease]:
        """Hold a pump's lease."""
        self._known(pump)
        lease = self._leases.take(lease_name(pump, None))
        try:
            yield lease
        finally:
            lease.release()

    def dead_letters(self, pump: str, limit: int = 100, after: str | None = None) -> list[DeadLetter]:
        """See `base.Buffer.dead_letters`."""
        return self.letters(pump).page(limit, after)

    def mark(self, pump: str, mark: Mark, ids: Sequence[str] | None = None) -> int:
        """See `base.Buffer.mark`."""
        return self.letters(pump).mark(mark, ids)

    def stats(self) -> BufferStats:
        """See `base.Buffer.stats`."""
        return self.view().stats(self.place.shown)

    def view(self) -> View:
        """Return the state of the whole log at one moment."""
        return look(self._log, with_producers=True)

    def runner_lock(self, holder: Mapping[str, str], slot: str = "") -> "SlotLock":
        """See `base.Buffer.runner_lock`."""
        return SlotLock(self._leases.take(f"runner:{slot}", holder, lasting=True))

    def runner(self) -> dict[str, str] | None:
        """See `base.Buffer.runner`."""
        return next((runner for runner in self.runners() if runner["alive"] == "yes"), None)

    def runners(self) -> list[dict[str, str]]:
        """See `base.Buffer.runners`."""
        found = []
        for lease in sorted(self._leases.all()):
            if lease.name.startswith("runner:") and lease.since_end < MEMORY:
                said = {key: value for key, value in lease.holder.items() if key != "life"}
                said |= {"slot": lease.name.removeprefix("runner:"), "alive": "yes" if lease.alive else "no"}
                found.append(said)
        return found

    def parts(self) -> "list[RedisBuffer]":
        """See `base.Buffer.parts`."""
        return [self]

    def close(self) -> None:
        """See `base.Buffer.close`. What another thread is doing ends first; afterwards it gets BufferUnavailable."""
        self._leases.close()
        self._link.close()

    def letters(self, pump: str) -> Letters:
        """Return the dead letters of a pump. Raises KeyError."""
        self._known(pump)
        return Letters(self._link, self._keys.of_pump(pump))

    def _known(self, pump: str) -> None:
        """Raise KeyError unless a pump is registered."""
        if not is_pump_name(pump) or not self._link.command("SISMEMBER", self._keys.pumps, pump):
            raise _unknown(pump)


class SlotLock:
    """The lock of a runner; see `base.RunnerLock`. Who held it last is remembered for a week."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    def tell(self, holder: Mapping[str, str]) -> None:
        """See `base.RunnerLock.tell`."""
        self._lease.tell(holder)

    def release(self) -> None:
        """See `base.RunnerLock.release`."""
        self._lease.release(leave_word=True)


def _unknown(pump: str) -> UnknownPump:
    return UnknownPump(f"there is no pump {pump!r}")
