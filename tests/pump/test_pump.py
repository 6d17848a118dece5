"""The way of a batch through one pump."""

import contextlib

import apsw
import msgpack
import pytest

from pumpkit import pump as pump_module
from pumpkit.buffers import open_buffer
from pumpkit.config import Filters
from pumpkit.errors import BufferUnavailable, ConfigError
from pumpkit.frames import pack_frame
from pumpkit.ids import new_producer
from pumpkit.trouble import Trouble
from pumpkit.values import unpack_record
from tests.pump.conftest import Enough


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
