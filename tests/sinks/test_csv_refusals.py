"""What stops a CSV sink: a commit file or a live file that others changed, and another writer."""

import multiprocessing
import os
import shutil
import signal
import threading
import zlib
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from pumpkit.errors import ConfigError
from tests.sinks.conftest import CsvWorld, cells, numbers


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
    csv_world.left_behind()
    path = csv_world.dir / "pumpkit-csv.commit"
    for blob in damaged(path.read_bytes()):
        path.write_bytes(blob)
        message = refused(csv_world)
        assert message.startswith(f"{path} is damaged")
        assert "move all of them elsewhere to begin anew" in message


def test_a_commit_file_of_a_newer_version_asks_for_an_upgrade(csv_world: CsvWorld) -> None:
    """A downgrade does not guess."""
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
        csv_world.left_behind()
        (csv_world.dir / "pumpkit-csv.commit").write_bytes(backup)
        assert "is an old one" in refused(csv_world)


def test_an_older_commit_file_is_recognised_without_the_lock_file_if_files_are_newer(csv_world: CsvWorld) -> None:
    """A file that the commit does not know is deleted only if it is empty and the very next one."""
    path = csv_world.dir / "pumpkit-csv.commit"
    sink = csv_world.open()
    csv_world.write(sink, numbers(0, 1))
    backup = path.read_bytes()
    csv_world.write(sink, [{"new": 1}], first=1)
    csv_world.left_behind()
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
    csv_world.left_behind()
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
    csv_world.left_behind()
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
        csv_world.left_behind()
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
