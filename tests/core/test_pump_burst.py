"""A real pump, log and sink under a burst of records that the sink can only refuse by the batch."""

from contextlib import contextmanager
from pathlib import Path

import pytest

from pumpkit.buffers import open_buffer
from pumpkit.config import Meta, PumpConfig
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


@pytest.mark.parametrize("bad", [8, 65, 1500])
def test_a_burst_of_bad_records_is_found_out_by_the_good_ones_after_it(tmp_path, monkeypatch, bad):
    """However many: held at first, as if the destination were down, then dead; what follows is delivered."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "sinks_for_tests"))
    monkeypatch.setattr("pumpkit.pump.backoff", lambda tries: 0)
    arrived = tmp_path / "arrived.jsonl"
    config = PumpConfig(name="p", type="t-poison")
    sink = Sink.open(config, Meta({"path": str(arrived), "field": "kind", "value": "poison"}))
    buffer = open_buffer(f"sqlite:///{tmp_path}/buffer.db")

    def append(records, first):
        runs = RecordPacker().pack(records).runs
        buffer.append([pack_frame(producer=bytes(16), first=first, runs=runs, created_ms=0)])

    cursor = buffer.cursor("p")
    pump = Pump(config, sink, cursor, "buffer", Watcher())
    append([{"kind": "poison"}] * bad, 0)
    for _ in range(3):
        pump.turn()
    assert cursor.stats().dead == 0
    append([{"kind": "good"}] * 3, bad)
    for _ in range(3):
        pump.turn()
    append([{"kind": "good"}] * 2, bad + 3)
    for _ in range(3):
        pump.turn()
    stats = cursor.stats()
    assert (stats.delivered, stats.dead, stats.lag) == (5, bad, 0)
    assert len(arrived.read_text().splitlines()) == 5
    cursor.close()
    buffer.close()
