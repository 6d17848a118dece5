"""Who waits for whom in an embedded buffer, for how long, and what a lock is worth."""

import contextlib
import functools
import gc
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from making import PLENTY, Producer, append_each, balance, deliver, drain, other

from pumpkit.buffers import Buffer, open_buffer
from pumpkit.buffers.base import Counts
from pumpkit.buffers.sqlite import database
from pumpkit.errors import BufferBusy, BufferError, BufferUnavailable


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the buffer of one test is."""
    return tmp_path / "b.db"


@pytest.fixture
def buffer(file: Path) -> Iterator[Buffer]:
    """An open buffer."""
    with contextlib.closing(open_buffer(f"sqlite:///{file}")) as buffer:
        yield buffer


@contextlib.contextmanager
def somebody(file: Path, begin: str) -> Iterator[None]:
    """Another program has a transaction open."""
    with contextlib.closing(apsw.Connection(str(file))) as connection:
        connection.execute(begin).fetchall()
        yield
        connection.execute("ROLLBACK")


def wal(file: Path) -> int:
    """Return the size of a file's write-ahead log."""
    return Path(f"{file}-wal").stat().st_size


@pytest.mark.parametrize("begin", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_append_gives_up_at_its_deadline(file: Path, buffer: Buffer, begin: str) -> None:
    """While another program holds the file, an append waits no longer than it was told, and works again after."""
    producer = Producer()
    buffer.append([producer.frame()])
    frame = producer.frame()
    with somebody(file, begin), pytest.raises(BufferUnavailable, match=f"{file} is locked by another process"):
        buffer.append([frame], timeout=0.2)
    assert buffer.append([frame]) is None
    assert buffer.stats().stored == 6


def test_append_without_patience_tries_once(file: Path, buffer: Buffer) -> None:
    """With a timeout of 0 an append succeeds on a free file, and does not wait for a held one."""
    producer = Producer()
    assert buffer.append([producer.frame()], timeout=0) is None
    with somebody(file, "BEGIN IMMEDIATE"), pytest.raises(BufferUnavailable):
        buffer.append([producer.frame()], timeout=0)


def test_append_waits_for_a_short_lock(file: Path, buffer: Buffer) -> None:
    """A lock that goes away within the deadline only delays an append."""
    producer = Producer()
    code = """
import apsw
connection = apsw.Connection(url)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
"""
    with other(code, str(file)) as process:
        assert process.line() == "held"
        thread = threading.Thread(target=buffer.append, args=([producer.frame()],), kwargs={"timeout": 60})
        thread.start()
        process.finish()
        thread.join()
    assert buffer.stats().stored == 3


def test_making_waits_for_whoever_looks(file: Path) -> None:
    """Somebody who looks at a file just when it becomes a buffer only delays that."""
    file.touch()
    code = """
import apsw
connection = apsw.Connection(url)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
"""
    with other(code, str(file)) as process:
        assert process.line() == "held"
        opened: list[Buffer] = []
        thread = threading.Thread(target=lambda: opened.append(open_buffer(f"sqlite:///{file}")))
        thread.start()
        time.sleep(0.3)  # so that it meets the lock
        process.finish()
        thread.join()
    assert opened[0].append([Producer().frame()]) is None
    opened[0].close()


def test_pumps_go_on_while_a_writer_holds_the_log(file: Path, buffer: Buffer) -> None:
    """Acknowledgements never meet producers: with the log locked for writing, pumps fetch, commit and are looked at."""
    producer = Producer()
    buffer.append(producer.frames(3))
    cursor = buffer.cursor("audit")
    with somebody(file, "BEGIN IMMEDIATE"):
        assert len(drain(cursor)) == 3
        assert balance(buffer, "audit").delivered == 9
        buffer.register("another")
        buffer.set_wanted("audit", "pause")
        assert cursor.stats().wanted == "pause"
    cursor.close()


def test_producers_go_on_while_a_pump_is_held(file: Path, buffer: Buffer) -> None:
    """A pump's file that somebody holds delays neither producers nor other pumps."""
    producer = Producer()
    cursor, fast = buffer.cursor("audit"), buffer.cursor("fast")
    buffer.append(producer.frames(3))
    with somebody(Path(f"{file}.pumps", "audit.db"), "BEGIN IMMEDIATE"):
        assert buffer.append(producer.frames(3)) is None
        assert len(drain(fast)) == 6
        assert len(cursor.fetch(100, PLENTY)) == 6
    assert len(drain(cursor)) == 6
    cursor.close()
    fast.close()


def test_a_commit_that_could_not_be_written_can_be_repeated(
    file: Path, buffer: Buffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit that failed changed nothing, and is simply done again."""
    buffer.append(Producer().frames(3))
    cursor = buffer.cursor("audit")
    written = cursor._file.database  # type: ignore[attr-defined]
    monkeypatch.setattr(written, "write", functools.partial(written.write, timeout=0.1))
    deliveries = cursor.fetch(100, PLENTY)
    held = somebody(Path(f"{file}.pumps", "audit.db"), "BEGIN IMMEDIATE")
    with held, pytest.raises(BufferUnavailable, match="locked by another process"):
        deliver(cursor, deliveries)
    assert balance(buffer, "audit").lag == 9
    deliver(cursor, deliveries)
    assert balance(buffer, "audit").delivered == 9
    cursor.close()


def test_a_long_reader(file: Path, buffer: Buffer) -> None:
    """Somebody who reads for long holds nobody up; the write-ahead log he kept large shrinks when he is gone."""
    producer, cursor = Producer(), buffer.cursor("audit")
    buffer.append([producer.frame()])
    drain(cursor)
    with somebody(file, "BEGIN; SELECT count(*) FROM frames"):
        for _ in range(10):
            append_each(buffer, [producer.frame(20, size=1_000) for _ in range(20)])
            assert len(drain(cursor)) == 20
            while buffer.trim():
                pass
        assert wal(file) > 2 * database.WAL_BYTES
        balance(buffer, "audit")
    buffer.append([producer.frame()])
    drain(cursor)
    while buffer.trim():
        pass
    buffer.trim()
    assert wal(file) <= database.WAL_BYTES
    cursor.close()


def test_the_write_ahead_log_stays_small(file: Path, buffer: Buffer) -> None:
    """Under plain appending and draining the write-ahead log stays near its bound."""
    producer, cursor = Producer(), buffer.cursor("audit")
    for _ in range(20):
        append_each(buffer, [producer.frame(20, size=1_000) for _ in range(20)])
        drain(cursor)
    assert wal(file) < 2 * database.WAL_BYTES
    assert wal(Path(f"{file}.pumps", "audit.db")) < 2 * database.WAL_BYTES
    cursor.close()


def test_close_waits_for_an_append(buffer: Buffer) -> None:
    """A buffer may be closed while another thread appends: what was acknowledged is stored, then it is closed."""
    producer, acknowledged = Producer(), []

    def append() -> None:
        with contextlib.suppress(BufferUnavailable):
            while True:
                buffer.append([producer.frame()])
                acknowledged.append(producer.next_seq)

    thread = threading.Thread(target=append)
    thread.start()
    while len(acknowledged) < 20:
        time.sleep(0.001)
    location = buffer.stats().location
    buffer.close()
    thread.join()
    with contextlib.closing(open_buffer(f"sqlite:///{location}")) as again:
        assert again.stats().stored == acknowledged[-1]


# Locks on files --------------------------------------------------------------------------------------------------


def test_dropping_a_lock_frees_it(buffer: Buffer) -> None:
    """A runner's lock or a cursor that is simply forgotten is freed."""
    lock, cursor = buffer.runner_lock({}), buffer.cursor("audit")
    del lock, cursor
    gc.collect()
    buffer.runner_lock({}).release()
    buffer.cursor("audit").close()


def test_others_do_not_lose_the_lock_for_its_holder(file: Path, buffer: Buffer) -> None:
    """Nothing that its holder does with the buffer drops a lock: the kernel would, at any close of the locked file."""
    lock, cursor = buffer.runner_lock({}), buffer.cursor("audit")
    with contextlib.closing(open_buffer(f"sqlite:///{file}")) as again:
        for use in (lambda: again.runner_lock({}), lambda: again.cursor("audit"), lambda: again.drop_cursor("audit")):
            with pytest.raises(BufferBusy):
                use()
        again.runner()
        again.stats()
        again.trim()
        again.register("another")
        again.rename_cursor("another", "other")
        again.drop_cursor("other")
    code = """
import fcntl
for path in (url + ".lock", url + ".pumps/audit.lock"):
    with open(path, "r+") as handle:
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            print("free", end=" ")
        except OSError:
            print("held", end=" ")
"""
    with other(code, str(file)) as process:
        assert process.finish() == "held held"
    cursor.close()
    lock.release()
    with other(code, str(file)) as process:
        assert process.finish() == "free free"


def test_a_forked_child_does_not_keep_the_lock(file: Path, buffer: Buffer) -> None:
    """A child that a plugin forked and left behind keeps neither the runner's nor a pump's lock."""
    code = """
import os, time
from pumpkit.buffers import open_buffer
buffer = open_buffer(url, create=False)
lock, cursor = buffer.runner_lock({}), buffer.cursor("audit")
child = os.fork()
if child == 0:
    time.sleep(600)
print(child, flush=True)
input()
"""
    with other(code, f"sqlite:///{file}") as process:
        child = int(process.line())
        try:
            with pytest.raises(BufferBusy):
                buffer.cursor("audit")
            process.process.kill()
            process.process.wait()
            buffer.runner_lock({}).release()
            buffer.cursor("audit").close()
        finally:
            os.kill(child, 9)


def test_a_cursor_is_of_no_use_in_a_forked_child(buffer: Buffer) -> None:
    """A forked child has its parent's cursor only in name: it may neither commit nor give the lock back."""
    buffer.append([Producer().frame()])
    cursor = buffer.cursor("audit")
    (only,) = cursor.fetch(1, PLENTY)
    child = os.fork()
    if child == 0:
        try:
            for use in (lambda: cursor.fetch(1, PLENTY), lambda: cursor.commit(only.position, Counts(3))):
                with pytest.raises(BufferBusy, match="belongs to process"):
                    use()
            cursor.close()
            with pytest.raises(BufferBusy):
                buffer.cursor("audit")
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    deliver(cursor, [only])
    assert balance(buffer, "audit").delivered == 3
    cursor.close()


def test_a_holder_that_has_not_said_who_it_is(file: Path, buffer: Buffer) -> None:
    """Whoever holds the lock without having said anything is still the runner."""
    Path(f"{file}.lock").touch()
    code = """
import fcntl
handle = open(url + ".lock", "r+")
fcntl.lockf(handle, fcntl.LOCK_EX)
print("held", flush=True)
input()
"""
    with other(code, str(file)) as process:
        assert process.line() == "held"
        assert buffer.runner() == {}
        with pytest.raises(BufferBusy, match="another process"):
            buffer.runner_lock({})
        Path(f"{file}.holder").write_text("{torn")
        assert buffer.runner() == {}
    assert buffer.runner() is None


def test_asking_while_a_runner_starts(file: Path, buffer: Buffer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for the runner holds its lock for an instant; a runner that starts then is not turned away."""
    monkeypatch.setattr("pumpkit.buffers.sqlite.buffer._PROBES", 60.0)
    Path(f"{file}.lock").touch()
    code = """
import fcntl, time
handle = open(url + ".lock", "r+")
fcntl.lockf(handle, fcntl.LOCK_SH)
print("held", flush=True)
input()
"""
    with other(code, str(file)) as process:
        assert process.line() == "held"
        got = []

        def start() -> None:
            with contextlib.suppress(BufferError):
                got.append(buffer.runner_lock({}))

        thread = threading.Thread(target=start)
        thread.start()
        process.kill()
        thread.join()
    assert got
    got[0].release()
