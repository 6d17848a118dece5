"""One pump in this process: a real log, a real plugin, and a watcher that never waits."""

import contextlib
import json
from pathlib import Path

import pytest

from pumpkit.buffers import open_buffer
from pumpkit.config import Meta, PumpConfig
from pumpkit.frames import pack_frame
from pumpkit.ids import new_producer
from pumpkit.plugins import Sink
from pumpkit.pump import Pump
from pumpkit.values import RecordPacker


class Enough(Exception):
    """The test has seen enough pauses."""


class Watcher:
    """Notes what a pump tells its process; pauses cost nothing, and after too many of them the pump is left."""

    def __init__(self):
        self.watched, self.pauses, self.written, self.patience = [], [], 0, 50

    @contextlib.contextmanager
    def watch(self, stage, first, last, limit):
        self.watched.append((stage, first, last, limit))
        yield

    def pause(self, seconds, reason):
        self.pauses.append(reason)
        if len(self.pauses) > self.patience:
            raise Enough(reason)

    def wrote(self, records, seconds):
        self.written += records


class Bench:
    """A log in a folder, and pumps on it."""

    def __init__(self, folder):
        self.folder = folder
        self.buffer = open_buffer(f"sqlite:///{folder}/buffer.db")
        self.watcher = Watcher()
        self.cursor = None

    def fill(self, *records, source="", **header):
        """Store records in one frame; return its producer."""
        producer = new_producer()
        runs = RecordPacker().pack(list(records)).runs
        self.buffer.append([pack_frame(producer=producer, first=0, runs=runs, created_ms=1, source=source, **header)])
        return producer.hex()

    def pump(self, kind="t-file", trouble=(), accepted=0, meta=None, **settings):
        """Open a pump, after closing the one before."""
        self.close_cursor()
        config = PumpConfig(name="p", type=kind, **settings)
        values = {"path": str(self.folder / "arrived.jsonl")} | (meta or {})
        sink = Sink.open(config, Meta(values, base=self.folder))
        sink.init()
        self.cursor = self.buffer.cursor("p")
        buffer_id = self.buffer.stats().buffer_id
        return Pump(config, sink, self.cursor, buffer_id, self.watcher, trouble=trouble, accepted=accepted)

    def drain(self, pump):
        """Turn until there is nothing more."""
        while pump.turn():
            pass

    @property
    def arrived(self):
        """The records that arrived, in order."""
        path = self.folder / "arrived.jsonl"
        return [json.loads(line)["record"] for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def dead(self):
        """The dead letters."""
        return self.buffer.dead_letters("p")

    def close_cursor(self):
        if self.cursor is not None:
            self.cursor.close()
            self.cursor = None


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """A log, and the sinks for tests installed."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "sinks_for_tests"))
    bench = Bench(tmp_path)
    yield bench
    bench.close_cursor()
    bench.buffer.close()
