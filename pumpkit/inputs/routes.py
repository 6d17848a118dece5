"""Which way a list takes into the log, and the lease that lets one importer among all runners move it."""

import zlib
from collections.abc import Sequence
from contextlib import closing, suppress
from typing import Any

from redis.crc import key_slot

from pumpkit.buffers.base import Buffer
from pumpkit.buffers.redis.buffer import RedisBuffer
from pumpkit.buffers.redis.keys import Keys
from pumpkit.buffers.redis.leases import Lease, Leases
from pumpkit.buffers.redis.link import Link
from pumpkit.buffers.redis.url import Place
from pumpkit.config.inputs import InputConfig
from pumpkit.dialects import decoder
from pumpkit.errors import BufferConfigError, BufferError
from pumpkit.inputs.framing import ItemFramer
from pumpkit.inputs.redis_list import Across, Drain, Within, beside


class Routes:
    """The lists of one input, each with its way into the log. Use it as a context manager: it gives leases back."""

    def __init__(self, config: InputConfig, link: Link, buffer: Buffer) -> None:
        self._config = config
        self._link = link
        self._buffer = buffer
        self._here = [part for part in buffer.parts() if isinstance(part, RedisBuffer) and _same_server(link, part)]
        self._leases: dict[str, Leases] = {}
        self._held: dict[str, Lease] = {}

    def __enter__(self) -> "Routes":
        return self

    def __exit__(self, *_: object) -> None:
        for lease in self._held.values():
            with suppress(BufferError):  # then it ends by itself
                lease.release()
        for leases in self._leases.values():
            leases.close()

    def take(self) -> list[Drain]:
        """Take the leases; return every list, ready to be moved. Raises BufferBusy while another importer has one."""
        return [self._drain(key, encoding) for key, encoding in self._config.lists()]

    def _drain(self, key: str, encoding: Any) -> Drain:
        config = self._config
        decode = decoder(config.dialect, encoding, decode_raw=config.decode_raw)
        framer = ItemFramer(decode, config.source or config.name)
        part = self._beside(key)
        if part is not None:
            lease = self._hold(Keys.of(part.place.name).locks, part.leases)
            left = self._across(key, framer) if self._link.command("EXISTS", beside(key, "in-flight")) else None
            return Within(self._link, key, part, lease, framer, config.batch, left)
        return self._across(key, framer)

    def _across(self, key: str, framer: ItemFramer) -> Across:
        config = self._config
        locks = beside(key if self._in_cluster else config.lists()[0][0], "locks")
        if self._in_cluster and key_slot(key.encode()) != key_slot(locks.encode()):
            raise BufferConfigError(
                f"{self._link.place.shown}: a cluster cannot keep other keys beside {key}; rename it"
            )
        lease = self._hold(locks)
        return Across(self._link, key, self._buffer, locks, lease, framer, config.batch)

    @property
    def _in_cluster(self) -> bool:
        return self._link.place.mode == "cluster"

    def _beside(self, key: str) -> RedisBuffer | None:
        """Return the part of the log that one script can reach together with a list."""
        if not self._in_cluster:
            return self._here[zlib.crc32(key.encode()) % len(self._here)] if self._here else None
        slot = key_slot(key.encode())
        return next((part for part in self._here if key_slot(Keys.of(part.place.name).log.encode()) == slot), None)

    def _hold(self, locks: str, leases: Leases | None = None) -> Lease:
        if locks not in self._held:
            if leases is None:
                leases = self._leases[locks] = Leases(self._link, locks)
            self._held[locks] = leases.take(f"input:{self._config.lists()[0][0]}")  # whatever it is called here
        return self._held[locks]


def _same_server(link: Link, part: RedisBuffer) -> bool:
    """Return whether a list and a part of the log are in one database of one server, or in one cluster."""
    mine, its = link.place, part.place
    if mine.mode == "cluster" or its.mode == "cluster":
        return mine.mode == its.mode and bool(set(mine.hosts) & set(its.hosts))
    if _address(mine) == _address(its):
        return True
    return mine.db == its.db and _run_id(mine) == _run_id(its)


def _address(place: Place) -> Sequence[Any]:
    return place.mode, place.hosts, place.path, place.master, place.db


def _run_id(place: Place) -> object:
    """Return what names a server process, whatever it is called in a URL; if it does not say, something unlike any."""
    try:
        with closing(Link(place)) as link:
            return link.command("INFO", "server")["run_id"]
    except (BufferConfigError, KeyError):  # not allowed to ask: the way across is good for every pair
        return object()
