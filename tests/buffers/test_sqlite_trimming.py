"""What trimming gives back, and what becomes of producers that are gone."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from making import Producer, append_each, balance, drain

from pumpkit.buffers import Buffer, open_buffer
from pumpkit.buffers.sqlite.trimmer import IDLE_ELSEWHERE_MS, IDLE_MS


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the buffer of one test is."""
    return tmp_path / "b.db"


@pytest.fixture
def buffer(file: Path) -> Iterator[Buffer]:
    """An open buffer."""
    with contextlib.closing(open_buffer(f"sqlite:///{file}")) as buffer:
        yield buffer


def edit(file: Path, sql: str) -> list[tuple[object, ...]]:
    """Do something to a file as another program would."""
    with contextlib.closing(apsw.Connection(str(file))) as connection:
        return connection.execute(sql).fetchall()


def age(file: Path, milliseconds: int, pid: int, host: str = socket.gethostname()) -> None:
    """Make all producers this much older, and of another process."""
    edit(file, f"UPDATE producers SET last_ms = last_ms - {milliseconds}, pid = {pid}, host = '{host}'")


def dead_pid() -> int:
    """Return the id of a process that has ended."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return child


def test_the_file_shrinks_after_a_burst(file: Path, buffer: Buffer) -> None:
    """After a burst is drained the file gives its room back, in slices."""
    producer, cursor = Producer(), buffer.cursor("audit")
    append_each(buffer, [producer.frame(20, size=5_000) for _ in range(150)])
    while buffer.trim() or file.stat().st_size < 10 << 20:  # moves the write-ahead log into the file
        buffer._log.database.shrink_wal()  # type: ignore[attr-defined]
    drain(cursor)
    sizes = []
    for _ in range(40):
        buffer.trim()
        sizes.append(file.stat().st_size)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 2 << 20
    cursor.close()


def test_a_slice_is_bounded_in_bytes(buffer: Buffer) -> None:
    """Large frames are deleted few at a time."""
    producer, cursor = Producer(), buffer.cursor("audit")
    append_each(buffer, [producer.frame(4, size=900_000) for _ in range(10)])
    drain(cursor)
    first = buffer.trim()
    assert 1 <= first < 10
    rest = 0
    while trimmed := buffer.trim():
        rest += trimmed
    assert first + rest == 10
    cursor.close()


def test_idle_producers_are_folded(file: Path, buffer: Buffer) -> None:
    """A producer without frames that is idle for a week and dead leaves its totals, and only those."""
    gone, busy, recent = Producer(), Producer(), Producer()
    buffer.append([gone.frame(drops={"full": 5, "unsent": 1})])
    cursor = buffer.cursor("audit")
    drain(cursor)
    cursor.close()
    assert buffer.trim() == 1
    buffer.append([busy.frame(drops={"full": 2})])
    age(file, IDLE_MS + 1_000, dead_pid())
    buffer.append([recent.frame_at(0, 0, {"full": 1})])
    with contextlib.closing(open_buffer(f"sqlite:///{file}")) as other:
        other.trim()
    stats = buffer.stats()
    assert {known.producer for known in stats.producers} == {busy.id.hex(), recent.id.hex()}
    assert stats.drops == {"full": 8, "unsent": 1}
    balance(buffer, "audit")


def test_producers_that_live_are_not_folded(file: Path, buffer: Buffer) -> None:
    """A producer whose process lives here keeps its sequence, however long it was idle."""
    producer = Producer()
    buffer.append([producer.frame()])
    cursor = buffer.cursor("audit")
    drain(cursor)
    cursor.close()
    buffer.trim()
    age(file, 10 * IDLE_MS, os.getpid())
    with contextlib.closing(open_buffer(f"sqlite:///{file}")) as other:
        other.trim()
        assert other.append([producer.frame()]) is None


def test_producers_elsewhere_are_not_folded(file: Path, buffer: Buffer) -> None:
    """A producer of another host, idle for longer than a week, goes on where it was: nothing of it counts as lost."""
    producer = Producer()
    buffer.append([producer.frame()])
    cursor = buffer.cursor("audit")
    drain(cursor)
    cursor.close()
    buffer.trim()
    age(file, IDLE_ELSEWHERE_MS - 60_000, dead_pid(), "another-container")
    with contextlib.closing(open_buffer(f"sqlite:///{file}")) as other:
        other.trim()
        assert other.append([producer.frame()]) is None
        assert other.stats().lost == 0


def test_producers_elsewhere_are_folded_in_the_end(file: Path, buffer: Buffer) -> None:
    """One of another host that was not heard of for a year leaves its totals, whatever process has its id here."""
    buffer.append([Producer().frame_at(0, 0, {"full": 1})])
    age(file, IDLE_ELSEWHERE_MS + 60_000, os.getpid(), "another-container")
    buffer.trim()
    stats = buffer.stats()
    assert (stats.producers, stats.drops) == ([], {"full": 1})


def test_folding_keeps_what_is_not_a_week_old(file: Path, buffer: Buffer) -> None:
    """A week is a week."""
    buffer.append([Producer().frame_at(0, 0, {"full": 1})])
    age(file, IDLE_MS - 60_000, dead_pid())
    buffer.trim()
    assert len(buffer.stats().producers) == 1


def test_a_look_that_is_overtaken_is_taken_again(buffer: Buffer, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a commit and a trim come between reading a pump and reading the log, the ledger balances all the same."""
    producer, cursor = Producer(), buffer.cursor("audit")
    append_each(buffer, producer.frames(5))
    read = buffer._rows  # type: ignore[attr-defined]
    looks = [read()]
    drain(cursor)
    assert buffer.trim() == 5
    append_each(buffer, producer.frames(2))
    monkeypatch.setattr(buffer, "_rows", lambda: looks.pop() if looks else read())
    stats = balance(buffer, "audit")
    assert (stats.delivered, stats.lag) == (15, 6)
    cursor.close()
