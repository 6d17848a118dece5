"""Dead letters that somebody marked: replayed by the rules of every batch, or purged."""

import time

import pytest

from pumpkit.config import Filters
from pumpkit.frames import pack_frame
from pumpkit.ids import new_producer
from pumpkit.replay import Replayer
from pumpkit.trouble import Trouble
from pumpkit.values import unpack_record
from tests.pump.conftest import Enough


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
