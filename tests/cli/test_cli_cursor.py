"""`pumpkit cursor`, `pause` and `resume`: the places of pumps in the buffer."""

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from pumpkit.buffers import Buffer

Run = Callable[..., Result]


@pytest.fixture
def pumps(buffer: Buffer, store: Callable[..., list[str]]) -> Buffer:
    """A buffer with two pumps, three records before them."""
    buffer.register("audit")
    buffer.register("search")
    store({"n": 1}, {"n": 2}, {"n": 3})
    return buffer


def configure(folder: Path, url: str, *names: str) -> None:
    """Write a configuration with these pumps."""
    pumps = "".join(f"  {name}: {{type: csv, meta: {{csv-dir: ./{name}}}}}\n" for name in names)
    (folder / "pumpkit.yaml").write_text(f"buffer: {url}\npumps:\n{pumps}")


def test_ls(cli: Run, url: str, pumps: Buffer, workplace: Path) -> None:
    """Cursors are listed with lag and counts, and whether the configuration has the pump."""
    configure(workplace, url, "audit")
    listed = {cursor["pump"]: cursor for cursor in json.loads(cli("cursor", "ls", "--json").output)}
    assert {name: cursor["configured"] for name, cursor in listed.items()} == {"audit": True, "search": False}
    assert listed["audit"]["lag"] == 3
    lines = cli("cursor", "ls").output.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [["audit", "yes", "run"], ["search", "no", "run"]]


def test_ls_without_config(cli: Run, url: str, pumps: Buffer) -> None:
    """Without a configuration nobody can tell which are in it."""
    assert {cursor["configured"] for cursor in json.loads(cli("cursor", "ls", "-b", url, "--json").output)} == {None}


def test_ls_of_new_buffer(cli: Run, url: str, buffer: Buffer) -> None:
    """A buffer that no runner ever had says so."""
    assert cli("cursor", "ls", "-b", url).output == "no cursors: `pumpkit run` never ran on this buffer\n"


def test_drop_asks(cli: Run, url: str, pumps: Buffer) -> None:
    """Dropping says what is lost and asks; a no changes nothing."""
    result = cli("cursor", "drop", "search", "-b", url, input="n\n")
    assert result.exit_code == 1
    assert "Forget 'search': 3 records it has not delivered, 0 dead letters?" in result.output
    assert set(pumps.stats().cursors) == {"audit", "search"}
    assert cli("cursor", "drop", "search", "-b", url, input="y\n").exit_code == 0
    assert set(pumps.stats().cursors) == {"audit"}


def test_drop_of_configured(cli: Run, url: str, pumps: Buffer, workplace: Path) -> None:
    """--yes does not ask; a pump that the configuration still has is told of."""
    configure(workplace, url, "audit")
    result = cli("cursor", "drop", "audit", "--yes")
    assert "audit: dropped; 3 records no longer wait for it" in result.output
    assert "'audit' is still in the configuration" in result.stderr


def test_drop_of_working(cli: Run, url: str, pumps: Buffer) -> None:
    """A pump whose worker has its cursor is refused with 75."""
    with closing(pumps.cursor("audit")):
        result = cli("cursor", "drop", "audit", "--yes", "-b", url)
    assert result.exit_code == 75
    assert result.stderr.startswith("Error: ")
    assert "audit" in pumps.stats().cursors


def test_rename(cli: Run, url: str, pumps: Buffer) -> None:
    """A renamed cursor keeps its lag."""
    assert cli("cursor", "rename", "search", "find", "-b", url).exit_code == 0
    cursors = pumps.stats().cursors
    assert (set(cursors), cursors["find"].lag) == ({"audit", "find"}, 3)


@pytest.mark.parametrize(
    ("new", "why"),
    [("audit", "has a pump 'audit' already"), ("Audit", "is not a pump name"), ("../x", "is not a pump name")],
)
def test_rename_refused(cli: Run, url: str, pumps: Buffer, new: str, why: str) -> None:
    """Neither a name that is taken nor one that is none."""
    result = cli("cursor", "rename", "search", new, "-b", url)
    assert result.exit_code == 2
    assert why in " ".join(result.stderr.split())
    assert set(pumps.stats().cursors) == {"audit", "search"}


def test_pause_and_resume(cli: Run, url: str, pumps: Buffer) -> None:
    """Pausing sets what the pump's worker looks at; resuming says what waits, and that no runner is there."""
    assert cli("pause", "audit", "search", "-b", url).exit_code == 0
    assert {cursor.wanted for cursor in pumps.stats().cursors.values()} == {"pause"}
    result = cli("resume", "audit", "-b", url)
    assert "audit: resumed, with 3 records waiting" in result.output
    assert "no runner is running" in result.stderr
    assert {name: cursor.wanted for name, cursor in pumps.stats().cursors.items()} == {
        "audit": "run",
        "search": "pause",
    }


@pytest.mark.parametrize(
    "words",
    [("pause", "audti"), ("resume", "audti"), ("cursor", "drop", "audti", "--yes"), ("cursor", "rename", "audti", "x")],
)
def test_unknown_pump(cli: Run, url: str, pumps: Buffer, words: tuple[str, ...]) -> None:
    """An unknown pump exits with 2 and names the nearest one; nothing changes."""
    before = pumps.stats().cursors
    result = cli(*words, "-b", url)
    assert result.exit_code == 2
    assert "knows no pump 'audti'; did you mean 'audit'?" in result.stderr
    assert pumps.stats().cursors == before


def test_one_unknown_of_two(cli: Run, url: str, pumps: Buffer) -> None:
    """Pausing two pumps of which one is unknown pauses none."""
    assert cli("pause", "audit", "nothing", "-b", url).exit_code == 2
    assert pumps.stats().cursors["audit"].wanted == "run"


def test_unknown_pump_of_new_buffer(cli: Run, url: str, buffer: Buffer) -> None:
    """A buffer without pumps says why it has none."""
    assert "it knows none yet" in " ".join(cli("pause", "audit", "-b", url).stderr.split())


@pytest.mark.parametrize(
    "words", [("cursor", "ls"), ("cursor", "drop", "a", "-y"), ("pause", "a"), ("dlq", "ls"), ("buffer", "stats")]
)
def test_missing_buffer(cli: Run, url: str, words: tuple[str, ...]) -> None:
    """A buffer that does not exist is not made by looking at it: 69."""
    result: Any = cli(*words, "-b", url)
    assert result.exit_code == 69
    assert not Path(url.removeprefix("sqlite:///")).exists()


@pytest.mark.parametrize("words", [("cursor", "drop", "a", "-y"), ("pause", "a"), ("buffer", "limit", "1GiB")])
def test_broken_config(cli: Run, workplace: Path, words: tuple[str, ...]) -> None:
    """A broken configuration does not make a command work on another buffer than it names: 78."""
    (workplace / "pumpkit.yaml").write_text("bufer: sqlite:///x.db\n")
    result = cli(*words)
    assert result.exit_code == 78
    assert "pumpkit.yaml:1" in result.stderr
