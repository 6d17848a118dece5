"""What can happen to the files of an embedded buffer, and what is said of it."""

import contextlib
import os
import shutil
import threading
from pathlib import Path

import apsw
import pytest
from making import PLENTY, Producer, balance, deliver, drain, letter, other

from pumpkit.buffers import Buffer, Gap, open_buffer
from pumpkit.buffers.base import Counts
from pumpkit.errors import BufferConfigError, BufferUnavailable


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the buffer of one test is."""
    return tmp_path / "b.db"


def opened(file: Path) -> contextlib.closing[Buffer]:
    """Open a buffer for a block."""
    return contextlib.closing(open_buffer(f"sqlite:///{file}"))


def edit(file: Path, sql: str) -> list[tuple[object, ...]]:
    """Do something to a file as another program would."""
    with contextlib.closing(apsw.Connection(str(file))) as connection:
        return connection.execute(sql).fetchall()


def snapshot(file: Path, copy: Path) -> None:
    """Copy a buffer's log as it is now; nobody may have it open."""
    for suffix in ("", "-wal"):
        shutil.copy(f"{file}{suffix}", f"{copy}{suffix}")


# How a file is made --------------------------------------------------------------------------------------------


def test_settings_of_the_file(file: Path) -> None:
    """A log is a WAL database that gives pages back, with an application id and a format version of its own."""
    with opened(file) as buffer:
        buffer.register("audit")
    for path in (file, Path(f"{file}.pumps", "audit.db")):
        assert edit(path, "PRAGMA journal_mode") == [("wal",)]
        assert edit(path, "PRAGMA auto_vacuum") == [(2,)]
        assert edit(path, "PRAGMA user_version") == [(1,)]
        assert edit(path, "PRAGMA integrity_check") == [("ok",)]
    assert edit(file, "PRAGMA application_id") == [(int.from_bytes(b"pkLG", "big"),)]


def test_stdlib_sqlite3_is_never_imported(file: Path) -> None:
    """The system's SQLite may have the WAL-reset bug: nothing that opens a buffer loads it."""
    code = """
from pumpkit.buffers import open_buffer
buffer = open_buffer(url)
buffer.cursor("audit").close()
buffer.close()
print("sqlite3" in sys.modules, "apsw" in sys.modules)
"""
    with other(code, f"sqlite:///{file}") as process:
        assert process.finish() == "False True"


def test_an_unsound_library_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An apsw that uses an old SQLite of the system is refused, with how to get another."""
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.40.1")
    with pytest.raises(BufferConfigError, match=r"SQLite 3\.40\.1.*pip install"):
        open_buffer(f"sqlite:///{file}")
    assert not file.exists()


def test_many_make_it_at_once(file: Path) -> None:
    """Processes and threads that open a missing buffer at the same time share one."""
    code = """
from making import Producer
from pumpkit.buffers import open_buffer
print("ready", flush=True)
input()
buffer = open_buffer(url)
assert buffer.append([Producer().frame(1)], timeout=60) is None
print(buffer.stats().buffer_id)
buffer.close()
"""
    url = f"sqlite:///{file}"
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(other(code, url)) for _ in range(4)]
        for process in processes:
            assert process.line() == "ready"
        ids = set()

        def append() -> None:
            with opened(file) as buffer:
                buffer.append([Producer().frame(1)], timeout=60)
                ids.add(buffer.stats().buffer_id)

        threads = [threading.Thread(target=append) for _ in range(4)]
        for process in processes:
            assert process.process.stdin is not None
            process.process.stdin.write("\n")
            process.process.stdin.flush()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ids |= {process.finish() for process in processes}
    assert len(ids) == 1
    with opened(file) as buffer:
        assert buffer.stats().stored == 8


def test_killed_while_making(file: Path) -> None:
    """A file that was begun and not finished becomes a buffer; without `create` it is none."""
    for begin in (lambda: file.write_bytes(b""), lambda: edit(file, "PRAGMA journal_mode=WAL")):
        begin()
        with pytest.raises(BufferUnavailable, match="no buffer"):
            open_buffer(f"sqlite:///{file}", create=False)
        with opened(file) as buffer:
            assert buffer.append([Producer().frame()]) is None
        for suffix in ("", "-wal", "-shm"):
            Path(f"{file}{suffix}").unlink()


def test_killed_while_registering(file: Path) -> None:
    """A pump's file without tables is nobody's cursor, and becomes one when it is registered."""
    with opened(file) as buffer:
        Path(f"{file}.pumps", "audit.db").touch()
        buffer.append([Producer().frame()])
        assert buffer.stats().cursors == {}
        assert buffer.trim() == 0
        buffer.register("audit")
        assert balance(buffer, "audit").lag == 3


# Files that are something else, or damaged ---------------------------------------------------------------------


def test_other_databases_are_refused(file: Path) -> None:
    """A database of another program is refused by its application id, and left as it is."""
    edit(file, "CREATE TABLE users(name); INSERT INTO users VALUES('kept')")
    with pytest.raises(BufferConfigError, match=rf"{file} is a database of something else"):
        open_buffer(f"sqlite:///{file}")
    assert edit(file, "SELECT * FROM users") == [("kept",)]


def test_a_pump_is_no_buffer(file: Path) -> None:
    """A pump's file is not taken for a log."""
    with opened(file) as buffer:
        buffer.register("audit")
    pump = Path(f"{file}.pumps", "audit.db")
    with pytest.raises(BufferConfigError, match="not a pumpkit buffer"):
        open_buffer(f"sqlite:///{pump}")


def test_other_files_are_refused(file: Path) -> None:
    """A file that is no database is refused, and left as it is."""
    file.write_text("# notes\n" * 1_000)
    with pytest.raises(BufferConfigError, match=rf"{file} is damaged, or no database.*move it away"):
        open_buffer(f"sqlite:///{file}")
    assert file.read_text() == "# notes\n" * 1_000


def test_newer_formats_are_refused(file: Path) -> None:
    """A log or a pump's file of a later format is refused with "upgrade", and left as it is."""
    with opened(file) as buffer:
        buffer.register("audit")
    pump = Path(f"{file}.pumps", "audit.db")
    edit(pump, "PRAGMA user_version=2")
    with opened(file) as buffer, pytest.raises(BufferConfigError, match=r"audit\.db has format 2.*upgrade"):
        buffer.cursor("audit")
    edit(file, "PRAGMA user_version=9")
    with pytest.raises(BufferConfigError, match=r"b\.db has format 9.*upgrade"):
        open_buffer(f"sqlite:///{file}")
    assert edit(file, "PRAGMA user_version") == [(9,)]


def test_damaged_pages(file: Path) -> None:
    """Damage in the middle of the log is told to whoever meets it, with what to do; nothing is deleted."""
    producer = Producer()
    with opened(file) as buffer:
        for _ in range(50):
            buffer.append([producer.frame(10, size=1_000)])
    size = file.stat().st_size
    with file.open("r+b") as handle:
        handle.seek(size // 2)
        handle.write(b"\xa5" * (size // 2))
    with opened(file) as buffer:
        cursor = buffer.cursor("audit")
        with pytest.raises(BufferConfigError, match=rf"{file} is damaged.*move it away.*\.recover"):
            drain(cursor)
        cursor.close()
    assert file.stat().st_size == size


def test_a_damaged_pump_holds_trimming(file: Path) -> None:
    """A pump's file that cannot be read is named, and nothing is trimmed that its pump may need."""
    producer = Producer()
    with opened(file) as buffer:
        buffer.append(producer.frames(5))
        buffer.register("audit")
        cursor = buffer.cursor("fast")
        drain(cursor)
        cursor.close()
    pump = Path(f"{file}.pumps", "audit.db")
    pump.write_bytes(b"\xa5" * pump.stat().st_size)
    with opened(file) as buffer:
        for use in (buffer.trim, buffer.stats, lambda: buffer.cursor("audit")):
            with pytest.raises(BufferConfigError, match=rf"{pump} is damaged"):
                use()
        assert buffer.append([producer.frame()]) is None
    pump.unlink()
    with opened(file) as buffer:
        assert buffer.trim() == 5


# Files that vanish or change under a connection ----------------------------------------------------------------


@pytest.mark.parametrize("suffixes", [[""], ["", "-wal", "-shm"], ["", "-shm"], ["", "-wal"]])
def test_removed_while_everybody_has_it_open(file: Path, suffixes: list[str]) -> None:
    """With whatever it takes along, a removed log is made once and shared again by all who had it open."""
    producer = Producer()
    with opened(file) as one, opened(file) as two:
        one.append(producer.frames(3))
        two.append(producer.frames(3))
        cursor = two.cursor("audit")
        (first, *_) = cursor.fetch(1, PLENTY)
        deliver(cursor, [first])
        for suffix in suffixes:
            Path(f"{file}{suffix}").unlink()
        fresh = Producer()
        for _ in range(300):  # enough for the write-ahead log to begin again
            assert one.append([fresh.frame()]) is None
        assert one.append([producer.frame()]) == Gap(0)
        assert len(drain(cursor)) == 300
        assert cursor.was_reset
        assert balance(two, "audit").delivered == 900
        assert two.append([fresh.frame()]) is None
        cursor.close()
    assert edit(file, "PRAGMA integrity_check") == [("ok",)]


def test_removed_for_those_who_may_not_make_it(file: Path) -> None:
    """Who opened without `create` waits for somebody else to make it again."""
    with opened(file) as buffer:
        buffer.append([Producer().frame()])
    buffer = open_buffer(f"sqlite:///{file}", create=False)
    cursor = buffer.cursor("audit")
    file.unlink()
    for _ in range(2):
        with pytest.raises(BufferUnavailable, match=f"no buffer at {file}"):
            cursor.fetch(1, PLENTY)
    with opened(file) as maker:
        maker.append([Producer().frame(5)])
    assert cursor.fetch(1, PLENTY)[0].total == 5
    cursor.close()
    buffer.close()


def test_write_ahead_log_removed(file: Path) -> None:
    """Who loses the write-ahead log under its hands appends to a new one, not into the void."""
    producer = Producer()
    with opened(file) as buffer:
        buffer.append(producer.frames(3))
        Path(f"{file}-wal").unlink()
        assert buffer.append(producer.frames(3)) is None
        cursor = buffer.cursor("audit")
        assert len(drain(cursor)) == 6
        cursor.close()
    with opened(file) as buffer:
        assert buffer.stats().stored == 18
    assert edit(file, "PRAGMA integrity_check") == [("ok",)]


def test_an_earlier_state_put_back(file: Path, tmp_path: Path) -> None:
    """A log taken back to an earlier state is drained from its oldest frame: a cursor beyond its end would wait."""
    producer = Producer()
    with opened(file) as buffer:
        buffer.append(producer.frames(3))
    snapshot(file, tmp_path / "copy")
    with opened(file) as buffer:
        buffer.append(producer.frames(3))
        cursor = buffer.cursor("audit")
        drain(cursor)
        cursor.close()
    for suffix in ("", "-wal"):
        shutil.copy(tmp_path / f"copy{suffix}", f"{file}{suffix}")
    with opened(file) as buffer:
        assert balance(buffer, "audit").lag == 9
        cursor = buffer.cursor("audit")
        assert cursor.was_reset
        assert len(drain(cursor)) == 3
        cursor.close()
        balance(buffer, "audit")


def test_an_earlier_state_of_a_pump_put_back(file: Path, tmp_path: Path) -> None:
    """A pump taken back to an earlier state goes on at the oldest frame there is; what is trimmed counts as skipped."""
    producer, pump = Producer(), Path(f"{file}.pumps", "audit.db")
    with opened(file) as buffer:
        buffer.append(producer.frames(6))
        cursor = buffer.cursor("audit")
        deliver(cursor, cursor.fetch(3, PLENTY))
        cursor.close()
    snapshot(pump, tmp_path / "copy")
    with opened(file) as buffer:
        cursor = buffer.cursor("audit")
        deliver(cursor, cursor.fetch(6, PLENTY))
        assert buffer.trim() == 3
        cursor.close()
    for suffix in ("", "-wal"):
        shutil.copy(tmp_path / f"copy{suffix}", f"{pump}{suffix}")
    with opened(file) as buffer:
        buffer.stats()  # does not wait for a moment that never comes
        cursor = buffer.cursor("audit")
        stats = balance(buffer, "audit")
        assert (stats.delivered, stats.skipped, stats.lag) == (3, 6, 9)
        assert len(drain(cursor)) == 3
        cursor.close()


def test_a_pump_removed_under_its_worker(file: Path) -> None:
    """A cursor whose file is gone says so, and writes nothing into the void."""
    with opened(file) as buffer:
        buffer.append([Producer().frame()])
        cursor = buffer.cursor("audit")
        (only,) = cursor.fetch(1, PLENTY)
        for suffix in ("", "-wal", "-shm"):
            Path(f"{file}.pumps", f"audit.db{suffix}").unlink()
        with pytest.raises(BufferConfigError, match="'audit'"):
            cursor.commit(only.position, Counts(3))
        cursor.close()
        cursor = buffer.cursor("audit")
        assert len(drain(cursor)) == 1
        cursor.close()


def test_dead_letters_outlive_several_logs(file: Path) -> None:
    """Dead letters of earlier logs stay, can fail and be replayed, and never count in the present ledger."""
    for generation in range(3):
        with opened(file) as buffer:
            buffer.append([Producer().frame(1)])
            cursor = buffer.cursor("audit")
            (only,) = cursor.fetch(1, PLENTY)
            cursor.commit(only.position, Counts(dead=1), [letter(f"{generation}-0", 1)])
            cursor.close()
        file.unlink()
    with opened(file) as buffer:
        buffer.append([Producer().frame(1)])
        cursor = buffer.cursor("audit")
        assert [one.id for one in buffer.dead_letters("audit")] == ["0-0", "1-0", "2-0"]
        (only,) = cursor.fetch(1, PLENTY)
        cursor.commit(only.position, Counts(dead=1), [letter("1-0", only.position)])  # the same record died again
        buffer.mark("audit", "replay")
        failed = [one for one in cursor.marked(10) if one.id == "0-0"]
        cursor.resolve(["1-0"], ["2-0"], failed)
        stats = balance(buffer, "audit")
        assert (stats.delivered, stats.dead, stats.dead_letters) == (1, 0, 1)
        buffer.mark("audit", "replay")
        cursor.resolve(["0-0"], [], [])
        stats = balance(buffer, "audit")
        assert (stats.delivered, stats.dead, stats.dead_letters) == (1, 0, 0)
        cursor.close()


def test_nothing_is_left_open(file: Path) -> None:
    """A closed buffer holds no file."""
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    if before is None:
        pytest.skip("this system has no /proc/self/fd")
    with opened(file) as buffer:
        buffer.append([Producer().frame()])
        lock, cursor = buffer.runner_lock({}), buffer.cursor("audit")
        buffer.register("other")
        drain(cursor)
        buffer.stats()
        buffer.trim()
        cursor.close()
        lock.release()
    assert len(os.listdir("/proc/self/fd")) == before
