"""What a CSV sink is given again it writes once, whatever happened before; and what it remembers is bounded."""

import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pumpkit_csv.seen import PRODUCERS, RECORDS, Seen
from tests.sinks.conftest import CsvWorld, cells, numbers


def test_what_comes_again_is_written_once(csv_world: CsvWorld) -> None:
    """Whole batches, parts of them and several at once, before and after a restart."""
    sink = csv_world.open()
    csv_world.write(sink, numbers(0, 5))
    csv_world.write(sink, numbers(0, 5))
    csv_world.write(sink, numbers(3, 4), first=3)
    csv_world.close(sink)
    sink = csv_world.open()
    csv_world.write(sink, numbers(0, 9))
    assert csv_world.rows() == cells(0, 9)


@pytest.mark.parametrize("torn", [b"", b'"9', b'"9","record 9"\n', b"\0" * 5000])
def test_a_torn_tail_is_cut_off_and_comes_again(csv_world: CsvWorld, torn: bytes) -> None:
    """What a kill left behind the committed offset was never acknowledged; whole rows in it would come twice."""
    csv_world.write(csv_world.open(), numbers(0, 9))
    csv_world.left_behind(torn)
    csv_world.write(csv_world.open(), numbers(5, 9), first=5)
    assert csv_world.rows() == cells(0, 14)


def test_producers_are_told_apart(csv_world: CsvWorld) -> None:
    """The same sequence of two producers is two records, in one batch and in two."""
    sink = csv_world.open(**{"id-field": "id"})
    first, second = "a" * 32, "b" * 32
    ids = [f"{first}-0", f"{second}-0", f"{first}-1"]
    sink.write([{"n": 1}, {"n": 2}, {"n": 3}], ids, None, False)
    sink.write([{"n": 2}, {"n": 4}], [f"{second}-0", f"{second}-1"], None, False)
    assert [row[0] for row in csv_world.rows()] == [*ids, f"{second}-1"]


def test_a_rejected_record_is_rejected_again(csv_world: CsvWorld) -> None:
    """Redelivery gives the same dead letters, also after the record behind it was written."""
    sink = csv_world.open()
    bad: list[dict[Any, Any]] = [{"n": 0}, {b"n": 1}, {"n": 2}]
    for _ in range(2):
        assert list(csv_world.write(sink, bad)) == [1]
        csv_world.left_behind()
        sink = csv_world.open()
    assert list(csv_world.write(sink, [{"n": 3}, {"n": 4}], first=3)) == []
    assert list(csv_world.write(sink, bad)) == [1]
    assert csv_world.rows() == [["0"], ["2"], ["3"], ["4"]]


def test_a_rejected_record_is_written_once_the_settings_allow_it(csv_world: CsvWorld) -> None:
    """The pump stops when everything is rejected; corrected settings must find all of it unwritten."""
    sink = csv_world.open(**{"id-field": "n"})
    assert len(csv_world.write(sink, numbers(0, 3))) == 3
    assert len(csv_world.write(sink, [{"text": "x"}, *numbers(4, 3)], first=3)) == 3
    csv_world.left_behind()
    sink = csv_world.open(**{"id-field": "id"})
    for _ in range(2):
        csv_world.write(sink, numbers(0, 3))
        csv_world.write(sink, [{"text": "x"}, *numbers(4, 3)], first=3)
    assert [row[-1] for row in csv_world.rows()] == ["x", "0", "1", "2", "4", "5", "6"]


def test_a_replay_is_written_although_later_records_are(csv_world: CsvWorld) -> None:
    """`late` ids lie below the marks; the same replay after a crash in between is not written again."""
    sink = csv_world.open()
    csv_world.write(sink, numbers(10, 5), first=10)
    csv_world.write(sink, numbers(3, 3), first=3, late=True)
    csv_world.left_behind()
    sink = csv_world.open()
    csv_world.write(sink, numbers(2, 3), first=2, late=True)
    csv_world.write(sink, numbers(5, 2), first=5, late=True)
    csv_world.write(sink, numbers(10, 7), first=10)
    assert csv_world.rows() == cells(10, 5) + cells(3, 3) + cells(2, 1) + cells(6, 1) + cells(15, 2)


def test_a_replay_may_be_rejected_again(csv_world: CsvWorld) -> None:
    """Then it stays a dead letter, and the next replay is judged anew."""
    sink = csv_world.open()
    csv_world.write(sink, numbers(0, 5))
    assert list(csv_world.write(sink, [{b"n": 1}, {"n": 2}], first=1, late=True)) == [0]
    assert list(csv_world.write(sink, [{b"n": 1}], first=1, late=True)) == [0]
    assert csv_world.write(sink, [{"n": 1}], first=1, late=True) == {}
    assert csv_world.rows() == [*cells(0, 5), ["2", ""], ["1", ""]]


def test_an_id_of_another_form_is_refused(csv_world: CsvWorld) -> None:
    """Nothing can be promised for it, and nothing of the batch is written."""
    sink = csv_world.open()
    with pytest.raises(ValueError, match="a record id ends in a sequence, not in 'producer'"):
        sink.write([{"n": 0}, {"n": 1}], ["a-0", "producer"], None, False)
    assert csv_world.files() == []


@settings(max_examples=300)
@given(st.data())
def test_no_log_that_keeps_its_contract_gets_a_record_lost_or_doubled(data: st.DataObject) -> None:
    """A model of pump and log: fetches of several producers, some rejected, handed out again from anywhere in one."""
    seen, written, rejected, sequence = Seen(), [], set(), dict.fromkeys("ab", 0)
    for _ in range(data.draw(st.integers(1, 6))):
        fetch = []
        for producer in data.draw(st.lists(st.sampled_from("ab"), min_size=1, max_size=6)):
            sequence[producer] += data.draw(st.integers(1, 2))
            fetch.append(f"{producer}-{sequence[producer]}")
        bad = data.draw(st.sets(st.sampled_from(fetch)))
        for _ in range(data.draw(st.integers(0, 2)) + 1):  # the last time, the commit arrives
            cuts = [*sorted(data.draw(st.sets(st.integers(0, len(fetch))))), len(fetch)]
            start = 0
            for cut in cuts:
                ids = fetch[start:cut]
                fresh = [ids[index] for index in seen.fresh(ids, late=False)]
                assert not set(fresh) & set(written)
                refused = [id_ for id_ in fresh if id_ in bad]
                assert set(refused) == bad & set(ids)
                written += [id_ for id_ in fresh if id_ not in bad]
                seen = seen.after(fresh, refused, late=False) if fresh else seen
                start = cut
        rejected |= bad
        assert set(fetch) - bad <= set(written)
    assert len(set(written)) == len(written)
    assert not rejected & set(written)


def test_what_is_remembered_is_bounded_and_covers_the_last_batch() -> None:
    """The oldest producers and ids go first; a batch larger than the bounds is remembered whole."""
    seen = Seen()
    for n in range(PRODUCERS + 10):
        seen = seen.after([f"{n}-0"], [f"{n}-0"], late=False).after([f"x-{n}"], [], late=True)
    assert list(seen.next_seq) == [str(n) for n in range(10, PRODUCERS + 10)]
    assert (len(seen.rejected), len(seen.late)) == (PRODUCERS + 10, PRODUCERS + 10)
    many = [f"p{n}-7" for n in range(2 * RECORDS)]
    seen = seen.after(["10-1"], [], late=False).after(many, many, late=False).after(many, [], late=True)
    assert [len(part) for part in (seen.next_seq, seen.rejected, seen.late)] == [2 * RECORDS] * 3
    seen = seen.after(["p0-8"], [], late=False)
    assert list(seen.next_seq)[-2:] == [f"p{2 * RECORDS - 1}", "p0"]
    assert len(seen.next_seq) == PRODUCERS


def test_a_large_batch_comes_again_in_small_ones() -> None:
    """After a smaller `batch-records`, records of a batch beyond the bounds are rejected again, and written once."""
    ids = [f"p{n}-0" for n in range(4 * RECORDS)]
    bad = set(ids[: 3 * RECORDS])
    seen = Seen().after(ids, sorted(bad, key=ids.index), late=False)
    for _ in range(2):
        for at in range(0, len(ids), 1_000):
            batch = ids[at : at + 1_000]
            fresh = [batch[index] for index in seen.fresh(batch, late=False)]
            assert fresh == [id_ for id_ in batch if id_ in bad]
            seen = seen.after(batch, fresh, late=False) if fresh else seen
    seen = seen.after(["new-0"], [], late=False)
    assert (len(seen.next_seq), len(seen.rejected)) == (PRODUCERS, RECORDS)


def test_a_batch_that_comes_again_with_more(csv_world: CsvWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written of it is remembered with the rest, when it has more producers than are remembered."""
    monkeypatch.setattr("pumpkit_csv.seen.PRODUCERS", 4)
    sink = csv_world.open()
    ids = [f"{n:032x}-0" for n in range(9)]
    for handed_out in (6, 9, 9):
        sink.write([{"n": n} for n in range(handed_out)], ids[:handed_out], None, False)
    assert csv_world.rows() == [[str(n)] for n in range(9)]


def test_a_late_record_is_remembered_once() -> None:
    """A replay that comes again with more neither writes a record again nor forgets one."""
    seen = Seen().after(["a-1", "a-2"], [], late=True).after(["a-1", "a-2", "a-3", "a-4"], ["a-4"], late=True)
    assert seen.late == ["a-1", "a-2", "a-3"]


def test_memory_and_commit_file_stay_flat(csv_world: CsvWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many records, files and producers pass: no trace of them is kept but the last marks."""
    monkeypatch.setattr("pumpkit_csv.seen.PRODUCERS", 50)
    sink = csv_world.open(**{"max-bytes": 20_000})
    commit = csv_world.dir / "pumpkit-csv.commit"
    sizes = []
    tracemalloc.start()
    try:
        for n in range(400):
            sink.write([{"n": n, "text": "x" * 40}] * 9, csv_world.ids(0, 9, f"{n:032x}"), None, False)
            sizes.append((tracemalloc.get_traced_memory()[0], commit.stat().st_size))
    finally:
        tracemalloc.stop()
    assert len(csv_world.files()) > 5
    assert sizes[399][0] < sizes[99][0] + 50_000
    assert sizes[399][1] < sizes[99][1] + 100
