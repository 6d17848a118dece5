"""A reporter where things go wrong around its thread: calls are interrupted, no thread runs, numbers are extreme."""

import importlib.util
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

import apsw
import pytest

from pumpkit import Reporter
from pumpkit.buffers import open_buffer
from pumpkit.errors import BufferUnavailable
from pumpkit.reporter import process
from tests.conftest import missing

Make = Callable[..., Reporter]


def _numbers(log: Any) -> list[int]:
    return [record["n"] for record in log.records()]


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no reporter start its thread."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "pumpkit-reporter":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)


# Interrupted ------------------------------------------------------------------------------------------------


def test_a_first_record_that_is_interrupted_leaves_a_thread_that_is_known(
    make_reporter: Make, log: Any, monkeypatch: pytest.MonkeyPatch, wait_until: Any
) -> None:
    """Ctrl-C while the thread starts: it is used from then on, no second one is, and a close waits for it."""
    start = threading.Thread.start
    started: list[threading.Thread] = []

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        if thread.name == "pumpkit-reporter":
            started.append(thread)
            raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    reporter = make_reporter(exit_timeout=30.0)
    with pytest.raises(KeyboardInterrupt):
        reporter.record({"n": 0})
    for number in range(1, 4):
        reporter.record({"n": number})
    wait_until(lambda: reporter._outbox.limit, "the common case")
    assert reporter.close().pending == 0
    assert len(started) == 1
    assert not started[0].is_alive()
    assert _numbers(log) == [1, 2, 3]


def test_a_flush_that_is_interrupted_is_not_waited_for(make_reporter: Make, log: Any, wait_until: Any) -> None:
    """A signal handler that raises ends a flush for good: the thread goes back to its own pace."""

    def raises(number: int, frame: object) -> None:
        raise TimeoutError

    log.down = BufferUnavailable("away")
    reporter = make_reporter()
    reporter.record({"n": 1})
    previous = signal.signal(signal.SIGALRM, raises)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(TimeoutError):
            reporter.flush(600)
    finally:
        signal.signal(signal.SIGALRM, previous)
    wait_until(lambda: not reporter._outbox._asks and not reporter._outbox._waiting)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_whatever_ends_the_thread_the_next_record_starts_another(
    make_reporter: Make, log: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records do not wait for a full queue or a flush."""
    turn = threading.Event()
    reporter = make_reporter()
    monkeypatch.setattr(reporter._outbox, "_turn", lambda hurry, timeout: turn.set() or sys.exit())
    reporter.record({"n": 1})
    assert turn.wait(30)
    wait_until(lambda: not reporter._outbox._alive)
    monkeypatch.undo()
    reporter.record({"n": 2})
    wait_until(lambda: _numbers(log) == [1, 2])


# Without a thread -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_threads")
def test_without_threads_a_close_tells_of_drops_and_disconnects(tmp_path: Any) -> None:
    """Though a flush has sent everything before: no connection stays, and no drop is untold."""
    url = f"sqlite:///{tmp_path}/buffer.db"
    for _ in range(2):
        reporter = Reporter(url, records_buffer_size=2)
        reporter.record({"n": 1})
        reporter.flush(30)
        outbox = reporter._outbox
        outbox.sender.full.add()  # since the flush
        assert reporter.close(30) == (1, 0, 1)
        assert not process.is_expected(outbox)
    files = [os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]
    assert not [file for file in files if file.startswith(str(tmp_path))]
    with closing(open_buffer(url)) as buffer:
        assert buffer.stats().drops == {"full": 2}


@pytest.mark.usefixtures("no_threads")
def test_without_threads_connecting_takes_no_longer_than_was_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A buffer is opened within the time that a close has left."""
    given: list[float] = []
    driver = importlib.import_module("pumpkit.buffers.redis")
    open_ = driver.open

    def opened(url: str, **options: Any) -> Any:
        given.append(options["timeout"])
        return open_(url, **options)

    monkeypatch.setattr(driver, "open", opened)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        reporter = Reporter(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        reporter.record({"n": 1})
        assert reporter.close(0.2) == (0, 1, 0)
    assert given
    assert max(given) <= 0.2


@pytest.mark.parametrize("there", [True, False], ids=["", "as-the-standard-library-may-change"])
def test_without_a_sign_of_the_interpreters_end_no_thread_is_started(
    make_reporter: Make, log: Any, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    """In a second interpreter, whose threads are waited for at its end, records are sent by who flushes."""
    monkeypatch.setattr(process, "is_main_interpreter", lambda: False)
    if not there:
        monkeypatch.delattr(threading, "_register_atexit")
    threads = threading.active_count()
    reporter = make_reporter(exit_timeout=30.0)
    reporter.record({"n": 1})
    assert threading.active_count() == threads + there
    assert reporter.close() == (1, 0, 0)


# Several reporters ------------------------------------------------------------------------------------------


def test_what_may_be_killed_next_sends_to_all_buffers_at_once(fake_log: Any, make_reporter: Make) -> None:
    """One buffer that is away leaves the others their time."""
    away, well = fake_log(down=BufferUnavailable("away")), fake_log()
    for one in (away, well):
        make_reporter(buffer=one, flush_interval=600).record({"n": 1})
    process.send(0.3)
    assert well.records() == [{"n": 1}]
    away.down = None


def test_one_reporter_whose_end_fails_costs_the_others_nothing(program: Any) -> None:
    """At the end of a program each is waited for, whatever happens to another."""
    program.run(
        """
        import pumpkit
        reporters = [pumpkit.Reporter(flush_interval=60, exit_timeout=30) for _ in range(3)]
        for number, reporter in enumerate(reporters):
            reporter.record({"n": number})
        def fail():
            raise RuntimeError("a fault of ours")
        reporters[0]._outbox.join = fail
        """
    )
    assert {1, 2} <= {record["n"] for record in program.records()}


# Extremes ---------------------------------------------------------------------------------------------------


def test_an_endless_timeout_is_one(make_reporter: Make, log: Any) -> None:
    """More seconds than the standard library can wait are as many as it can."""
    reporter = make_reporter(exit_timeout=1e300)
    reporter.record({"n": 1})
    assert reporter.flush(float("inf")) == (1, 0, 0)
    reporter.record({"n": 2})
    assert reporter.close() == (2, 0, 0)
    reporter = make_reporter()
    reporter.record({"n": 3})
    assert reporter.close(float("inf")) == (1, 0, 0)


def test_the_smallest_queue_wakes_the_thread_with_each_record(
    make_reporter: Make, log: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With room for one record, the thread comes for it as soon as it is there."""
    monkeypatch.setattr("pumpkit.reporter.sender._LONGEST_PAUSE", 1200)
    reporter = make_reporter(records_buffer_size=1, flush_interval=1200)
    for number in range(5):
        reporter.record({"n": number})
        wait_until(lambda number=number: _numbers(log) == list(range(number + 1)), "the record")
        wait_until(lambda: reporter._outbox.limit == 0, "the thread")


# gevent -----------------------------------------------------------------------------------------------------


def test_greenlets_that_record_and_flush_do_not_block_each_other(program: Any) -> None:
    """The reporter was made before gevent patched locks; one greenlet flushes while another starts the thread."""
    if importlib.util.find_spec("gevent") is None:
        missing("gevent", "it is in the extra `dev`: pip install -e '.[dev]'")
    out, _ = program.run(
        """
        import faulthandler, sys
        faulthandler.dump_traceback_later(60, exit=True)
        import time
        import pumpkit
        from pumpkit.buffers import open_buffer

        class Slow:
            may_forget = False

            def __init__(self):
                self.buffer = open_buffer()

            def append(self, *arguments, **options):
                time.sleep(0.05)  # as a socket would, it gives way to other greenlets
                return self.buffer.append(*arguments, **options)

            def close(self):
                self.buffer.close()

        reporter = pumpkit.Reporter(Slow(), exit_timeout=30)
        from gevent import monkey
        monkey.patch_all()
        import gevent

        def work(number):
            reporter.record({"n": number})
            reporter.flush(30)

        gevent.joinall([gevent.spawn(work, number) for number in range(3)])
        print(reporter.close())
        """
    )
    assert out == "FlushResult(sent=3, pending=0, dropped=0)\n"


# A fork in the middle ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [True, False], ids=["", "without-threads"])
def test_a_flush_that_a_fork_interrupts_goes_on_in_the_parent_only(program: Any, threads: bool) -> None:
    """A signal handler that forks, to replace a worker say: the child sends nothing that is its parent's."""
    open_buffer(program.url).close()
    connection = apsw.Connection(program.url.removeprefix("sqlite:///"))
    connection.execute("BEGIN IMMEDIATE")  # until the child has returned from the flush
    try:
        process = program.start(
            f"""
            import os, signal, threading
            import pumpkit

            def fork(number, frame):
                global child
                child = os.fork()

            def refuse(thread):
                raise RuntimeError("can't start new thread")

            if not {threads}:
                threading.Thread.start = refuse
            signal.signal(signal.SIGALRM, fork)
            reporter = pumpkit.Reporter(exit_timeout=30)
            reporter.record({{"n": 0}})
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            result = reporter.flush(60)
            if not child:
                print(result, threading.active_count(), flush=True)
                reporter.record({{"n": 1}})
                reporter.flush(60)
                os._exit(0)
            os.waitpid(child, 0)
            """
        )
        assert process.stdout.readline() == "FlushResult(sent=0, pending=0, dropped=0) 1\n"
    finally:
        connection.close()
    program.end(process)
    assert sorted(record["n"] for record in program.records()) == [0, 1]
    assert len({record["_producer"] for record in program.records()}) == 2
