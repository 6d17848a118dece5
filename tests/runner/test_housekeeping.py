"""Rounds of housekeeping, one at a time, on a log in Redis that other runners share."""

import contextlib

import pytest
import redis

from pumpkit.buffers import open_buffer
from pumpkit.config import Config, PumpConfig
from pumpkit.frames import pack_frame
from pumpkit.ids import new_producer
from pumpkit.runner.housekeeping import Housekeeper
from pumpkit.values import RecordPacker


class Bench:
    """A log, a runner's housekeeper, and what it told."""

    def __init__(self, url, **required):
        pumps = {name: PumpConfig(name=name, required=needed) for name, needed in required.items()}
        self.buffer = open_buffer(url)
        self.url = url.partition("?")[0]
        self.told, self.skips = [], []
        self.keeper = Housekeeper(
            url,
            lambda: Config(pumps=pumps),
            lambda *told: self.told.append(told),
            lambda *skip: self.skips.append(skip),
        )
        for name in pumps:
            self.buffer.register(name)
        self.grow_old()

    def grow_old(self):
        """Let a minute pass since the log was made, in a manner of speaking."""
        for part in self.buffer.parts():
            with redis.Redis.from_url(self.url) as client:
                client.hset(f"{{{part.place.name}}}:meta", "made", 0)

    def round(self):
        self.keeper._round(self.buffer)

    def fill(self, frames, size=1000):
        """Store frames, each by a producer of its own."""
        for _ in range(frames):
            runs = RecordPacker().pack([{"pad": "x" * size}]).runs
            self.buffer.append([pack_frame(producer=new_producer(), first=0, runs=runs, created_ms=1)])

    def skipped(self):
        return {name: cursor.skipped for name, cursor in self.buffer.stats().cursors.items()}


@pytest.fixture
def bench(redis_server):
    """Make one; `shards=N` for several streams, others are pumps with whether they are required."""
    with contextlib.ExitStack() as stack:

        def make(shards=1, **required):
            bench = Bench(f"{redis_server.url}?shards={shards}", **required)
            stack.callback(bench.buffer.close)
            return bench

        yield make


def test_pumps_of_other_runners_are_not_moved_ahead(bench):
    """Near the cap an orphan makes room; a pump that another runner configures, even one that is away, does not."""
    bench = bench(mine=True)
    for name in ("theirs", "gone"):
        bench.buffer.register(name)
    bench.buffer.runner_lock({"pumps": "theirs"}, "east").release()
    bench.fill(20)
    cursor = bench.buffer.cursor("mine")
    cursor.skip(10**18)
    cursor.close()
    cursor = bench.buffer.cursor("theirs")
    cursor.skip(10**18)
    cursor.close()
    bench.buffer.set_max_bytes(bench.buffer.stats().size_bytes)
    bench.round()
    assert bench.skipped() == {"mine": 20, "theirs": 20, "gone": bench.skipped()["gone"]}
    assert bench.skipped()["gone"] > 0


def test_room_is_not_made_at_the_cost_of_another_runner(bench):
    """While a pump that only another runner configures holds the log, there is nothing to move."""
    bench = bench(mine=False)
    bench.buffer.register("theirs")
    bench.buffer.runner_lock({"pumps": "theirs"}, "east").release()
    bench.fill(20)
    bench.buffer.set_max_bytes(bench.buffer.stats().size_bytes)
    bench.round()
    assert bench.skipped() == {"mine": 0, "theirs": 0}


def test_each_part_of_a_sharded_log_makes_its_own_room(bench):
    """A part that is nearly full is trimmed and moved in; a worker is told which part it is."""
    bench = bench(shards=2, mine=False)
    bench.fill(40)
    parts = bench.buffer.parts()
    with contextlib.ExitStack() as stack:
        for part in parts:
            part.set_max_bytes(part.stats().size_bytes)
            stack.callback(part.cursor("mine", share="east").close)
        bench.round()
    assert sorted((pump, part) for pump, part, _ in bench.skips) == [("mine", 0), ("mine", 1)]
    bench.round()
    assert all(part.stats().cursors["mine"].skipped for part in parts)
    bench.round()
    assert bench.buffer.stats().frames < 40


def test_a_log_that_was_made_anew_gets_every_pump_before_it_is_trimmed(bench, redis_server):
    """A worker that registers its own pump first does not cost another pump its records."""
    bench = bench(mine=True, other=True)
    bench.round()
    with redis_server.client() as client:
        client.flushall()
    bench.fill(5)
    cursor = bench.buffer.cursor("mine")
    cursor.skip(10**18)
    cursor.close()
    bench.round()
    stats = bench.buffer.stats()
    assert (stats.frames, stats.cursors["other"].lag) == (5, 5)


@pytest.mark.parametrize("shards", [1, 2])
def test_nothing_is_trimmed_from_a_young_log(bench, shards):
    """A log made anew knows every pump again, in each part, and keeps all until other runners have seen to theirs."""
    bench = bench(shards=shards, one=True, two=True)
    bench.round()
    last = bench.buffer.parts()[-1]
    with redis.Redis.from_url(bench.url) as client:
        client.delete(*client.keys(f"{{{last.place.name}}}:*"))  # as a node does that lost its data
    last.append([next(_frames())])
    cursor = last.cursor("one")  # its worker is the first to be back
    cursor.skip(10**18)
    bench.round()
    assert set(last.stats().cursors) == {"one", "two"}
    bench.round()
    assert last.stats().frames == 1
    bench.grow_old()
    bench.round()
    assert last.stats().frames == 1  # until the other has passed it
    other = last.cursor("two")
    other.skip(10**18)
    bench.round()
    assert last.stats().frames == 0
    for one in (cursor, other):
        one.close()


def _frames():
    while True:
        yield pack_frame(producer=new_producer(), first=0, runs=RecordPacker().pack([{"n": 1}]).runs, created_ms=1)
