"""What there is to say of the servers that hold a buffer: how they keep it, what room it has, who takes over.

Only commands that read. A user of Redis may be forbidden some of them; that is said, and the rest is told.
"""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import redis

from pumpkit.buffers.base import Fact
from pumpkit.buffers.redis.connect import Client, connect, explained, sentinel_states
from pumpkit.buffers.redis.keys import Keys
from pumpkit.buffers.redis.url import Place
from pumpkit.errors import BufferError

#: Seconds that one answer may take.
_PATIENCE = 5.0

#: The oldest version whose commands suffice.
_OLDEST = (6, 2)

#: Seconds by which clocks may differ before it is worth a warning.
_CLOCK = 2.0

#: The share of a limit from which on it is worth a warning.
_NEARLY = 0.9

_MIB = 1 << 20

_LOSS = "when it crashes or restarts"


def facts(place: Place) -> list[Fact]:
    """Return the facts of `BufferModule.facts`. Raises BufferUnavailable, or BufferConfigError."""
    client = connect(place, _PATIENCE)
    try:
        with explained(place):
            found = [*_of_sentinels(place)] if place.mode == "sentinel" else []
            nodes = _nodes(client, place)
            if isinstance(client, redis.RedisCluster):
                found += _of_cluster(client, nodes)
            for shown, node in nodes.items():
                before = f"{shown}: " if len(nodes) > 1 else ""
                found += [Fact(fact.severity, before + fact.text) for fact in _Node(node, place).facts()]
            return found
    finally:
        client.close()


def _nodes(client: Client, place: Place) -> dict[str, redis.Redis]:
    """Return the servers that hold the buffer, by what they are called."""
    if isinstance(client, redis.Redis):
        return {place.shown: client}
    found = {}
    for number in range(place.shards or 1):
        key = Keys.of(f"{place.name}:{number}" if number else place.name).log
        node: Any = client.get_node_from_key(key)  # type: ignore[no-untyped-call]
        found[node.name] = client.get_redis_connection(node)
    return found


def _of_sentinels(place: Place) -> Iterator[Fact]:
    """Say which sentinels answer, and whether enough of them do to promote a replica."""
    known = 0
    quorum = 1
    for who, state in sentinel_states(place, _PATIENCE):
        if isinstance(state, BufferError):
            yield Fact("warning", str(state))
            continue
        known += 1
        quorum = state["quorum"]
        others, replicas = state["num-other-sentinels"], state["num-slaves"]
        address = f"{state['ip']}:{state['port']}"
        text = f"{who} names {address} as the master {place.master}, with {_many(replicas, 'replica')}"
        yield Fact("good", f"{text}; it knows {_many(others, 'other sentinel')}")
    if known < quorum:
        text = f"{_many(known, 'sentinel')} of {len(place.hosts)} can be reached, and {quorum} have to agree"
        yield Fact("warning", f"{text} before a replica is promoted; start the others, or name them in the URL")


def _of_cluster(client: "redis.RedisCluster", nodes: dict[str, redis.Redis]) -> Iterator[Fact]:
    names = ", ".join(nodes)
    some: Any = next(iter(nodes.values()))
    said = _try(lambda: some.execute_command("CLUSTER INFO"))
    if not said:
        yield Fact("good", f"a cluster; this buffer is on {names}")
        return
    text = f"a cluster of {_many(int(said['cluster_size']), 'master')}; this buffer is on {names}"
    if said["cluster_state"] == "ok":
        yield Fact("good", text)
    else:
        yield Fact("error", f"{text}. Its state is {said['cluster_state']}: see `redis-cli cluster info`")


class _Node:
    """One server."""

    def __init__(self, client: redis.Redis, place: Place) -> None:
        self._client = client
        self._place = place
        self._info: dict[str, Any] = {}

    def facts(self) -> Iterator[Fact]:
        """Yield what there is to say of it."""
        info = _try(self._client.info)
        if info is None:
            text = "this user may not run INFO, so version, memory and persistence stay unknown; allow +info"
            yield Fact("warning", text)
        else:
            self._info = info
            yield self._version()
            if info.get("loading"):
                yield Fact("warning", "it is reading its data, and answers little else; look again when it has them")
                return
            yield from self._role()
            yield from self._persistence()
            yield from self._memory()
            yield from self._connections()
        yield from self._clock()

    def _version(self) -> Fact:
        info = self._info
        if "valkey_version" in info:  # its redis_version is the one it began as
            return Fact("good", f"Valkey {info['valkey_version']}")
        version = str(info.get("redis_version", "?"))
        numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
        if numbers and numbers < _OLDEST:
            return Fact("error", f"Redis {version} is too old; pumpkit needs 6.2 or later, or Valkey")
        return Fact("good", f"Redis {version}")

    def _role(self) -> Iterator[Fact]:
        info = self._info
        if info.get("role") != "master":
            master = f"{info.get('master_host')}:{info.get('master_port')}"
            yield Fact("error", f"it is a replica and takes no records; name its master {master}, or use sentinels")
            return
        replicas = int(info.get("connected_slaves", 0))
        wanted = self._place.replicas
        if not replicas:
            if self._place.mode in ("sentinel", "cluster"):
                text = "no replica is connected to the master: nobody takes over when it dies; start one"
                yield Fact("warning", text)
            return
        least = self._setting("min-replicas-to-write")
        text = f"a master with {_many(replicas, 'replica')} connected"
        if least is not None and least != "0":
            yield Fact("good", f"{text}; it takes writes while {least} of them follow (min-replicas-to-write)")
        else:
            hint = "after a fail-over, what had not reached the replica is gone until reporters send it again"
            yield Fact("good", f"{text}; {hint}")
        if replicas < wanted:
            yield Fact(
                "warning", f"the URL asks for {wanted} replicas to confirm records, and {replicas} are connected"
            )

    def _persistence(self) -> Iterator[Fact]:
        info = self._info
        saves = self._setting("save")
        if info.get("aof_enabled"):
            yield self._append_only()
        elif saves:
            text = f"it keeps snapshots only (save {saves}): {_LOSS}, what was stored after the last one is gone"
            yield Fact("warning", f"{text} until reporters send it again; set `appendonly yes`")
        elif saves is None:
            text = "it keeps no append-only file, and whether it makes snapshots cannot be seen (+config|get)"
            yield Fact("warning", f"{text}: {_LOSS}, records can be lost; set `appendonly yes`")
        else:
            text = f"it keeps nothing on disk: {_LOSS}, all records that wait in it are gone"
            yield Fact("warning", f"{text}, but for those that reporters still hold; set `appendonly yes`")
        if info.get("aof_enabled") and info.get("aof_last_write_status", "ok") != "ok":
            yield Fact("error", "its last write to the append-only file failed, so it takes no records: see its disk")
        if info.get("aof_last_bgrewrite_status", "ok") != "ok":
            yield Fact("warning", "its last rewrite of the append-only file failed, so that grows: see its disk")
        if info.get("rdb_last_bgsave_status", "ok") != "ok":
            stops = saves != "" and self._setting("stop-writes-on-bgsave-error") != "no"
            text = "its last snapshot failed"
            if stops:
                yield Fact("error", f"{text}, so it takes no records (stop-writes-on-bgsave-error): see its disk")
            else:
                yield Fact("warning", f"{text}: see its disk")

    def _append_only(self) -> Fact:
        sync = self._setting("appendfsync")
        kept = "it keeps an append-only file"
        if sync == "always":
            return Fact("good", f"{kept}, synced before each answer: what is stored survives a power failure")
        if sync == "no":
            text = f"{kept} that it leaves to the system to sync (appendfsync no)"
            return Fact("warning", f"{text}: a power failure can cost half a minute; set `appendfsync everysec`")
        if sync is None:
            return Fact("good", f"{kept}; how often it is synced cannot be seen (+config|get)")
        return Fact("good", f"{kept}, synced each second: a crash costs nothing, a power failure up to 2 s of records")

    def _memory(self) -> Iterator[Fact]:
        info = self._info
        used, limit, total = (int(info.get(name, 0)) for name in ("used_memory", "maxmemory", "total_system_memory"))
        policy = str(info.get("maxmemory_policy", ""))
        if policy.startswith("allkeys-"):
            when = f"at {limit / _MIB:,.0f} MiB" if limit else "once it has a maxmemory"
            text = f"maxmemory-policy is {policy}: {when} it deletes keys, this buffer among them, with all its records"
            yield Fact("error" if limit else "warning", f"{text}; set `maxmemory-policy noeviction`")
        elif policy.startswith("volatile-") and limit:
            text = f"maxmemory-policy is {policy}: it may delete keys of other programs that expire; those of a buffer"
            yield Fact("good", f"{text} never do")
        if not limit:
            text = f"it uses {used / _MIB:,.0f} MiB and has no limit (maxmemory)"
            if total and used > _NEARLY * total:
                yield Fact("warning", f"{text}, and its machine has {total / _MIB:,.0f} MiB: it may soon be killed")
            elif total:
                yield Fact("good", f"{text}; its machine has {total / _MIB:,.0f} MiB")
            else:
                yield Fact("good", text)
            return
        left = limit - used
        text = f"{max(0, left) / _MIB:,.0f} MiB are left of the {limit / _MIB:,.0f} MiB that it may use (maxmemory)"
        growth = self._growth()
        if left < (1 - _NEARLY) * limit:
            yield Fact("warning", f"{text}: soon records are refused; raise it, or see to the slowest pump")
        elif growth is not None and left < growth:
            cap = f"the buffer may still grow by {growth / _MIB:,.0f} MiB"
            yield Fact("warning", f"{text}, and {cap}: raise it, or lower that by `pumpkit buffer limit`")
        else:
            yield Fact("good", text)

    def _growth(self) -> int | None:
        """Return how many bytes the buffer may still grow by, None if there is none yet or it cannot be seen."""
        names = ("max_bytes", "bytes", "trimmed_bytes")
        values = _try(lambda: self._client.hmget(Keys.of(self._place.name).meta, *names))
        if not values or values[0] is None:
            return None
        cap, stored, trimmed = (int(value or 0) for value in values)
        return max(0, cap - (stored - trimmed))

    def _connections(self) -> Iterator[Fact]:
        used, most = int(self._info.get("connected_clients", 0)), int(self._info.get("maxclients", 0))
        if most and used > _NEARLY * most:
            yield Fact("warning", f"{used} clients are connected of {most} that it takes; raise its maxclients")

    def _clock(self) -> Iterator[Fact]:
        began, wall = time.monotonic(), time.time()
        said = _try(self._client.time)
        if said is None:
            return
        took = time.monotonic() - began
        ahead = said[0] + said[1] / 1e6 - (wall + took / 2)
        if abs(ahead) > _CLOCK + took:
            side = "ahead of" if ahead > 0 else "behind"
            text = f"its clock is {abs(ahead):,.0f} s {side} the one of this machine, so ages and times will look wrong"
            yield Fact("warning", f"{text}; see to NTP on both")
        else:
            yield Fact("good", f"its clock and the one of this machine differ by {abs(ahead):.1f} s")

    def _setting(self, name: str) -> str | None:
        """Return a setting of the server, None if it may not be looked at."""
        said = _try(lambda: self._client.config_get(name))
        return said.get(name) if said else None


def _try(ask: Any) -> Any:
    """Return an answer, None if there is none: this user may not ask, or the service does not have the command."""
    with contextlib.suppress(redis.ResponseError):
        return ask()
    return None


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
