"""What is told of the servers that hold a buffer."""

import re
import shutil
from collections.abc import Callable

import pytest

from pumpkit.buffers import open_buffer
from pumpkit.buffers.base import Fact, Severity
from pumpkit.buffers.redis import facts
from pumpkit.errors import BufferUnavailable
from tests.servers.redis import RedisServer, Replicated, free_port, wait_until
from tests.servers.redis_cluster import Cluster
from tests.servers.redis_sentinel import Sentinels
from tests.servers.redis_tls import TlsRedisServer


def find(found: list[Fact], words: str) -> Severity | None:
    """Return the severity of the one fact that matches, None if none does."""
    matching = [fact for fact in found if re.search(words, fact.text)]
    assert len(matching) < 2, matching
    return matching[0].severity if matching else None


def settings(server: RedisServer, **values: str) -> list[Fact]:
    """Change settings of a server, and return its facts."""
    with server.client() as client:
        for name, value in values.items():
            client.config_set(name.replace("_", "-"), value)
    return facts(server.url)


def test_versions(redis_kind: str, redis_server: RedisServer) -> None:
    """Of Redis, and of Valkey its own and not the one it says for the sake of old clients."""
    version = {"redis7": r"^Redis 7\.", "valkey9": r"^Valkey 9\.", "redis6": r"^Redis 6\.2"}[redis_kind]
    assert find(facts(redis_server.url), version) == "good"


def test_how_it_keeps_data(redis_kind: str, redis_server: RedisServer) -> None:
    """Nothing, snapshots, or an append-only file and how often that is synced: what each may lose."""
    assert find(settings(redis_server), "keeps nothing on disk: .*; set `appendonly yes`") == "warning"
    assert find(settings(redis_server, save="3600 1"), r"snapshots only \(save 3600 1\)") == "warning"
    found = settings(redis_server, appendonly="yes", appendfsync="everysec")
    assert find(found, "synced each second: a crash costs nothing, a power failure up to 2 s") == "good"
    assert find(found, "snapshots|nothing on disk") is None
    assert find(settings(redis_server, appendfsync="always"), "survives a power failure") == "good"
    assert find(settings(redis_server, appendfsync="no"), "half a minute") == "warning"


def test_a_disk_that_failed(new_redis: Callable[..., RedisServer]) -> None:
    """A snapshot that failed stops writing, unless the server is told to go on."""
    server = new_redis()
    with server.client() as client:
        client.config_set("save", "1000 1000")
        shutil.rmtree(server.folder)
        client.bgsave()
        wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", "the save has failed")
    assert find(facts(server.url), "last snapshot failed, so it takes no records") == "error"
    found = settings(server, stop_writes_on_bgsave_error="no")
    assert find(found, "last snapshot failed: see its disk") == "warning"


def test_policies_that_delete(redis_kind: str, redis_server: RedisServer) -> None:
    """One that may delete any key is an error where it can come to that; nothing of a buffer ever expires."""
    assert find(settings(redis_server), "policy") is None
    words = "policy is allkeys-lru: .* deletes keys, this buffer among them.*set `maxmemory-policy noeviction`"
    assert find(settings(redis_server, maxmemory_policy="allkeys-lru"), words) == "warning"
    assert find(settings(redis_server, maxmemory="1gb"), words) == "error"
    assert find(settings(redis_server, maxmemory_policy="volatile-ttl"), "those of a buffer never do") == "good"


def test_memory(redis_kind: str, redis_server: RedisServer) -> None:
    """What is left, against what the buffer may still grow by."""
    assert find(settings(redis_server), "has no limit") == "good"
    assert find(settings(redis_server, maxmemory="2gb"), "are left of the 2,048 MiB that it may use") == "good"
    open_buffer(redis_server.url).close()
    assert find(settings(redis_server, maxmemory="2gb"), "are left of the 2,048 MiB") == "good"
    found = settings(redis_server, maxmemory="512mb")
    assert find(found, "left of the 512 MiB .* may still grow by 1,024 MiB: raise it, or lower that by") == "warning"
    with redis_server.client() as client:
        used = client.info("memory")["used_memory"]
    assert find(settings(redis_server, maxmemory=str(used)), "soon records are refused") == "warning"


def test_replicas(redis_kind: str, redis_replicated: Replicated) -> None:
    """How many follow a master, and how many must; a replica itself is no place for a buffer."""
    url = redis_replicated.url
    assert find(facts(url), "a master with 1 replica connected; after a fail-over") == "good"
    assert find(facts(url + "?replicas=2"), "asks for 2 replicas to confirm records, and 1 are connected") == "warning"
    found = settings(redis_replicated.master, min_replicas_to_write="1")
    assert find(found, "it takes writes while 1 of them follow") == "good"
    port = redis_replicated.master.port
    found = facts(redis_replicated.replica.url)
    assert find(found, rf"a replica and takes no records; name its master 127\.0\.0\.1:{port}") == "error"


def test_sentinels(redis_kind: str, redis_sentinel: Sentinels) -> None:
    """What each of them says, those that do not answer, and when too few are left."""
    found = facts(redis_sentinel.url)
    named = [fact for fact in found if f"names 127.0.0.1:{redis_sentinel.master.port} as the master" in fact.text]
    assert len(named) == 3
    assert {fact.severity for fact in named} == {"good"}
    dead = f"127.0.0.1:{free_port()}"
    found = facts(f"redis+sentinel://127.0.0.1:{redis_sentinel.ports[0]},{dead}/main")
    assert find(found, f"the sentinel {dead}: nobody listens there") == "warning"
    assert find(found, "1 sentinel of 2 can be reached, and 2 have to agree") == "warning"


def test_a_cluster(redis_kind: str, redis_cluster: Cluster) -> None:
    """How large it is, and which nodes hold the buffer: those of all its shards."""
    node = redis_cluster.node_of("{pumpkit}")
    found = facts(redis_cluster.url)
    assert find(found, rf"a cluster of 3 masters; this buffer is on 127\.0\.0\.1:{node.port}$") == "good"
    assert find(found, "no replica is connected") == "warning"
    nodes = {redis_cluster.node_of(f"{{pumpkit{shard}}}").port for shard in ("", *(f":{n}" for n in range(1, 8)))}
    found = facts(redis_cluster.url + "?shards=8")
    versions = {
        int(re.search(r":(\d+): ", fact.text)[1]) for fact in found if "Redis " in fact.text or "Valk" in fact.text
    }
    assert versions == nodes


def test_what_a_user_may_not_see(redis_kind: str, redis_server: RedisServer) -> None:
    """Without the rights to look it says which are missing, and tells the rest."""
    redis_server.add_user("blind", "x", "~*", "+@read", "+time")
    url = redis_server.url.replace("://", "://blind:x@")
    found = facts(url)
    assert find(found, "may not run INFO.*allow .info") == "warning"
    assert find(found, "its clock") == "good"
    redis_server.add_user("blind", "x", "~*", "+info")
    assert find(facts(url), r"whether it makes snapshots cannot be seen \(\+config\|get\)") == "warning"
    settings(redis_server, appendonly="yes")
    assert find(facts(url), r"how often it is synced cannot be seen") == "good"


def test_too_many_clients(redis_server: RedisServer) -> None:
    """Near its limit of connections."""
    assert find(settings(redis_server), "maxclients") is None
    with redis_server.client() as other:
        other.config_set("maxclients", "2")
        assert find(facts(redis_server.url), "2 clients are connected of 2 that it takes") == "warning"


def test_tls_and_sockets(redis_tls: TlsRedisServer, redis_server: RedisServer) -> None:
    """However it is reached."""
    for url in (redis_tls.url, redis_server.unix_url):
        assert find(facts(url), "^(Redis|Valkey) ") == "good"


def test_nobody_there() -> None:
    """Facts of a server that cannot be reached are an error."""
    with pytest.raises(BufferUnavailable, match="nobody listens there"):
        facts(f"redis://127.0.0.1:{free_port()}")
