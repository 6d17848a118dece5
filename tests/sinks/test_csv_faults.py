"""A CSV sink is killed, or its disk fails, at every system call: in the end every row is there, once and in order."""

import contextlib
import csv
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pumpkit.errors import ConfigError, Unavailable
from tests.conftest import missing
from tests.sinks.conftest import CsvWorld

DRIVER = Path(__file__).parent / "csv_driver.py"

#: System calls that change what is on the disk, or what of it is durable.
CALLS = "openat,write,pwrite64,fdatasync,fsync,ftruncate,?mkdir,?mkdirat,?rename,?renameat,?renameat2,?unlink,?unlinkat"

#: Errors that a disk may answer with.
ERRORS = ("EIO", "ENOSPC", "EDQUOT")

A, B = "a" * 32, "b" * 32


def batch(producer: str, sequences: list[int], late: bool = False, **more: Any) -> dict[str, Any]:
    """Return one write of the plan. A record with the field `id` is rejected: the id column has that title."""
    records = [{"n": n, "from": producer[0], **more} for n in sequences]
    return {"ids": [f"{producer}-{n}" for n in sequences], "records": records, "late": late}


#: Fetches of two producers: several writes in one, rejected records, a new field, a replay, files that grow full.
FETCHES = [
    [batch(A, [0, 1, 2]), batch(B, [0, 1])],
    [batch(A, [3, 4]), batch(A, [5], id="mine"), batch(A, [6, 8])],
    [batch(A, [9], new="x\ny"), batch(B, [2, 3])],
    [batch(A, [5], late=True)],
    [batch(B, [4, 5, 6, 7])],
    [batch(B, [8, 9], id="mine"), batch(A, [10, 11])],
]
PLAN = {"meta": {"max-bytes": 400, "id-field": "id"}, "fetches": FETCHES, "tries": 0}
WRITES = [write for fetch in FETCHES for write in fetch]
DEAD = [id_ for write in WRITES if "id" in write["records"][0] for id_ in write["ids"]]
ROWS = [
    {"id": id_} | {field: str(value) for field, value in record.items()}
    for write in WRITES
    if "id" not in write["records"][0]
    for id_, record in zip(write["ids"], write["records"], strict=True)
]


class Point(NamedTuple):
    """The `nth` call of one system call in a run of the driver; `ours` if the sink made it, not the driver."""

    call: str
    nth: int
    ours: bool

    def fault(self, what: str) -> list[str]:
        """Return how strace is told to do something at this point."""
        return ["-e", f"inject={self.call}:{what}:when={self.nth}"]


class Driven:
    """A folder in which the driver runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "out"
        folder.mkdir()
        self.plan()

    def plan(self, **changes: Any) -> None:
        """Write the plan; what is done of it stays done."""
        (self.folder / "plan.json").write_text(json.dumps(PLAN | changes))

    def run(self, *fault: str) -> "subprocess.CompletedProcess[str]":
        """Run the driver, with a fault by strace if one is given."""
        command = [sys.executable, str(DRIVER), str(self.folder)]
        if fault:
            command = ["strace", "-qq", "-o", os.devnull, "-e", f"trace={CALLS}", *fault, *command]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    def points(self) -> list[Point]:
        """Run the driver and return the calls that it makes from the first on that touches its output."""
        log = self.folder.with_suffix(".strace")
        command = ["strace", "-qq", "-y", "-o", str(log), "-e", f"trace={CALLS}"]
        subprocess.run([*command, sys.executable, str(DRIVER), str(self.folder)], check=True, timeout=60)
        nth: Counter[str] = Counter()
        points: list[Point] = []
        for line in log.read_text(errors="replace").splitlines():
            call, ours = line.partition("(")[0], f"{self.out}" in line
            nth[call] += 1
            if points or ours:
                points.append(Point(call, nth[call], ours))
        return points

    def state(self) -> tuple[Any, ...]:
        """Return all that a next run finds."""
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file() and path.suffix != ".lock")
        return tuple((path.relative_to(self.folder), path.read_bytes()) for path in paths)

    def copy(self, name: str) -> "Driven":
        """Return a copy of all of it."""
        other = Driven(self.folder.with_name(name))
        shutil.copytree(self.folder, other.folder, dirs_exist_ok=True)
        return other

    def finish(self, told: str) -> None:
        """Let the driver run to its end and check what is there; `told` says what happened before."""
        done = self.run()
        assert done.returncode == 0, f"{told}: {done.stderr}"
        if list(self.out.glob("*.part")):  # the stop before failed in its last step
            assert self.run().returncode == 0
        assert json.loads((self.folder / "cursor.json").read_text()) == {"place": len(FETCHES), "dead": DEAD}, told
        assert self.rows() == ROWS, told
        names = {path.name for path in self.out.iterdir()} - {"pumpkit-csv.new"}
        assert {name for name in names if not name.endswith(".csv")} == {"pumpkit-csv.commit", "pumpkit-csv.lock"}, told

    def rows(self) -> list[dict[str, str]]:
        """Return the rows of all files in order, without empty cells."""
        rows = []
        for path in sorted(self.out.glob("*.csv"), key=lambda path: path.name.split("-")[-1]):
            with path.open(newline="", encoding="utf-8") as file:
                rows += [{title: cell for title, cell in row.items() if cell} for row in csv.DictReader(file)]
        return rows


class Faults(NamedTuple):
    """Where faults can be put: a run to which nothing happened, and its calls."""

    run: Driven
    points: list[Point]
    full: bool
    random: random.Random

    def some(self, points: list[Point], count: int) -> list[Point]:
        """Return the points to try: all of them with --full, else `count` that differ from run to run."""
        return points if self.full else self.random.sample(points, min(count, len(points)))


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Faults:
    """A whole run, looked at by strace."""
    if shutil.which("strace") is None:
        missing("strace", "apt-get install strace")
    folder = tmp_path_factory.mktemp("whole")
    Driven(folder / "first").finish("the first run, which leaves compiled modules")
    run = Driven(folder / "run")
    points = run.points()
    run.finish("nothing happened")
    seed = int(os.environ.get("PUMPKIT_SEED", random.SystemRandom().randrange(10**6)))
    print(f"PUMPKIT_SEED={seed}")
    return Faults(run, points, bool(pytestconfig.getoption("--full")), random.Random(seed))


def test_a_whole_run_makes_every_kind_of_call(faults: Faults) -> None:
    """The plan reaches what it is meant to reach; else the tests below prove less than they say."""
    kinds = {point.call.removesuffix("at") for point in faults.points if point.ours}
    assert kinds >= {"open", "write", "pwrite64", "fdatasync", "fsync", "rename", "mkdir"}
    assert len(faults.points) > 150
    assert len(list(faults.run.out.glob("*.csv"))) >= 4


@pytest.mark.timeout(3_600)
def test_killed_at_any_call_and_again_at_any_call_of_the_recovery(faults: Faults, tmp_path: Path) -> None:
    """Every row once and in order, every dead letter once, no other file, whatever was killed."""
    found: set[tuple[Any, ...]] = set()
    kinds: set[str] = set()
    for number, point in enumerate(faults.some(faults.points, 8)):
        killed = Driven(tmp_path / f"killed-{number}")
        assert killed.run(*point.fault("signal=KILL")).returncode in (-9, 137), point
        if killed.state() not in found:
            found.add(killed.state())
            opened = killed.copy(f"opened-{number}")
            opened.plan(start=True)
            recovery = opened.points()
            kinds |= {second.call for second in recovery if second.ours}
            for again, second in enumerate(faults.some(recovery, 2)):
                twice = killed.copy(f"twice-{number}-{again}")
                twice.plan(start=True)
                assert twice.run(*second.fault("signal=KILL")).returncode in (-9, 137), (point, second)
                twice.plan()
                twice.finish(f"killed at {point}, then at {second}")
        killed.finish(f"killed at {point}")
        for path in tmp_path.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if faults.full:
        assert kinds >= {"ftruncate", "unlink", "rename"}  # every kind of recovery was met
    assert found


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("error", ERRORS)
def test_an_error_at_any_call_delays_but_loses_nothing(faults: Faults, tmp_path: Path, error: str) -> None:
    """The sink cuts off what was half written, says what failed, and writes the same batch when it is given again."""
    points = [point for point in faults.points if point.ours]
    if error != "EIO":  # the sink takes the same way for all of them
        points = faults.random.sample(points, 30)
    for number, point in enumerate(faults.some(points, 4)):
        driven = Driven(tmp_path / f"{number}")
        driven.plan(tries=1)
        done = driven.run(*point.fault(f"error={error}"))
        assert error in done.stdout + done.stderr, point  # unavailable, or a warning if it was at the stop
        driven.finish(f"{error} at {point}: {done.stdout} {done.stderr}")
        shutil.rmtree(driven.folder)


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("call", ["pwrite64", "fdatasync", "fsync", "rename", "ftruncate", "openat"])
def test_an_error_that_stays_is_reported_and_loses_nothing(faults: Faults, tmp_path: Path, call: str) -> None:
    """From some call on every one fails; once that is over, the pump goes on where it was."""
    points = [point for point in faults.points if point.ours and point.call == call] or [Point(call, 1, True)]
    for number, point in enumerate(faults.some(points, 2)):
        driven = Driven(tmp_path / f"{number}")
        if call == "ftruncate":  # in a recovery with something to cut off
            last = [other for other in faults.points if other.call == "fdatasync"][-1]
            driven.run(*last.fault("signal=KILL"))
        driven.plan(tries=2)
        done = driven.run("-e", f"inject={call}:error=EIO:when={point.nth}+")
        assert "EIO" in done.stdout + done.stderr, point
        driven.finish(f"EIO from {point} on: {done.stdout} {done.stderr}")
        shutil.rmtree(driven.folder)


def test_a_failed_sync_is_never_repeated_on_the_same_pages(faults: Faults, tmp_path: Path) -> None:
    """After an error of fdatasync the kernel may have dropped the rows: they are written again, to a fresh handle."""
    point = next(point for point in faults.points if point.call == "fdatasync")
    driven = Driven(tmp_path / "run")
    driven.plan(tries=1)
    log = tmp_path / "log"
    command = ["strace", "-qq", "-y", "-o", str(log), "-e", f"trace={CALLS},close", *point.fault("error=EIO")]
    subprocess.run([*command, sys.executable, str(DRIVER), str(driven.folder)], check=True, timeout=60)
    calls = [line.partition("(")[0] for line in log.read_text().splitlines() if ".csv.part" in line]
    failed = calls.index("fdatasync")
    assert calls[failed : failed + 7] == ["fdatasync", "close", "openat", "ftruncate", "fsync", "write", "fdatasync"]
    driven.finish("a failed sync")


# Without strace -------------------------------------------------------------------------------------------------


def rows(count: int, first: int = 0, size: int = 1_000) -> list[dict[str, Any]]:
    """Return records of about `size` bytes."""
    return [{"n": n, "text": "x" * size} for n in range(first, first + count)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        missing("the right to mount a small file system", "run the tests as root")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)  # a failed test may have left files open


def test_a_full_disk_is_waited_for(csv_world: CsvWorld, small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write cut short leaves no half of a row; with space again, the same batch is written whole."""
    taken: list[tuple[int, int]] = []
    write = os.write

    def watched(fd: int, data: Any) -> int:
        count = write(fd, data)
        taken.append((len(data), count))
        return count

    monkeypatch.setattr(os, "write", watched)
    csv_world.dir = small_disk / "out"
    sink = csv_world.open()
    csv_world.write(sink, rows(50))
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 100_000)
    live = csv_world.dir / csv_world.files()[0]
    size = live.stat().st_size
    for _ in range(3):
        with pytest.raises(Unavailable, match=r"out: No space left on device \(ENOSPC\)"):
            csv_world.write(sink, rows(150, 50), first=50)
        assert live.stat().st_size == size
    assert any(0 < count < given for given, count in taken)
    filler.unlink()
    csv_world.write(sink, rows(150, 50), first=50)
    assert [int(row[0]) for row in csv_world.rows()] == list(range(200))
    csv_world.close(sink)


def test_a_disk_that_is_full_at_the_start_is_waited_for(csv_world: CsvWorld, small_disk: Path) -> None:
    """Opening needs a little space; without it the pump is told to wait, and the lock is free for the next try."""
    csv_world.dir = small_disk / "out"
    filler = small_disk / "filler"
    with contextlib.suppress(OSError):
        filler.write_bytes(b"x" * 300_000)
    with pytest.raises(Unavailable, match="ENOSPC"):
        csv_world.open()
    filler.unlink()
    sink = csv_world.open()
    csv_world.write(sink, rows(1))
    csv_world.close(sink)


def test_a_limit_of_file_size_is_waited_for(csv_world: CsvWorld) -> None:
    """As with a full disk; the process is not ended by SIGXFSZ."""
    sink = csv_world.open()
    csv_world.write(sink, rows(5))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, hard))
    try:
        with pytest.raises(Unavailable, match="EFBIG"):
            csv_world.write(sink, rows(5, 5), first=5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    csv_world.write(sink, rows(5, 5), first=5)
    assert [int(row[0]) for row in csv_world.rows()] == list(range(10))


@pytest.fixture
def ordinary_user() -> Iterator[Path]:
    """An ordinary user for the time of a test, with a directory of his."""
    root = os.geteuid() == 0
    folder = Path(tempfile.mkdtemp())
    if root:
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
    yield folder
    if root:
        os.seteuid(0)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o700)
    shutil.rmtree(folder)


def test_a_directory_that_may_not_be_written_asks_for_a_person(csv_world: CsvWorld, ordinary_user: Path) -> None:
    """It says which path and which user; with the right given, the running sink goes on."""
    ordinary_user.chmod(0o500)
    csv_world.dir = ordinary_user / "out"
    with pytest.raises(ConfigError, match=rf"out: Permission denied \(EACCES\): let .*uid {os.geteuid()}"):
        csv_world.open()
    ordinary_user.chmod(0o700)
    sink = csv_world.open()
    csv_world.write(sink, rows(2))
    csv_world.dir.chmod(0o500)
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"pumpkit-csv.new: Permission denied \(EACCES\)"):
            csv_world.write(sink, rows(2, 2), first=2)
    csv_world.dir.chmod(0o700)
    csv_world.write(sink, rows(2, 2), first=2)
    assert [int(row[0]) for row in csv_world.rows()] == list(range(4))
    csv_world.close(sink)


def test_a_file_in_place_of_the_directory_asks_for_a_person(csv_world: CsvWorld) -> None:
    """The directory itself, and a part of its path."""
    csv_world.dir.write_text("mine")
    with pytest.raises(ConfigError, match=r"out.*\(ENOTDIR\)"):
        csv_world.open()
    csv_world.dir /= "deeper"
    with pytest.raises(ConfigError, match=r"deeper: Not a directory \(ENOTDIR\): a part of the path is no directory"):
        csv_world.open()
