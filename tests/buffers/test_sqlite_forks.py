"""An embedded buffer across forks."""

import contextlib
import os
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest
from making import Producer, drain, other

from pumpkit.buffers import Buffer, open_buffer

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


@pytest.fixture
def buffer(tmp_path: Path) -> Iterator[Buffer]:
    """An open buffer."""
    with contextlib.closing(open_buffer(f"sqlite:///{tmp_path}/b.db")) as buffer:
        yield buffer


def forked(work: Callable[[], object]) -> int:
    """Do some work in a forked child; return its process id."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return child


def reap(child: int) -> None:
    """Wait for a child, which must have succeeded."""
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def integrity(buffer: Buffer) -> str:
    """Return what SQLite finds in a buffer's log."""
    with contextlib.closing(apsw.Connection(buffer.stats().location)) as connection:
        return str(connection.execute("PRAGMA integrity_check").get)


def test_parent_and_child_append(buffer: Buffer) -> None:
    """After a fork both sides append through the same Buffer object, each with a connection of its own."""
    parent, child = Producer(), Producer()
    buffer.append([parent.frame()])
    children = [forked(lambda: buffer.append([child.frame()]))]
    assert buffer.append([parent.frame()]) is None
    reap(children[0])
    assert buffer.append([parent.frame()]) is None
    known = {known.producer: known for known in buffer.stats().producers}
    assert known[parent.id.hex()].next_seq == 9
    assert known[child.id.hex()].next_seq == 3
    assert known[parent.id.hex()].pid == os.getpid()
    assert known[child.id.hex()].pid == children[0]


def test_a_child_that_outlives_its_parent(buffer: Buffer) -> None:
    """A child goes on when its parent, which had the log open first, has closed it and ended."""
    code = """
import os
from making import Producer
from pumpkit.buffers import open_buffer
buffer = open_buffer(url)
buffer.append([Producer().frame(1)])
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    producer = Producer()
    buffer.append([producer.frame(1)])
    os.close(writer)
    os.read(reader, 1)  # until the parent is gone
    for _ in range(300):
        assert buffer.append([producer.frame(1)], timeout=60) is None
    print(producer.next_seq, flush=True)
    os._exit(0)
buffer.append([Producer().frame(1)])
buffer.close()
os._exit(0)
"""
    url = f"sqlite:///{buffer.stats().location}"
    buffer.close()  # so that the child is the only one that has it open
    with other(code, url) as process:
        assert process.line() == "301"
    with contextlib.closing(open_buffer(url)) as again:
        assert again.stats().stored == 303
        assert integrity(again) == "ok"


def test_many_forks_while_threads_append(buffer: Buffer) -> None:
    """Through 120 forks under appending threads nobody hangs, nothing acknowledged is lost and nothing is damaged."""
    producers, stop, failed = [Producer() for _ in range(4)], threading.Event(), []

    def append(producer: Producer) -> None:
        try:
            while not stop.is_set():
                assert buffer.append([producer.frame(1)], timeout=60) is None
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=append, args=(producer,)) for producer in producers]
    for thread in threads:
        thread.start()
    children = []
    in_children = 0
    try:
        for number in range(120):
            children.append(forked(lambda: buffer.append([Producer().frame(1)], timeout=60)))
            in_children += 1
            if number % 4 == 3:
                while children:
                    reap(children.pop())
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        for child in children:
            reap(child)
    assert not failed
    known = {known.producer: known.next_seq for known in buffer.stats().producers}
    for producer in producers:
        assert known[producer.id.hex()] == producer.next_seq
    assert buffer.stats().stored == in_children + sum(producer.next_seq for producer in producers)
    assert integrity(buffer) == "ok"


def test_a_fork_that_python_does_not_tell_of(buffer: Buffer) -> None:
    """A child of a fork in C finds out by its process id, leaves what it got alone and opens its own connection."""
    code = """
import ctypes, os
from making import Producer
from pumpkit.buffers import open_buffer
buffer, producer = open_buffer(url), Producer()
buffer.append([producer.frame(1)])
child = ctypes.CDLL(None).fork()
if child == 0:
    other = Producer()
    for _ in range(20):
        assert buffer.append([other.frame(1)], timeout=60) is None
    buffer.close()
    sys.exit(0)  # through the end of the interpreter, which must not close the parent's connection
for _ in range(20):
    assert buffer.append([producer.frame(1)], timeout=60) is None
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert buffer.append([producer.frame(1)]) is None
print(buffer.stats().stored)
buffer.close()
"""
    with other(code, f"sqlite:///{buffer.stats().location}") as process:
        assert process.finish() == "42"
    assert buffer.stats().stored == 42
    assert integrity(buffer) == "ok"


def test_multiprocessing(buffer: Buffer) -> None:
    """A buffer that was opened before `multiprocessing` forked its workers serves all of them."""
    code = """
import multiprocessing
from making import Producer
from pumpkit.buffers import open_buffer
buffer = open_buffer(url)
buffer.append([Producer().frame(1)])
def work(_):
    assert buffer.append([Producer().frame(1)], timeout=60) is None
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(3) as pool:
        pool.map(work, range(30))
    print(buffer.stats().stored)
    buffer.close()
"""
    with other(code, f"sqlite:///{buffer.stats().location}") as process:
        assert process.finish() == "31"
    cursor = buffer.cursor("audit")
    assert len(drain(cursor)) == 31
    cursor.close()


def test_a_fork_does_not_wait_for_ever(tmp_path: Path) -> None:
    """A fork while another thread is stuck in a transaction goes ahead; the child still works."""
    code = """
import os, threading
from making import Producer
from pumpkit.buffers import open_buffer
from pumpkit.buffers.sqlite import forks
forks._PATIENCE = 0.2
buffer = open_buffer(url)
buffer.append([Producer().frame(1)])
inside, leave = threading.Event(), threading.Event()
def stuck():
    with buffer._log.database.read():
        inside.set()
        leave.wait()
thread = threading.Thread(target=stuck)
thread.start()
inside.wait()
child = os.fork()
if child == 0:
    assert buffer.append([Producer().frame(1)], timeout=60) is None
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
leave.set()
thread.join()
print(buffer.stats().stored)
buffer.close()
"""
    with other(code, f"sqlite:///{tmp_path}/b.db") as process:
        assert process.finish() == "2"
