"""Applications, a runner and CSV while the Redis between them dies: the promise table with real programs."""

import time
from collections import Counter

import pytest

from tests.servers.redis_lagging import LaggingPair

#: Records of each of two producers, and their pause after each 50: they report for some seconds.
RECORDS = 6_000
PAUSE = 0.05


def start(world):
    """Two pumps, CSV and a sink without a memory of its own; two producers that report for some seconds."""
    meta = {"csv-dir": str(world.folder / "csv"), "id-field": "id", "max-bytes": "256KiB"}
    world.configure({"csv": {"meta": meta}, "file": {"type": "t-file"}}, **{"purge-delay": 0.02})
    world.run()
    world.wait_for_state("csv", "running")
    world.wait_for_state("file", "running")
    producers = [world.report(n * RECORDS, (n + 1) * RECORDS, PAUSE) for n in range(2)]
    world.until(lambda: world.csv_rows())
    return producers


def check(world, producers):
    """Check that everything is in CSV once, and that it reached the other sink."""
    assert [producer.wait(60) for producer in producers] == [0, 0]
    world.wait_for_lag("csv")
    world.wait_for_lag("file")
    wanted = set(range(2 * RECORDS))
    arrived = Counter(int(row["n"]) for row in world.csv_rows())
    assert [n for n, times in arrived.items() if times > 1] == []
    assert wanted - set(arrived) == set()
    assert set(world.arrived("file")) == wanted
    for name in ("csv", "file"):
        world.balance(name)


@pytest.mark.parametrize("persistence", ["yes", "no"], ids=["append-only file", "no persistence"])
def test_redis_is_killed_again_and_again(new_world, new_redis, dice, persistence):
    """With an append-only file nothing is lost; without one, what was under way comes back by the resend window."""
    server = new_redis("--appendonly", persistence)
    world = new_world(server.url)
    producers = start(world)
    for _ in range(3):
        time.sleep(dice.uniform(0.3, 1.0))
        server.kill()
        server.start()
    check(world, producers)


def test_fail_over_under_load(new_world, redis_replicated, dice):
    """The replica misses what its master did last; reporters send that again, and nothing is twice in CSV."""
    with LaggingPair(redis_replicated) as pair:
        world = new_world(pair.url)
        producers = start(world)
        pair.lag()
        time.sleep(dice.uniform(0.3, 1.0))
        pair.fail_over()
        check(world, producers)


def test_everything_is_flushed(new_world, redis_server):
    """FLUSHALL takes cursors, leases and locks too; runner, pumps and reporters find together again."""
    world = new_world(redis_server.url)
    producers = start(world)
    with redis_server.client() as client:
        client.flushall()
    check(world, producers)
