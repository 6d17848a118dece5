"""Lists behind sentinels, in clusters, on shards, and lists of a million records."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.inputs.conftest import KEY, World, items, until
from tests.servers.redis import RedisServer
from tests.servers.redis_cluster import Cluster
from tests.servers.redis_sentinel import Sentinels


@pytest.fixture
def in_cluster(redis_cluster: Cluster, tmp_path: Path) -> Iterator[World]:
    """A world whose client speaks to the node that has the list."""
    world = World(redis_cluster.node_of(KEY), tmp_path)
    world.url = redis_cluster.url
    yield world
    world.close()


def beside_or_not(world: World, url: str, expected: int) -> None:
    """Move a list in a cluster into a log there; `expected` is how many keys of the way across there are."""
    world.client.rpush(KEY, *items(0, 500))
    log = world.log(url)
    importer = world.importer(log)
    until(lambda: importer.counts.get("records") == 500)
    log.check(500)
    assert len(world.client.keys("*:pumpkit:state")) == expected


def test_a_list_and_a_log_in_one_slot_of_a_cluster(redis_kind: str, in_cluster: World) -> None:
    """The log's name is the list's own key: one script reaches both."""
    beside_or_not(in_cluster, f"{in_cluster.url}?name={KEY}", 0)


def test_a_list_and_a_log_in_two_slots_of_a_cluster(redis_kind: str, in_cluster: World) -> None:
    """The list takes the way across, with all that belongs to it in its own slot."""
    beside_or_not(in_cluster, in_cluster.url, 1)


def test_an_importer_in_a_cluster_is_killed(in_cluster: World) -> None:
    """The next one goes on where it was."""
    in_cluster.client.rpush(KEY, *items(0, 20_000))
    log = in_cluster.log(in_cluster.url)
    for _ in range(4):
        before = in_cluster.client.llen(KEY)
        importer = in_cluster.importer(log)
        until(lambda before=before: in_cluster.client.llen(KEY) < before)
        importer.kill()
    importer = in_cluster.importer(log)
    until(lambda: importer.counts.get("waiting") == 0 and importer.states[-1:] == ["running"])
    until(lambda: not in_cluster.client.exists(KEY, f"{{{KEY}}}:pumpkit:in-flight"))
    importer.stop()
    log.check(20_000)


@pytest.mark.parametrize("key", ["{a}b", "a{b", "a}b{c}"])
def test_keys_with_braces(redis_cluster: Cluster, tmp_path: Path, key: str) -> None:
    """What belongs to a list is in its slot, whatever hash tag its key has."""
    world = World(redis_cluster.node_of(key), tmp_path)
    world.url = redis_cluster.url
    try:
        world.client.rpush(key, *items(0, 10))
        log = world.log("across")
        importer = world.importer(log, key=key)
        until(lambda: importer.counts.get("records") == 10)
        log.check(10)
    finally:
        world.close()


def test_a_key_that_a_cluster_cannot_take(redis_cluster: Cluster, tmp_path: Path) -> None:
    """No key of ours can be in the slot of such a list: it is refused, in words."""
    world = World(redis_cluster.node_of("a}b"), tmp_path)
    world.url = redis_cluster.url
    try:
        importer = world.importer(world.log("across"), key="a}b")
        importer.end()
        assert importer.states == ["failed"]
        assert "a cluster cannot keep other keys beside a}b; rename it" in importer.reason
    finally:
        world.close()


def test_a_list_behind_sentinels(redis_sentinel: Sentinels, tmp_path: Path) -> None:
    """List and log are on the master of the moment."""
    world = World(redis_sentinel.master, tmp_path)
    world.url = redis_sentinel.url
    try:
        world.client.rpush(KEY, *items(0, 500))
        log = world.log(world.url)
        importer = world.importer(log)
        until(lambda: importer.counts.get("records") == 500)
        assert world.client.keys("*:pumpkit:*") == []
        log.check(500)
    finally:
        world.close()


def test_a_log_of_several_shards(world: World) -> None:
    """Each list goes into one of them, by one script."""
    for suffix in ("", "_1", "_2", "_3"):
        world.client.rpush(KEY + suffix, *items(10 * (len(suffix) and int(suffix[1])), 10))
    log = world.log(world.server.url + "?name=many&shards=3")
    for number, suffix in enumerate(("", "_1", "_2", "_3")):
        importer = world.importer(log, name=f"part{number}", key=KEY + suffix)
        until(lambda importer=importer: importer.counts.get("records") == 10)
        importer.stop()
    assert world.client.keys("*:pumpkit:*") == []
    log.check(40)


@pytest.mark.parametrize("where", ["within", "across"])
def test_a_million_records(new_redis: Callable[[], RedisServer], tmp_path: Path, where: str) -> None:
    """The importer's memory stays under 100 MiB, and so does what the server needs beside the list."""
    world = World(new_redis(), tmp_path)
    try:
        for first in range(0, 1_000_000, 10_000):
            world.client.rpush(KEY, *items(first, 10_000))
        log = world.log(where)
        before = world.client.info("memory")["used_memory"]
        importer = world.importer(log, batch=500)
        until(lambda: importer.counts.get("records") == 1_000_000)
        assert importer.memory < 100
        assert world.client.info("memory")["used_memory_peak"] - before < 100 << 20
        importer.stop()
        assert log.buffer.stats().stored == 1_000_000
        assert log.first_numbers(10_000) == list(range(10_000))
    finally:
        world.close()
