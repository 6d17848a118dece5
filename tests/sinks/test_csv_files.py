"""The files of a CSV sink: which there are, and when the next one begins."""

import datetime
from typing import Any

import pytest

from pumpkit.errors import ConfigError
from tests.sinks.conftest import CsvWorld, cells, numbers


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
        csv_world.left_behind()
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
