"""What happens to a reporter at the end of a program, with a real buffer. The ways to end are in tests/ways."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import apsw
import pytest

from pumpkit.buffers import open_buffer

_BEGIN = """
    import atexit, os, signal, sys, threading, time
    import pumpkit
    reporter = pumpkit.Reporter(flush_interval=60, exit_timeout=30)
    for number in range(3):
        reporter.record({"n": number})
"""


def _numbers(program: Any) -> list[int]:
    return [record["n"] for record in program.records()]


@contextmanager
def _locked(program: Any) -> Iterator[None]:
    """Keep everybody else from writing to the buffer."""
    open_buffer(program.url).close()
    connection = apsw.Connection(program.url.removeprefix("sqlite:///"))
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.close()


def test_a_flush_survives_any_death(program: Any) -> None:
    """What a flush reported as sent is in the buffer, though the process is killed."""
    program.run(
        f"""{_BEGIN}
    assert reporter.flush(30) == (3, 0, 0)
    reporter.record({{"n": 3}})
    os.kill(os.getpid(), signal.SIGKILL)""",
        status=-signal.SIGKILL,
    )
    assert _numbers(program) == [0, 1, 2]


def test_the_sigterm_helper_calls_the_previous_handler_first(program: Any) -> None:
    """A handler that was there is called, once, though the helper was asked for twice."""
    out, _ = program.run(
        f"""{_BEGIN}
    signal.signal(signal.SIGTERM, lambda number, frame: print("previous", number))
    pumpkit.stop_on_sigterm()
    pumpkit.stop_on_sigterm()
    atexit.register(print, "atexit")
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)""",
        status=143,
    )
    assert out.splitlines() == ["previous 15", "atexit"]
    assert _numbers(program) == [0, 1, 2]


def test_the_sigterm_helper_refuses_other_threads(program: Any) -> None:
    """Outside the main thread a clear error is raised."""
    out, _ = program.run(
        f"""{_BEGIN}
    def attempt():
        try:
            pumpkit.stop_on_sigterm()
        except RuntimeError as error:
            print(error)
    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()"""
    )
    assert "main thread" in out


def test_exit_handlers_of_the_application_may_record(program: Any) -> None:
    """Handlers registered before and after the reporter was made, and before it was imported, lose nothing."""
    program.run(
        """
        import atexit
        atexit.register(lambda: reporter.record({"n": 0}))
        import pumpkit
        atexit.register(lambda: pumpkit.record({"n": 1}))
        reporter = pumpkit.Reporter(flush_interval=60, exit_timeout=30)
        atexit.register(lambda: reporter.record({"n": 2}))
        reporter.record({"n": 3})
        atexit.register(lambda: reporter.record({"n": 4}))
        """
    )
    assert sorted(_numbers(program)) == [0, 1, 2, 3, 4]


def test_a_reporter_first_used_at_exit_sends_without_a_thread(program: Any) -> None:
    """Where the interpreter refuses new threads at exit, the calling thread sends."""
    program.run(
        """
        import atexit
        atexit.register(lambda: record({"n": 0}))
        from pumpkit import record
        atexit.register(lambda: record({"n": 1}))
        """
    )
    assert sorted(_numbers(program)) == [0, 1]


@pytest.mark.parametrize("overflow", ["drop-newest", "spill"])
def test_other_threads_that_go_on_recording_do_not_hold_up_the_end(program: Any, overflow: str) -> None:
    """Daemon threads record to the last moment; the end comes long before its timeout, and what arrived is whole."""
    begin = _BEGIN.replace("exit_timeout=30", "exit_timeout=1200, overflow=sys.argv[1], spill_folder='spill'")
    program.run(
        f"""{begin}
    def work():
        while True:
            reporter.record({{"n": 3}})
            time.sleep(0.0001)
    for _ in range(4):
        threading.Thread(target=work, daemon=True).start()
    time.sleep(0.2)""",
        overflow,
    )
    numbers = _numbers(program)
    assert numbers[:3] == [0, 1, 2]
    assert numbers.count(3) > 10


def test_a_buffer_away_at_the_start_gets_everything_later(program: Any) -> None:
    """Records from before the buffer could be written to arrive, once, and nothing is said at the end."""
    with _locked(program):
        process = program.start(
            f"""{_BEGIN}
    print(reporter.flush(1.5), flush=True)
    sys.stdin.readline()
    reporter.record({{"n": 3}})
    print(reporter.flush(60), flush=True)"""
        )
        assert process.stdout.readline() == "FlushResult(sent=0, pending=3, dropped=0)\n"
    process.stdin.write("\n")
    out, err = program.end(process)
    assert out == "FlushResult(sent=4, pending=0, dropped=0)\n"
    assert _numbers(program) == [0, 1, 2, 3]
    assert "the buffer is away" in err
    assert "could not be sent" not in err


def test_a_buffer_away_in_the_middle_loses_and_doubles_nothing(program: Any) -> None:
    """Through an outage of the buffer a program goes on recording."""
    process = program.start(
        f"""{_BEGIN}
    reporter.flush(60)
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(3, 5_000):
        reporter.record({{"n": number}})
        if number % 100 == 0:
            time.sleep(0.01)
    print(reporter.stats().pending > 0, flush=True)
    sys.stdin.readline()
    assert reporter.flush(60) == (5_000, 0, 0), reporter.stats()"""
    )
    assert process.stdout.readline() == "ready\n"
    with _locked(program):
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "True\n"
    process.stdin.write("\n")
    program.end(process)
    assert _numbers(program) == list(range(5_000))


def test_a_buffer_away_at_the_end_costs_the_exit_timeout_and_one_line(program: Any) -> None:
    """The program ends by itself with its own status; stderr has one line with the counts."""
    with _locked(program):
        _, err = program.run(
            """
            import logging, sys, pumpkit
            logging.disable()
            reporter = pumpkit.Reporter(exit_timeout=0.3)
            reporter.record({"bad": object()})
            for number in range(3):
                reporter.record({"n": number})
            sys.exit(5)
            """,
            status=5,
        )
    assert err.count("\n") == 1
    assert err.startswith("pumpkit: 3 records could not be sent before the end (the buffer ")
    assert "unpackable 1" in err
    assert _numbers(program) == []


def test_drops_are_in_the_last_frame(program: Any) -> None:
    """Drops of every cause are known to the buffer when the program has ended."""
    out, _ = program.run(
        """
        import json, pumpkit
        reporter = pumpkit.Reporter(flush_interval=60, records_buffer_size=10, max_record_bytes=100)
        reporter.record({"bad": object()})
        reporter.record({"large": "x" * 200})
        while not reporter.stats().drops.get("full"):
            reporter.record({"n": 0})
        reporter.flush(30)
        reporter.record({"bad": object()})
        print(json.dumps(reporter.stats().drops))
        """
    )
    told = json.loads(out)
    assert program.drops() == {**told, "unpackable": 2}
    assert told["full"] >= 1
    assert told["too-large"] == 1


def test_a_full_buffer_is_waited_for(program: Any) -> None:
    """At the buffer's size cap records are kept in memory; when the cap is raised, they arrive."""
    buffer = open_buffer(program.url)
    buffer.register("pump")
    buffer.set_max_bytes(200_000)
    process = program.start(
        f"""{_BEGIN}
    while not reporter.stats().trouble:
        number += 1
        reporter.record({{"n": number, "noise": os.urandom(20_000)}})
        reporter.flush(0.05)
    print(number, reporter.stats().trouble, flush=True)
    sys.stdin.readline()
    assert reporter.flush(60).pending == 0"""
    )
    number, trouble = process.stdout.readline().split(" ", 1)
    assert trouble.startswith("the buffer is full")
    buffer.set_max_bytes(100_000_000)
    buffer.close()
    process.stdin.write("\n")
    program.end(process)
    assert _numbers(program) == list(range(int(number) + 1))


def test_a_recreated_buffer_file_is_noticed_and_used(program: Any) -> None:
    """When somebody deletes the file, what follows goes to the new one, and the loss is told."""
    process = program.start(
        f"""{_BEGIN}
    reporter.flush(60)
    print("ready", flush=True)
    sys.stdin.readline()
    reporter.record({{"n": 3}})
    assert reporter.flush(60) == (4, 0, 0)"""
    )
    assert process.stdout.readline() == "ready\n"
    file = program.url.removeprefix("sqlite:///")
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(file + suffix):
            os.remove(file + suffix)
    process.stdin.write("\n")
    _, err = program.end(process)
    assert _numbers(program) == [3]
    assert "lost 3 records that it had confirmed" in err


def test_sigterm_during_the_end_does_not_interrupt_it(program: Any) -> None:
    """A supervisor that asks a program to end which is ending already costs no record."""
    with _locked(program):
        process = program.start(
            f"""{_BEGIN}
    pumpkit.stop_on_sigterm()
    atexit.register(print, "ending", flush=True)"""
        )
        assert process.stdout.readline() == "ending\n"
        time.sleep(0.2)
        process.terminate()
        time.sleep(0.2)
    _, err = program.end(process)
    assert "could not be sent" not in err
    assert _numbers(program) == [0, 1, 2]


def test_sigterm_during_the_end_of_a_child_loses_nothing(program: Any) -> None:
    """A child of multiprocessing that is told to end while it ends has sent everything before it is gone."""
    program.run(
        """
        import multiprocessing, os, signal, time
        from multiprocessing import util
        import pumpkit
        reporter = pumpkit.Reporter(flush_interval=60, exit_timeout=30)

        def terminate():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)

        def work():
            pumpkit.stop_on_sigterm()
            util.Finalize(None, terminate, exitpriority=10)
            reporter.record({"n": 0})

        child = multiprocessing.Process(target=work)
        child.start()
        child.join()
        """
    )
    assert _numbers(program) == [0]


def test_a_driver_that_is_first_used_at_exit_can_be_imported_then(program: Any, redis_server: Any) -> None:
    """A program that ends right after its first record has not imported the driver yet, and loses nothing."""
    program.url = program.environment["PUMPKIT_BUFFER"] = redis_server.url
    program.run(_BEGIN)
    assert _numbers(program) == [0, 1, 2]


def test_msgpack_without_its_c_part_will_do(program: Any) -> None:
    """The reporter works with what msgpack has in Python only: all that a second interpreter of a process gets."""
    program.environment["MSGPACK_PUREPYTHON"] = "1"
    program.run(f"{_BEGIN}    reporter.record({{'n': 3, 'deep': [[{{'a': None}}]]}})")
    assert _numbers(program) == [0, 1, 2, 3]
