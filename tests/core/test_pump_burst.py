"""A real pump, log and sink under records that the sink can only refuse by the batch, and faults before the sink."""

from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from pumpkit.buffers import open_buffer
from pumpkit.config import Filters, Meta, PumpConfig
from pumpkit.frames import pack_frame
from pumpkit.plugins import Sink
from pumpkit.pump import Pump
from pumpkit.values import RecordPacker


class Watcher:
    """Lets everything pass and never sleeps."""

    @contextmanager
    def watch(self, stage, first, last, limit):
        """Guard nothing."""
        yield

    def pause(self, seconds, reason):
        """Go on at once."""

    def wrote(self, records, seconds):
        """Take no note."""


class World:
    """A pump of `t-poison`, its log and what arrived."""

    def __init__(self, folder, **config):
        self.arrived = folder / "arrived.jsonl"
        self.buffer = open_buffer(f"sqlite:///{folder}/buffer.db")
        self.cursor = self.buffer.cursor("p")
        config = PumpConfig(name="p", type="t-poison", **config)
        meta = Meta({"path": str(self.arrived), "field": "kind", "value": "poison"})
        self.pump = Pump(config, Sink.open(config, meta), self.cursor, "buffer", Watcher())
        self.next_seq = 0

    def append(self, *kinds):
        """Report records of these kinds."""
        runs = RecordPacker().pack([{"kind": kind} for kind in kinds]).runs
        frame = pack_frame(producer=bytes(16), first=self.next_seq, runs=runs, created_ms=0)
        self.buffer.append([frame])
        self.next_seq += len(kinds)


@pytest.fixture
def make_world(tmp_path, monkeypatch):
    """Return a function that makes a world; all of it is closed at the end."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "sinks_for_tests"))
    monkeypatch.setattr("pumpkit.pump.backoff", lambda tries: 0)
    with ExitStack() as stack:

        def make(**config):
            world = World(tmp_path, **config)
            stack.callback(world.buffer.close)
            stack.callback(world.cursor.close)
            return world

        yield make


@pytest.mark.parametrize("bad", [8, 65, 1500])
def test_a_burst_of_bad_records_is_found_out_by_the_good_ones_after_it(make_world, bad):
    """However many: held at first, as if the destination were down, then dead; what follows is delivered."""
    world = make_world()
    world.append(*["poison"] * bad)
    for good in (0, 3, 2):
        if good:
            assert world.cursor.stats().delivered == 0
            world.append(*["good"] * good)
        for _ in range(3):
            world.pump.turn()
    stats = world.cursor.stats()
    assert (stats.delivered, stats.dead, stats.lag) == (5, bad, 0)
    assert len(world.arrived.read_text().splitlines()) == 5


def test_a_step_that_fails_by_itself_counts_nothing_as_delivered(make_world, monkeypatch):
    """A fault of ours before the sink, such as a lack of memory, ends the worker; the records stay in the log."""

    def fails(batch, numbers, wanted):
        raise MemoryError

    world = make_world(filters=Filters(include={"kind": ["good"]}))
    world.append(*["good"] * 40)
    monkeypatch.setattr("pumpkit.pump.select", fails)
    with pytest.raises(RuntimeError, match="select failed for 40 records"):
        world.pump.turn()
    stats = world.cursor.stats()
    assert (stats.delivered, stats.filtered, stats.dead, stats.lag) == (0, 0, 0, 40)
