"""Processes that fork with an open buffer in Redis."""

import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator

import pytest
from making import PLENTY, Producer, deliver, drain

from pumpkit.buffers import open_buffer
from pumpkit.buffers.redis import leases as module
from pumpkit.buffers.redis.buffer import RedisBuffer
from pumpkit.errors import BufferBusy, BufferError, BufferUnavailable
from tests.servers.redis import RedisServer

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture
def buffer(redis_server: RedisServer) -> Iterator[RedisBuffer]:
    """A new buffer."""
    opened = open_buffer(redis_server.url)
    assert isinstance(opened, RedisBuffer)
    yield opened
    opened.close()


def in_child(work: Callable[[], object], meanwhile: Callable[[], object] = lambda: None) -> None:
    """Do something in a forked child, and something here; the child must succeed, within some seconds."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    meanwhile()
    deadline = time.monotonic() + 30
    ended, status = os.waitpid(pid, os.WNOHANG)
    while not ended:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            pytest.fail("the child hangs")
        time.sleep(0.01)
        ended, status = os.waitpid(pid, os.WNOHANG)
    assert status == 0


def connections(server: RedisServer) -> set[int]:
    """Return the ids of the connections to a server."""
    with server.client() as client:
        own = client.client_id()
        return {int(one["id"]) for one in client.client_list()} - {own}


def test_child_and_parent_append(buffer: RedisBuffer) -> None:
    """Both go on with the buffer that was open: each by connections of its own, nothing gets mixed up."""
    parent = Producer()
    buffer.append([parent.frame()])

    def append(producer: Producer) -> None:
        for _ in range(200):
            assert buffer.append([producer.frame(2)]) is None

    in_child(lambda: append(Producer()), lambda: append(parent))
    assert buffer.stats().stored == 3 + 800


@pytest.mark.parametrize("guard", ["link", "leases"])
def test_fork_while_another_thread_holds_a_guard(buffer: RedisBuffer, guard: str) -> None:
    """A child does not wait for a thread that it does not have."""
    locks = {"link": buffer._link, "leases": buffer.leases}
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with locks[guard]._guard:  # type: ignore[attr-defined]
            held.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    producer = Producer()

    def child() -> None:
        buffer.append([producer.frame(2)])
        buffer.cursor("audit").close()
        buffer.close()

    try:
        in_child(child)
    finally:
        done.set()
        thread.join()
    assert buffer.stats().stored == 2
    assert set(buffer.stats().cursors) == {"audit"}


def test_parent_keeps_its_connections(buffer: RedisBuffer, redis_server: RedisServer) -> None:
    """Whatever a child does and closes, the parent's connections are as they were."""
    producer = Producer()
    buffer.append([producer.frame()])
    before = connections(redis_server)

    def child() -> None:
        buffer.append([Producer().frame()])
        buffer.close()

    in_child(child)
    buffer.append([producer.frame()])
    assert connections(redis_server) == before
    assert buffer.stats().stored == 9


def test_cursor_stays_the_parents(buffer: RedisBuffer) -> None:
    """A child cannot use an inherited cursor, nor give it back; nor can it open one that its parent holds."""
    producer = Producer()
    frames = producer.frames(3)
    buffer.append(frames)
    cursor = buffer.cursor("audit")
    deliveries = cursor.fetch(3, PLENTY)

    def child() -> None:
        for use in (lambda: cursor.fetch(1, PLENTY), cursor.accepted, cursor.hold, cursor.stats):
            with pytest.raises(BufferBusy, match="which forked this one"):
                use()  # type: ignore[operator]
        cursor.close()
        with pytest.raises(BufferBusy):
            buffer.cursor("audit")
        buffer.close()

    in_child(child)
    deliver(cursor, deliveries)
    assert drain(cursor) == frames[1:]
    cursor.close()


def test_child_does_not_renew_what_its_parent_holds(
    monkeypatch: pytest.MonkeyPatch, buffer: RedisBuffer, redis_server: RedisServer
) -> None:
    """A child that outlives its parent does not keep the parent's leases alive, though it has some of its own."""
    monkeypatch.setattr(module, "PERIOD", 0.05)
    lease = buffer.leases.take("x")

    def child() -> None:
        own = buffer.leases.take("y")
        time.sleep(0.5)
        own.check()

    with redis_server.client() as client:
        _stop_renewing(buffer)
        before = client.hget("{pumpkit}:locks", "x")
        in_child(child)
        assert client.hget("{pumpkit}:locks", "x") == before
        assert client.hexists("{pumpkit}:locks", "y"), "the child left without a word"
    assert not lease.lost


def test_child_runs_a_buffer_of_its_own(buffer: RedisBuffer) -> None:
    """A child holds cursors and locks of its own, under the buffer that it inherited."""
    buffer.register("audit")

    def child() -> None:
        cursor = buffer.cursor("audit")
        lock = buffer.runner_lock({"health": "child"}, "child")
        lock.tell({"health": "child"})
        cursor.close()
        lock.release()

    in_child(child)
    assert [runner["health"] for runner in buffer.runners()] == ["child"]
    buffer.cursor("audit").close()


def test_close_while_others_work(redis_server: RedisServer) -> None:
    """Threads that are in the middle of something get BufferUnavailable, nothing else, and connect no more."""
    buffer = open_buffer(redis_server.url)
    failures: list[BaseException] = []
    ready = threading.Barrier(5)

    def work() -> None:
        producer = Producer()
        ready.wait()
        try:
            while True:
                buffer.append([producer.frame()])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    ready.wait()
    time.sleep(0.2)
    buffer.close()
    for thread in threads:
        thread.join(20)
    assert len(failures) == 4
    assert all(isinstance(failure, BufferUnavailable) for failure in failures), failures
    assert all("closed" in str(failure) for failure in failures), failures
    with pytest.raises(BufferError, match="closed"):
        buffer.stats()


def _stop_renewing(buffer: RedisBuffer) -> None:
    """Let this process renew no more, as if it were frozen."""
    leases = buffer.leases
    leases._wake.set()
    assert leases._thread is not None
    leases._thread.join()
