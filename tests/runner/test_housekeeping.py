"""Rounds of housekeeping, one at a time, on a log in Redis that other runners share."""

import contextlib

import pytest

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
        self.told, self.skips = [], []
        self.keeper = Housekeeper(
            url,
            lambda: Config(pumps=pumps),
            lambda *told: self.told.append(told),
            lambda *skip: self.skips.append(skip),
        )
        for name in pumps:
            self.buffer.register(name)

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
