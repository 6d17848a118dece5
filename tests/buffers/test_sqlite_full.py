"""A full disk under an embedded buffer: nothing stored is lost, it drains, and then goes on."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from making import PLENTY, Producer, append_each, balance, deliver, drain, letter, other

from pumpkit.buffers import Buffer, open_buffer
from pumpkit.buffers.base import Counts, Part
from pumpkit.buffers.sqlite import place
from pumpkit.buffers.sqlite.place import RESERVE
from pumpkit.errors import BufferFull, BufferUnavailable

pytestmark = pytest.mark.usefixtures("as_root")


@pytest.fixture
def size() -> str:
    """How large the disk is."""
    return "8m"


@pytest.fixture
def disk(size: str, tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    point = tmp_path / "disk"
    point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", point], check=True)
    yield point
    subprocess.run(["umount", "--lazy", point], check=True)


@pytest.fixture
def buffer(disk: Path) -> Iterator[Buffer]:
    """A buffer on it."""
    with contextlib.closing(open_buffer(f"sqlite:///{disk}/b.db")) as buffer:
        yield buffer


def fill(disk: Path) -> Path:
    """Let somebody else take all the room that is left."""
    path = disk / "somebody-elses"
    with path.open("ab", buffering=0) as handle, contextlib.suppress(OSError):
        while True:
            handle.write(bytes(4096))
    return path


def trim(buffer: Buffer) -> int:
    """Trim as the runner does, until there is nothing to do."""
    trimmed = 0
    for _ in range(30):
        trimmed += buffer.trim()
    return trimmed


@pytest.mark.parametrize("size", ["4m", "8m"])
def test_it_fills_and_drains_and_goes_on(buffer: Buffer) -> None:
    """Appends stop before the disk is full; pumps on the same disk drain and commit, trimming frees, appends go on."""
    for _ in range(3):
        producer, pumps = Producer(), [buffer.cursor("one"), buffer.cursor("two")]
        before = buffer.stats().stored
        frames = [producer.frame(20, size=1_000) for _ in range(1_000)]
        with pytest.raises(BufferFull, match="kept for draining"):
            append_each(buffer, frames)
        stored = (buffer.stats().stored - before) // 20
        assert stored > 10
        for cursor in pumps:
            assert drain(cursor) == frames[:stored]
            balance(buffer, cursor.pump)
        assert trim(buffer) == stored
        assert buffer.append([frames[stored]]) is None
        for cursor in pumps:
            drain(cursor)
            cursor.close()
        assert trim(buffer) == 1


def test_somebody_else_fills_the_disk(disk: Path, buffer: Buffer) -> None:
    """With no byte left, pumps still fetch, commit, accept and skip, and the log is trimmed."""
    producer, cursor = Producer(), buffer.cursor("audit")
    frames = [producer.frame(20, size=1_000) for _ in range(20)]
    append_each(buffer, frames)
    trim(buffer)  # takes the reserve, on a disk that has room for it
    hog = fill(disk)
    with pytest.raises(BufferFull):
        buffer.append([producer.frame(20, size=1_000)])
    buffer.set_wanted("audit", "pause")
    assert cursor.stats().wanted == "pause"
    first, second, third, *_ = cursor.fetch(1_000, PLENTY)
    cursor.accept([Part(first.position, 0, 3)])
    cursor.commit(first.position, Counts(delivered=19, dead=1), [letter("a-0", first.position, b"x" * 1_000)])
    deliver(cursor, [second])
    assert cursor.skip(third.position) == 20
    assert len(drain(cursor)) == 17
    cursor.close()
    cursor = buffer.cursor("audit")
    cursor.close()
    assert trim(buffer) == 20
    balance(buffer, "audit")
    with pytest.raises(BufferFull):  # what trimming freed is kept for draining
        append_each(buffer, [producer.frame_at(400 + 20 * n, 20, size=1_000) for n in range(200)])
    hog.unlink()
    stored = buffer.stats().stored
    assert buffer.append([producer.frame_at(stored, 20)]) is None


def test_opening_on_a_full_disk(disk: Path) -> None:
    """A runner can start on a full disk: the log opens, is locked, read, committed and trimmed."""
    url = f"sqlite:///{disk}/b.db"
    with contextlib.closing(open_buffer(url)) as buffer:
        producer = Producer()
        append_each(buffer, [producer.frame(20, size=1_000) for _ in range(20)])
        buffer.register("audit")
        trim(buffer)
    fill(disk)
    code = """
from making import drain
from pumpkit.buffers import open_buffer
buffer = open_buffer(url, create=False)
lock = buffer.runner_lock({"health": "here"})
cursor = buffer.cursor("audit")
print(len(drain(cursor)), sum(buffer.trim() for _ in range(10)))
cursor.close()
buffer.close()
"""
    with other(code, url) as process:
        assert process.finish() == "20 20"


def test_the_reserve_comes_back(disk: Path, buffer: Buffer) -> None:
    """What was given up for draining is taken again as soon as there is plenty of room."""
    reserve = disk / "b.db.pumps" / ".reserve"
    trim(buffer)
    assert reserve.stat().st_size == RESERVE
    hog = fill(disk)
    buffer.register("audit")
    cursor = buffer.cursor("audit")
    assert not reserve.exists()
    cursor.close()
    hog.unlink()
    trim(buffer)
    assert reserve.stat().st_size == RESERVE


def test_nowhere_to_make_it(disk: Path) -> None:
    """On a disk without room a new buffer cannot be made: the error says so, and it works when there is room."""
    hog = fill(disk)
    with pytest.raises(BufferUnavailable, match=r"b\.db"):
        open_buffer(f"sqlite:///{disk}/b.db")
    hog.unlink()
    with contextlib.closing(open_buffer(f"sqlite:///{disk}/b.db")) as buffer:
        assert buffer.append([Producer().frame()]) is None


LIMITED = """
import resource
from making import Producer
from pumpkit.buffers import open_buffer
from pumpkit.errors import BufferFull
buffer, producer = open_buffer(url), Producer()
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
acknowledged = 0
try:
    while True:
        buffer.append([producer.frame(20, size=1_000)])
        acknowledged = producer.next_seq
except BufferFull as error:
    print(acknowledged, error)
for _ in range(3):
    try:
        buffer.append([producer.frame_at(acknowledged, 20, size=1_000)])
    except BufferFull:
        pass
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert buffer.append([producer.frame_at(acknowledged, 20, size=1_000)]) is None
buffer.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no RLIMIT_FSIZE")
def test_limited_file_size(tmp_path: Path) -> None:
    """At the limit of file sizes appends are refused as on a full disk, and go on when it is lifted."""
    url = f"sqlite:///{tmp_path}/b.db"
    with other(LIMITED, url) as process:
        acknowledged, _, said = process.finish().partition(" ")
    assert "no room to write" in said
    with contextlib.closing(open_buffer(url)) as buffer:
        stats = buffer.stats()
        assert stats.stored == int(acknowledged) + 20
        cursor = buffer.cursor("audit")
        assert len(drain(cursor)) == stats.stored // 20
        cursor.close()


@pytest.mark.parametrize(("free", "looks"), [(2 << 30, 1), (100 << 20, 5)], ids=["much", "little"])
def test_room_is_looked_for_while_it_may_run_out(
    buffer: Buffer, monkeypatch: pytest.MonkeyPatch, free: int, looks: int
) -> None:
    """A look at the disk costs a seventh of what a small append does: where a GiB is free, one a second is enough."""
    append_each(buffer, [(producer := Producer()).frame()])
    asked: list[Path] = []
    monkeypatch.setattr(place, "free_bytes", lambda folder: asked.append(folder) or free)
    monkeypatch.setattr("pumpkit.buffers.sqlite.log._LOOK_AGAIN", 3600)
    append_each(buffer, [producer.frame() for _ in range(5)])
    assert len(asked) == looks
