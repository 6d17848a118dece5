"""The files of a CSV sink: which there are, when the next one begins, what survives a stop, and what stops the sink."""

import datetime
import itertools
import multiprocessing
import os
import shutil
import signal
import tracemalloc
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pumpkit.errors import ConfigError
from pumpkit_csv.seen import PRODUCERS, RECORDS, Seen
from tests.sinks.conftest import CsvWorld


class Clock:
    """A clock that is set by hand."""

    def __init__(self, now: str) -> None:
        self.set(now)

    def set(self, now: str) -> None:
        """Set it to a time in UTC."""
        self.now = datetime.datetime.fromisoformat(now).replace(tzinfo=datetime.UTC)

    def __call__(self) -> datetime.datetime:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The sink's clock; it stands at one minute to five."""
    clock = Clock("2026-11-25T16:59:00")
    monkeypatch.setattr("pumpkit_csv.sink.utc_now", clock)
    return clock


def numbers(first: int, count: int) -> list[dict[str, Any]]:
    """Return records in a row."""
    return [{"n": n, "text": f"record {n}"} for n in range(first, first + count)]


def cells(first: int, count: int) -> list[list[str]]:
    """Return how they read."""
    return [[str(n), f"record {n}"] for n in range(first, first + count)]


# Which files there are ------------------------------------------------------------------------------------------


def test_files_are_named_by_pump_hour_and_number(csv_world: CsvWorld, clock: Clock) -> None:
    """The live file has `.part` behind its name until the pump stops; the directory is made, with its parents."""
    csv_world.dir = csv_world.folder / "deep" / "er"
    sink = csv_world.open()
    assert csv_world.files() == []
    csv_world.write(sink, numbers(0, 2))
    assert csv_world.files() == ["audit-20261125T16-000001.csv.part"]
    csv_world.close(sink)
    assert csv_world.files() == ["audit-20261125T16-000001.csv"]
    assert csv_world.tables() == [[["n", "text"], *cells(0, 2)]]


def test_the_next_file_begins_with_the_hour(csv_world: CsvWorld, clock: Clock) -> None:
    """At the first record of the hour, however late; a clock that is set back only labels."""
    sink = csv_world.open(prefix="access.log")
    csv_world.write(sink, numbers(0, 1))
    clock.set("2026-11-25T17:00:00")
    csv_world.write(sink, numbers(1, 1), first=1)
    csv_world.write(sink, numbers(2, 1), first=2)
    clock.set("2026-11-25T16:59:59")
    csv_world.write(sink, numbers(3, 1), first=3)
    assert csv_world.files() == [
        "access.log-20261125T16-000001.csv",
        "access.log-20261125T17-000002.csv",
        "access.log-20261125T16-000003.csv.part",
    ]
    assert [len(table) - 1 for table in csv_world.tables()] == [1, 2, 1]
    assert csv_world.rows() == cells(0, 4)


@pytest.mark.parametrize(("rotate", "days"), [("daily", 2), ("never", 1)])
def test_the_next_file_begins_with_the_day_or_never(csv_world: CsvWorld, clock: Clock, rotate: str, days: int) -> None:
    """`rotate: daily` takes the hours of one UTC day together, `never` takes everything."""
    sink = csv_world.open(rotate=rotate)
    for n, now in enumerate(["2026-11-25T16:59:00", "2026-11-25T23:59:59", "2026-11-26T00:00:00"]):
        clock.set(now)
        csv_world.write(sink, numbers(n, 1), first=n)
    assert len(csv_world.files()) == days
    assert csv_world.rows() == cells(0, 3)


def test_the_next_file_begins_before_one_is_too_large(csv_world: CsvWorld) -> None:
    """No file is larger than max-bytes, but for a single batch that is: it is not split."""
    sink = csv_world.open(**{"max-bytes": 200})
    for n in range(0, 30, 3):
        csv_world.write(sink, numbers(n, 3), first=n)
    csv_world.write(sink, numbers(30, 20), first=30)
    sizes = [(csv_world.dir / name).stat().st_size for name in csv_world.files()]
    assert [size <= 200 for size in sizes] == [True] * (len(sizes) - 1) + [False]
    assert len(sizes) == 4
    assert csv_world.rows() == cells(0, 50)


def test_a_new_field_begins_a_new_file(csv_world: CsvWorld) -> None:
    """The columns of later files are all fields met so far; after a restart too."""
    sink = csv_world.open()
    csv_world.write(sink, [{"a": 1}, {"b": 2}])
    csv_world.write(sink, [{"a": 3}], first=2)
    csv_world.write(sink, [{"a": 4}, {"a": 5, "c": 6}], first=3)
    csv_world.close(sink)
    csv_world.write(csv_world.open(), [{"c": 7}], first=5)
    assert csv_world.tables() == [
        [["a", "b"], ["1", ""], ["", "2"], ["3", ""]],
        [["a", "b", "c"], ["4", "", ""], ["5", "", "6"]],
        [["a", "b", "c"], ["", "", "7"]],
    ]


def test_other_settings_begin_a_new_file(csv_world: CsvWorld) -> None:
    """A live file left by a kill is not continued with another first line."""
    for n, meta in enumerate([{}, {"id-field": "id"}, {"fields": ["text"]}, {"fields": ["text"], "newline": "crlf"}]):
        sink = csv_world.open(**meta)
        csv_world.write(sink, numbers(n, 1), first=n)
        left_behind(csv_world)
    assert csv_world.tables() == [
        [["n", "text"], ["0", "record 0"]],
        [["id", "n", "text"], [*csv_world.ids(1, 1), "1", "record 1"]],
        [["text"], ["record 2"]],
        [["text"], ["record 3"]],
    ]
    assert (csv_world.dir / csv_world.files()[-1]).read_bytes() == b'"text"\r\n"record 3"\r\n'


def test_a_stop_without_records_leaves_no_file(csv_world: CsvWorld) -> None:
    """Start and stop make no empty files, and one stop more makes no further file."""
    for _ in range(2):
        csv_world.close(csv_world.open())
    assert csv_world.files() == []
    sink = csv_world.open()
    csv_world.write(sink, numbers(0, 1))
    csv_world.close(sink)
    csv_world.close(csv_world.open())
    assert len(csv_world.files()) == 1


def test_finished_files_may_be_taken_away(csv_world: CsvWorld) -> None:
    """Numbers go on although the files before are gone."""
    sink = csv_world.open()
    csv_world.write(sink, numbers(0, 1))
    csv_world.close(sink)
    (csv_world.dir / csv_world.files()[0]).unlink()
    csv_world.write(csv_world.open(), numbers(1, 1), first=1)
    assert csv_world.files()[0].endswith("-000002.csv.part")
    assert csv_world.rows() == cells(1, 1)


def test_files_are_for_their_owner_unless_the_directory_shares_them(csv_world: CsvWorld) -> None:
    """0600; in a setgid directory the group may read."""
    for shared in (False, True):
        csv_world.dir = csv_world.folder / str(shared)
        csv_world.dir.mkdir()
        if shared:
            csv_world.dir.chmod(0o2750)
        csv_world.write(csv_world.open(), numbers(0, 1))
        mode = (csv_world.dir / csv_world.files()[0]).stat().st_mode & 0o777
        assert mode == (0o640 if shared else 0o600)


@pytest.mark.parametrize(
    ("meta", "problem"),
    [
        ({"prefix": "../x"}, "meta.prefix: '../x' must be letters"),
        ({"prefix": "a" * 65}, "at most 64"),
        ({"fields": ["a", "b", "a"]}, "meta.fields: names a twice"),
        ({"fields": ["a"], "id-field": "a"}, "meta.id-field: a is one of `fields` too"),
        ({"max-bytes": 0}, "meta.max-bytes"),
        ({"rotate": "weekly"}, "meta.rotate"),
        ({"csv_dirs": "x"}, "did you mean csv-dir?"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused_at_its_key(
    csv_world: CsvWorld, meta: dict[str, Any], problem: str
) -> None:
    """Before anything is written, naming the key."""
    with pytest.raises(ConfigError) as caught:
        csv_world.open(**meta)
    assert problem in str(caught.value)
    assert not csv_world.dir.exists()


# Written once ---------------------------------------------------------------------------------------------------


COPIES = itertools.count(1)


def left_behind(world: CsvWorld, torn: bytes = b"") -> None:
    """Go on in a copy of the directory as a kill at this moment would leave it, with a torn write in the live file."""
    copy = world.folder / f"copy-{next(COPIES)}"
    shutil.copytree(world.dir, copy)
    world.dir = copy
    if torn:
        with (copy / world.files()[-1]).open("ab") as file:
            file.write(torn)


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
    left_behind(csv_world, torn)
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
        left_behind(csv_world)
        sink = csv_world.open()
    assert list(csv_world.write(sink, [{"n": 3}, {"n": 4}], first=3)) == []
    assert list(csv_world.write(sink, bad)) == [1]
    assert csv_world.rows() == [["0"], ["2"], ["3"], ["4"]]


def test_a_rejected_record_is_written_once_the_settings_allow_it(csv_world: CsvWorld) -> None:
    """The pump stops when everything is rejected; corrected settings must find all of it unwritten."""
    sink = csv_world.open(**{"id-field": "n"})
    assert len(csv_world.write(sink, numbers(0, 3))) == 3
    assert len(csv_world.write(sink, [{"text": "x"}, *numbers(4, 3)], first=3)) == 3
    left_behind(csv_world)
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
    left_behind(csv_world)
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


# What stops the sink --------------------------------------------------------------------------------------------


def refused(world: CsvWorld) -> str:
    """Open a sink that must not open; return why. Nothing may have changed."""
    before = snapshot(world.dir)
    with pytest.raises(ConfigError) as caught:
        world.open()
    assert snapshot(world.dir) == before
    return str(caught.value)


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return what is in a directory, but for the lock."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.suffix != ".lock"}


def damaged(blob: bytes) -> list[bytes]:
    """Return ways in which a commit file may be broken."""
    line = blob.split(b"\n")[0]
    return [b"", blob[:-1], blob[:40], line, b"\0" * len(blob), blob.replace(b'"offset":', b'"offset":1'), blob + b"x"]


def test_a_damaged_commit_file_stops_the_sink(csv_world: CsvWorld) -> None:
    """Torn, zeroed, changed: it says which file and what to do, and touches nothing."""
    csv_world.write(csv_world.open(), numbers(0, 3))
    left_behind(csv_world)
    path = csv_world.dir / "pumpkit-csv.commit"
    for blob in damaged(path.read_bytes()):
        path.write_bytes(blob)
        message = refused(csv_world)
        assert message.startswith(f"{path} is damaged")
        assert "move all of them elsewhere to begin anew" in message


def test_a_commit_file_of_a_newer_version_asks_for_an_upgrade(csv_world: CsvWorld) -> None:
    """A downgrade does not guess."""
    import zlib

    csv_world.dir.mkdir()
    line = b'{"v":2}'
    (csv_world.dir / "pumpkit-csv.commit").write_bytes(b"%s\n%08x\n" % (line, zlib.crc32(line)))
    assert "version 2, this pumpkit_csv reads 1: upgrade it" in refused(csv_world)


def test_an_older_commit_file_stops_the_sink(csv_world: CsvWorld) -> None:
    """One from a backup would cut off rows that were acknowledged; from the same file and from one before."""
    path = csv_world.dir / "pumpkit-csv.commit"
    sink = csv_world.open()
    backups = []
    for n in range(4):
        csv_world.write(sink, numbers(n, 1) if n < 3 else [{"new": n}], first=n)
        backups.append(path.read_bytes())
    for backup in backups[:3]:
        left_behind(csv_world)
        (csv_world.dir / "pumpkit-csv.commit").write_bytes(backup)
        assert "is an old one" in refused(csv_world)


def test_an_older_commit_file_is_recognised_without_the_lock_file_if_files_are_newer(csv_world: CsvWorld) -> None:
    """A file that the commit does not know is deleted only if it is empty and the very next one."""
    path = csv_world.dir / "pumpkit-csv.commit"
    sink = csv_world.open()
    csv_world.write(sink, numbers(0, 1))
    backup = path.read_bytes()
    csv_world.write(sink, [{"new": 1}], first=1)
    left_behind(csv_world)
    (csv_world.dir / "pumpkit-csv.lock").unlink()
    (csv_world.dir / "pumpkit-csv.commit").write_bytes(backup)
    message = refused(csv_world)
    assert "-000002.csv.part is not known to" in message
    (csv_world.dir / csv_world.files()[-1]).write_bytes(b"")
    (csv_world.dir / csv_world.files()[0]).rename(csv_world.dir / (csv_world.files()[0] + ".part"))
    csv_world.write(csv_world.open(), numbers(1, 1), first=1)
    assert csv_world.rows() == cells(0, 2)


@pytest.mark.parametrize("finished", [False, True])
def test_files_without_a_commit_file_stop_the_sink(csv_world: CsvWorld, finished: bool) -> None:
    """What was written last cannot be told from them alone."""
    sink = csv_world.open()
    csv_world.write(sink, numbers(0, 1))
    if finished:
        csv_world.close(sink)
    left_behind(csv_world)
    (csv_world.dir / "pumpkit-csv.commit").unlink()
    assert "pumpkit-csv.commit is missing; the last one here had number" in refused(csv_world)
    (csv_world.dir / "pumpkit-csv.lock").unlink()
    assert "is not known to" in refused(csv_world)


def rewrite(path: Path, old: bytes = b"", new: bytes = b"") -> None:
    """Replace a file by another one, as editors and `sed -i` do; without `old`, by an equal one."""
    copy = path.with_suffix(".copy")
    copy.write_bytes(path.read_bytes().replace(old, new) if old else path.read_bytes())
    copy.rename(path)


def replace(path: Path, make: Callable[[Path], object]) -> None:
    """Put something that is no regular file in place of a file."""
    moved = path.with_suffix(".moved")
    path.rename(moved)
    make(path)


MEDDLE: dict[str, Callable[[Path], object]] = {
    "delete": lambda path: path.unlink(),
    "finish": lambda path: path.rename(path.with_suffix("")),
    "truncate": lambda path: os.truncate(path, 5),
    "empty": lambda path: path.write_bytes(b""),
    "edit-title": lambda path: rewrite(path, b'"n"', b'"N"'),
    "edit-row": lambda path: rewrite(path, b'"record 0"', b'"another text"'),
    "symlink": lambda path: replace(path, lambda it: it.symlink_to(path.with_suffix(".moved"))),
    "directory": lambda path: replace(path, lambda it: it.mkdir()),
    "pipe": lambda path: replace(path, os.mkfifo),
}
MEDDLE_LIVE = MEDDLE | {
    "rewrite": rewrite,
    "append": lambda path: path.write_bytes(path.read_bytes() + b'"foreign","row"\n'),
}


@pytest.mark.parametrize("way", MEDDLE)
def test_a_live_file_changed_by_others_stops_the_next_start(csv_world: CsvWorld, way: str) -> None:
    """The message names the file; nothing is changed, and putting it back is enough."""
    csv_world.write(csv_world.open(), numbers(0, 3))
    left_behind(csv_world)
    live = csv_world.dir / csv_world.files()[-1]
    blob = live.read_bytes()
    MEDDLE[way](live)
    assert str(live) in refused(csv_world)
    if live.is_dir():
        live.rmdir()
    for name in csv_world.files():
        (csv_world.dir / name).unlink()
    live.write_bytes(blob)
    csv_world.write(csv_world.open(), numbers(0, 4))
    assert csv_world.rows() == cells(0, 4)


@pytest.mark.parametrize("way", MEDDLE_LIVE)
def test_a_live_file_changed_by_others_stops_the_running_sink(csv_world: CsvWorld, way: str) -> None:
    """Noticed before the next append, and before the file would be finished."""
    csv_world.write(csv_world.open(), numbers(0, 3))
    for step in ("append", "finish"):
        left_behind(csv_world)
        sink = csv_world.open()
        live = csv_world.dir / csv_world.files()[-1]
        MEDDLE_LIVE[way](live)
        record = numbers(3, 1) if step == "append" else [{"new": 1}]
        with pytest.raises(ConfigError) as caught:
            csv_world.write(sink, record, first=3)
        assert str(live) in str(caught.value)
        csv_world.close(sink)
        csv_world.dir = csv_world.folder / "out"


@pytest.mark.parametrize("way", ["unlinked", "moved"])
def test_a_directory_that_is_gone_stops_the_running_sink(csv_world: CsvWorld, way: str) -> None:
    """It is not made anew under the sink's feet: a person may want to move it back."""
    sink = csv_world.open()
    csv_world.write(sink, numbers(0, 3))
    if way == "moved":
        csv_world.dir.rename(csv_world.folder / "elsewhere")
    else:
        shutil.rmtree(csv_world.dir)
    for _ in range(2):
        with pytest.raises(ConfigError, match="moved or deleted"):
            csv_world.write(sink, numbers(3, 1), first=3)
    assert not csv_world.dir.exists()
    if way == "moved":
        (csv_world.folder / "elsewhere").rename(csv_world.dir)
        csv_world.write(sink, numbers(3, 1), first=3)
        assert csv_world.rows() == cells(0, 4)


def test_a_public_name_that_is_taken_stops_the_sink(csv_world: CsvWorld) -> None:
    """A finished file never replaces another one."""
    sink = csv_world.open()
    csv_world.write(sink, numbers(0, 1))
    taken = csv_world.dir / csv_world.files()[0].removesuffix(".part")
    taken.write_text("mine")
    with pytest.raises(ConfigError, match="stands where"):
        csv_world.write(sink, [{"new": 1}], first=1)
    with pytest.raises(ConfigError, match="stands where"):
        csv_world.write(sink, [{"new": 1}], first=1)
    assert taken.read_text() == "mine"
    taken.unlink()
    csv_world.write(sink, [{"new": 1}], first=1)
    assert csv_world.rows() == [*cells(0, 1), ["", "", "1"]]


# One writer -----------------------------------------------------------------------------------------------------


def hold(folder: Path, pipe: Connection, fork: bool) -> None:
    """Hold a directory, in a process of its own, until told to stop."""
    world = CsvWorld(folder)
    sink = world.open()
    child = 0
    if fork:
        child = os.fork()
        if child == 0:
            signal.pause()
    pipe.send(child)
    pipe.recv()
    sink.close()


@pytest.fixture
def holder(csv_world: CsvWorld, request: pytest.FixtureRequest) -> Any:
    """Another process that holds the directory; with `indirect` true it has forked a child, which lives on."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=hold, args=(csv_world.folder, there, getattr(request, "param", False)))
    process.start()
    child = here.recv()
    yield process, here
    process.kill()
    process.join()
    if child:
        os.kill(child, signal.SIGKILL)
    here.close()
    there.close()


def test_a_second_writer_is_refused_by_process_id(
    csv_world: CsvWorld, holder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process, or the same one."""
    monkeypatch.setattr("pumpkit_csv.lock.PATIENCE", 0.1)
    with pytest.raises(ConfigError, match=rf"out: process {holder[0].pid} writes there, and only one may"):
        csv_world.open()
    csv_world.dir = csv_world.folder / "mine"
    csv_world.open()
    with pytest.raises(ConfigError, match=rf"mine: process {os.getpid()} writes there"):
        csv_world.open()


def test_a_writer_waits_for_the_one_before_it_to_finish(csv_world: CsvWorld, holder: Any) -> None:
    """A restart needs no second try."""
    import threading

    timer = threading.Timer(0.3, holder[1].send, ["stop"])
    timer.start()
    csv_world.open()
    timer.join()


@pytest.mark.parametrize("holder", [True], indirect=True)
def test_a_killed_writer_holds_nothing_even_through_a_forked_child(csv_world: CsvWorld, holder: Any) -> None:
    """A child that a plugin forked does not keep the directory from the next worker."""
    holder[0].kill()
    holder[0].join()
    csv_world.write(csv_world.open(), numbers(0, 1))
    assert csv_world.rows() == cells(0, 1)


# Bounds ---------------------------------------------------------------------------------------------------------


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
