"""One pump in this process: a real log, a real plugin, and a watcher that never waits."""

import contextlib
import json
import time
from pathlib import Path

import apsw
import msgpack
import pytest

from pumpkit import pump as pump_module
from pumpkit.buffers import open_buffer
from pumpkit.config import Filters, Meta, PumpConfig
from pumpkit.errors import BufferUnavailable, ConfigError
from pumpkit.frames import pack_frame
from pumpkit.ids import new_producer
from pumpkit.plugins import Sink
from pumpkit.pump import Pump
from pumpkit.replay import Replayer
from pumpkit.trouble import Trouble
from pumpkit.values import RecordPacker, unpack_record


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


def test_a_record_goes_through_every_step(bench):
    """Filters, omit-detail, fields, rename and add, in this order; then the sink; then the commit."""
    pump = bench.pump(
        filters=Filters(include={"effect": ["allow"]}),
        omit_detailed_recording=True,
        fields=["effect", "policies", "n"],
        rename_fields={"effect": "verdict"},
        add_fields={"site": "x"},
    )
    bench.fill({"n": 1, "effect": "allow", "policies": "secret", "other": 1}, {"n": 2, "effect": "deny"})
    assert pump.turn() == 1
    assert bench.arrived == [{"verdict": "allow", "policies": "", "n": 1, "site": "x"}]
    stats = bench.cursor.stats()
    assert (stats.delivered, stats.filtered, stats.dead, stats.lag) == (1, 1, 0, 0)
    assert [stage for stage, *_ in bench.watcher.watched] == ["select", "shorten", "write"]


def test_frames_of_other_sources_are_filtered_whole(bench):
    """`sources` selects by the reporter's service name, without decoding."""
    pump = bench.pump(sources=["authz"])
    bench.fill({"n": 1}, source="authz")
    bench.fill({"n": 2}, {"n": 3}, source="web")
    bench.drain(pump)
    assert bench.arrived == [{"n": 1}]
    assert bench.cursor.stats().filtered == 2


def test_writes_are_no_larger_than_batch_records(bench):
    """A frame is cut into writes of `batch-records`; the commit is one, and parts taken are remembered till then."""
    pump = bench.pump(batch_records=2)
    bench.fill(*({"n": n} for n in range(5)))
    bench.drain(pump)
    assert [(first[1], last[1]) for stage, first, last, _ in bench.watcher.watched] == [(0, 1), (2, 3), (4, 4)]
    assert bench.cursor.accepted() == []


def test_what_a_dead_worker_had_accepted_is_not_written_again(bench):
    """Parts of the fetch in hand that the sink took are known to the next worker."""
    until = bench.folder / "up"
    meta = {"field": "n", "value": "4", "until": str(until), "how": "connection"}
    pump = bench.pump("t-unavailable", batch_records=2, meta=meta)
    bench.fill(*({"n": n} for n in range(5)))
    bench.watcher.patience = 3
    with pytest.raises(Enough, match="ConnectionRefusedError"):
        pump.turn()
    until.touch()
    bench.drain(bench.pump("t-unavailable", batch_records=2, meta=meta))
    assert [record["n"] for record in bench.arrived] == [0, 1, 2, 3, 4]
    assert bench.cursor.stats().delivered == 5


def test_a_bad_frame_is_one_dead_letter_with_its_bytes(bench):
    """It stands for all its records in the ledger, and the next frame goes on."""
    frame = bytearray(pack_frame(producer=new_producer(), first=0, runs=[(b"\x81\xa1n\x01", 1)] * 3, created_ms=1))
    frame[-1] ^= 1
    bench.buffer.append([bytes(frame)])
    bench.fill({"n": 9})
    bench.drain(bench.pump())
    (letter,) = bench.dead
    assert (letter.kind, letter.records, letter.record) == ("bad-frame", 3, bytes(frame))
    assert letter.id == f"{bench.buffer.stats().buffer_id}:{letter.position}"
    assert (bench.arrived, bench.cursor.stats().dead) == ([{"n": 9}], 3)


def test_a_dead_letter_holds_the_record_as_the_sink_was_to_get_it(bench):
    """Shortened and renamed, with the reason the sink gave and the plugin that refused it."""
    pump = bench.pump("t-reject", rename_fields={"n": "m"}, meta={"field": "m", "value": "2"})
    producer = bench.fill({"n": 1}, {"n": 2}, {"n": 3})
    bench.drain(pump)
    (letter,) = bench.dead
    assert unpack_record(letter.record) == {"m": 2}
    assert (letter.id, letter.kind, letter.attempts) == (f"{producer}-1", "rejected", 1)
    assert letter.plugin.startswith("t-reject (")


def test_a_predicate_that_raises_dead_letters_that_record(bench):
    """Filters are asked per record; an exception is about that one."""
    pump = bench.pump("t-exit-filter", meta={"how": "sys", "field": "n", "value": "2"})
    bench.fill({"n": 1}, {"n": 2}, {"n": 3})
    bench.drain(pump)
    assert ([record["n"] for record in bench.arrived], [letter.kind for letter in bench.dead]) == ([1, 3], ["filter"])


def test_a_lone_bad_record_waits_for_a_witness(bench):
    """With nothing accepted after it a record is held; once the next batch is written it is tried again and dead."""
    pump = bench.pump("t-poison", max_attempts=1, meta={"field": "n", "value": "13"})
    bench.fill({"n": 13})
    pump.turn()
    assert (bench.dead, bench.cursor.stats().lag) == ([], 1)
    bench.fill({"n": 14})
    pump.turn()
    assert [letter.kind for letter in bench.dead] == ["unknown"]
    assert (bench.arrived, bench.cursor.stats().lag) == ([{"n": 14}], 0)


def test_a_record_that_killed_its_worker_alone_waits_for_a_witness_too(bench):
    """A fresh worker with nothing else in hand fetches and writes the next batch before it tries that one again."""
    bench.fill({"n": 13})
    bench.fill({"n": 14})
    killer = Trouble("write", (1, 0), (1, 0), "crash", 5)
    pump = bench.pump("t-poison", [killer], 5, max_attempts=1, batch_records=1, meta={"field": "n", "value": "13"})
    pump.turn()
    assert (bench.arrived, bench.dead) == ([], [])
    pump.turn()
    assert (bench.arrived, [letter.kind for letter in bench.dead]) == ([{"n": 14}], ["unknown"])


def test_dead_letters_are_capped_and_never_dropped(bench, monkeypatch):
    """At the cap the pump stops as failed, before it commits; nothing that was written is written again."""
    monkeypatch.setattr(pump_module, "MAX_DEAD_LETTERS", 2)
    meta = {"field": "bad", "value": "True"}
    bench.fill(*({"n": n, "bad": n < 3} for n in range(5)))
    with pytest.raises(ConfigError, match="pumpkit dlq ls"):
        bench.pump("t-reject", meta=meta).turn()
    assert (bench.dead, bench.cursor.stats().lag) == ([], 5)
    monkeypatch.setattr(pump_module, "MAX_DEAD_LETTERS", 3)
    bench.drain(bench.pump("t-reject", meta=meta))
    assert (len(bench.dead), [record["n"] for record in bench.arrived]) == (3, [3, 4])


def test_a_frame_from_the_future_is_kept(bench):
    """A newer format is refused with "upgrade" and stays in the log."""
    fields = msgpack.unpackb(pack_frame(producer=new_producer(), first=0, runs=[(b"\x81\xa1n\x01", 1)], created_ms=1))
    bench.fill({"n": 1})
    path = bench.folder / "buffer.db"
    bench.buffer.close()
    with contextlib.closing(apsw.Connection(str(path))) as connection:
        connection.execute("update frames set frame = ?", [msgpack.packb([2, *fields[1:]])])
    bench.buffer = open_buffer(f"sqlite:///{path}")
    with pytest.raises(ConfigError, match="upgrade"):
        bench.pump().turn()
    assert (bench.cursor.stats().lag, bench.dead) == (1, [])


def test_abandoning_redelivers_what_was_in_hand(bench):
    """Records in hand of a pump that steps aside are fetched again."""
    pump = bench.pump("t-poison", max_attempts=1, meta={"field": "n", "value": "13", "until": str(bench.folder / "up")})
    bench.fill({"n": 13})
    pump.turn()
    pump.abandon()
    (bench.folder / "up").touch()
    bench.drain(pump)
    assert (bench.arrived, bench.cursor.stats().delivered) == ([{"n": 13}], 1)


def test_a_log_created_anew_under_a_pump_begins_a_new_worker(bench):
    """What this process knows is of the old log: it leaves, and the next one begins at the oldest record."""
    bench.fill({"n": 1})
    pump = bench.pump()
    bench.drain(pump)
    bench.buffer.close()
    for file in bench.folder.glob("buffer.db*"):
        if file.is_file():
            file.unlink()
    bench.buffer = open_buffer(f"sqlite:///{bench.folder}/buffer.db")
    bench.fill({"n": 2})
    with pytest.raises(BufferUnavailable, match="created anew"):
        bench.drain(bench.pump())
    bench.drain(bench.pump())
    assert [record["n"] for record in bench.arrived] == [1, 2]


def reject_then_accept(bench, *numbers, kind="t-reject", **settings):
    """Make dead letters of records by a sink that rejects them until the file `up` is there; return the pump."""
    meta = {"field": "bad", "value": "True", "until": str(bench.folder / "up")}
    pump = bench.pump(kind, meta=meta, **settings)
    bench.fill(*({"n": n, "bad": True} for n in numbers), {"n": 99, "bad": False})
    bench.drain(pump)
    assert len(bench.dead) == len(numbers)
    return pump


def test_a_replayed_letter_that_is_refused_again_stays(bench):
    """With the new reason, one more attempt, and no mark."""
    pump = reject_then_accept(bench, 1, 2)
    before = bench.dead
    bench.buffer.mark("p", "replay")
    Replayer(pump).turn()
    after = bench.dead
    assert [(letter.id, letter.attempts, letter.mark) for letter in after] == [
        (letter.id, letter.attempts + 1, None) for letter in before
    ]
    assert bench.cursor.stats().dead == 2


def test_a_replay_that_finds_the_sink_away_waits(bench):
    """Letters stay marked through an outage and are written after it, once."""
    pump = reject_then_accept(bench, 1, 2)
    (bench.folder / "up").touch()
    bench.buffer.mark("p", "replay")
    down = bench.folder / "down"
    away = bench.pump("t-unavailable", meta={"until": str(down)})
    bench.watcher.patience = 2
    with pytest.raises(Enough):
        Replayer(away).turn()
    assert [letter.mark for letter in bench.dead] == ["replay", "replay"]
    down.touch()
    pump = bench.pump("t-unavailable", meta={"until": str(down)})
    Replayer(pump).turn()
    assert bench.dead == []
    assert sorted(record["n"] for record in bench.arrived) == [1, 2, 99]


def test_a_bad_frame_cannot_be_replayed(bench):
    """It says so, and stays to be purged."""
    frame = bytearray(pack_frame(producer=new_producer(), first=0, runs=[(b"\x81\xa1n\x01", 1)], created_ms=1))
    frame[-1] ^= 1
    bench.buffer.append([bytes(frame)])
    pump = bench.pump()
    bench.drain(pump)
    bench.buffer.mark("p", "replay")
    replayer = Replayer(pump)
    replayer.turn()
    (letter,) = bench.dead
    assert (letter.mark, "only purged" in letter.reason) == (None, True)
    bench.buffer.mark("p", "purge")
    replayer.turn()
    assert (bench.dead, bench.cursor.stats().dead) == ([], 1)


def test_a_letter_that_kills_two_workers_is_not_tried_for_ever(bench):
    """The one that killed two alone stays, as a crash; those beside it are written, and the trouble is over."""
    pump = reject_then_accept(bench, 1, 2, 3)
    (bench.folder / "up").touch()
    bench.buffer.mark("p", "replay")
    second = bench.dead[1]
    place = (second.position, int(second.id.rpartition("-")[2]))
    killer = Trouble("replay", place, place, "crash", 0)
    replayer = Replayer(pump, [Trouble("replay", (0, 0), (99, 99), "crash", 0), killer, killer])
    replayer.turn()
    assert [(letter.id, letter.kind, letter.mark) for letter in bench.dead] == [(second.id, "crash", None)]
    assert sorted(record["n"] for record in bench.arrived) == [1, 3, 99]
    assert replayer.trouble == []


def test_a_letter_that_killed_one_worker_is_tried_again(bench):
    """The cause may be mended: one death refuses nothing."""
    pump = reject_then_accept(bench, 1)
    (bench.folder / "up").touch()
    bench.buffer.mark("p", "replay")
    (letter,) = bench.dead
    place = (letter.position, int(letter.id.rpartition("-")[2]))
    Replayer(pump, [Trouble("replay", place, place, "timeout", 0)]).turn()
    assert bench.dead == []


def test_a_filter_letter_takes_the_steps_before_the_sink_again(bench):
    """What died in a filter is kept as it came; its replay is filtered, shortened and renamed like any record."""
    steps = {
        "omit_detailed_recording": True,
        "fields": ["n", "policies"],
        "rename_fields": {"n": "m"},
        "add_fields": {"region": "x"},
        "filters": Filters(exclude={"kind": ["health"]}),
    }
    up = str(bench.folder / "up")
    bad = {"how": "sys", "field": "bad", "value": "True", "until": up}
    pump = bench.pump("t-exit-filter", meta=bad, **steps)
    bench.fill(
        {"n": 1, "policies": "SECRET", "ip": "1.2.3.4", "bad": True},
        {"n": 2, "kind": "health", "bad": False},
        {"n": 3, "policies": "SECRET", "bad": False},
    )
    bench.drain(pump)
    (letter,) = bench.dead
    assert (letter.kind, unpack_record(letter.record)["policies"]) == ("filter", "SECRET")
    assert letter.plugin.startswith("t-exit-filter (")
    bench.buffer.mark("p", "replay")
    Replayer(pump).turn()
    assert [(letter.kind, letter.mark) for letter in bench.dead] == [("filter", None)]
    (bench.folder / "up").touch()
    bench.buffer.mark("p", "replay")
    Replayer(pump).turn()
    assert bench.dead == []
    assert bench.arrived == [{"m": n, "policies": "", "region": "x"} for n in (3, 1)]


def test_a_filter_letter_that_is_not_wanted_any_more_is_forgotten(bench):
    """As it would have been filtered; it stays counted as dead."""
    meta = {"how": "sys", "field": "n", "value": "1"}
    bench.fill({"n": 1, "kind": "health"})
    bench.drain(bench.pump("t-exit-filter", meta=meta))
    bench.buffer.mark("p", "replay")
    pump = bench.pump("t-file", filters=Filters(exclude={"kind": ["health"]}))
    Replayer(pump).turn()
    assert (bench.dead, bench.arrived, bench.cursor.stats().dead) == ([], [], 1)


def test_refused_replays_do_not_stop_the_pump(bench):
    """However many letters in a row are refused again."""
    reject_then_accept(bench, *range(20))
    bench.buffer.mark("p", "replay")
    meta = {"field": "bad", "value": "True", "until": str(bench.folder / "up")}
    Replayer(bench.pump("t-reject", meta=meta, reject_limit=5)).turn()
    assert len(bench.dead) == 20
    assert all(letter.mark is None for letter in bench.dead)


def test_what_a_replay_has_written_is_not_written_again(bench):
    """Each accepted write is remembered at once: a replay that is broken off goes on where it was."""
    reject_then_accept(bench, 1, 2, 3)
    (bench.folder / "up").touch()
    bench.buffer.mark("p", "replay")
    down = bench.folder / "down"
    meta = {"field": "n", "value": "3", "until": str(down), "how": "connection"}
    for _ in range(3):
        bench.watcher.pauses.clear()
        bench.watcher.patience = 2
        with pytest.raises(Enough):
            Replayer(bench.pump("t-unavailable", batch_records=1, meta=meta)).turn()
    down.touch()
    Replayer(bench.pump("t-unavailable", batch_records=1, meta=meta)).turn()
    assert sorted(record["n"] for record in bench.arrived) == [1, 2, 3, 99]
    assert bench.dead == []


def test_a_bad_letter_among_good_ones_is_found(bench):
    """A replay that fails as a whole is halved like any batch; new records are witnesses for old ones."""
    reject_then_accept(bench, 1, 2, 3)
    bench.buffer.mark("p", "replay")
    pump = bench.pump("t-poison", max_attempts=1, meta={"field": "n", "value": "2"})
    replayer, deadline = Replayer(pump), time.monotonic() + 30
    while bench.dead[0].mark and time.monotonic() < deadline:
        replayer.turn()
        bench.fill({"n": 100})
        pump.turn()
    assert [(letter.kind, letter.mark) for letter in bench.dead] == [("unknown", None)]
    assert sorted(record["n"] for record in bench.arrived if record["n"] != 100) == [1, 3, 99]
