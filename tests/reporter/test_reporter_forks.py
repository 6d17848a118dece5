"""Processes that fork, with a real buffer: every record of every process arrives once. More ways are in tests/ways."""

from collections import Counter
from typing import Any

import pytest

_MULTIPROCESSING = """
    import multiprocessing, sys
    import pumpkit

    pumpkit.configure(exit_timeout=30)
    reporter = pumpkit.Reporter(flush_interval=60, exit_timeout=30)

    def work(name):
        for number in range(100):
            reporter.record({"n": number, "by": name})
        pumpkit.record({"n": 100, "by": name})

    def main():
        context = multiprocessing.get_context(sys.argv[1])
        if sys.argv[2] == "early":
            work("parent")
        %s
        if sys.argv[2] == "late":
            work("parent")

    if __name__ == "__main__":
        main()
"""


def _by(program: Any) -> Counter[Any]:
    """Return how many records there are of each process; every record is there once."""
    records = program.records()
    whole = Counter((record["by"], record["n"]) for record in records)
    assert set(whole.values()) == {1}
    producers: dict[str, set[Any]] = {}
    for record in records:
        producers.setdefault(record["_producer"], set()).add(str(record["by"]).split()[0])
    assert all(len(names) == 1 for names in producers.values())  # a producer is never shared
    return Counter(record["by"] for record in records)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_children_lose_nothing(program: Any, method: str) -> None:
    """Children may record before their parent does, with several reporters; tests/ways has the rest."""
    code = _MULTIPROCESSING % (
        """
        processes = [context.Process(target=work, args=(name,)) for name in range(3)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
            assert process.exitcode == 0"""
    )
    program.run(code, method, "late")
    assert _by(program) == {"parent": 101, 0: 101, 1: 101, 2: 101}


def test_an_exception_in_a_child_loses_nothing(program: Any) -> None:
    """A multiprocessing child that fails still sends what it recorded."""
    code = _MULTIPROCESSING % (
        """
        process = context.Process(target=fail)
        process.start()
        process.join()
        assert process.exitcode == 1"""
    )
    code = code.replace(
        "    def main():", "    def fail():\n        work(0)\n        raise ValueError\n\n    def main():", 1
    )
    program.run(code, "fork", "early")
    assert _by(program) == {"parent": 101, 0: 101}


_FORKS = """
    import os, sys, threading, time
    import pumpkit

    reporter = pumpkit.Reporter(flush_interval=60, records_buffer_size=1_000_000, exit_timeout=60)
    going = True
    counts = [0] * 4

    def work(name):
        while going:
            reporter.record({"n": counts[name], "by": f"thread {name}"})
            counts[name] += 1
            if counts[name] % 50 == 0:
                time.sleep(0.001)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    children = []
    for child in range(20):
        pid = os.fork()
        if pid == 0:
            for number in range(20):
                reporter.record({"n": number, "by": child})
            if child % 2:
                os._exit(0 if reporter.flush(60) == (20, 0, 0) else 9)
            sys.exit(0)
        children.append(pid)
        if child % 8 == 7:
            while children:
                assert os.waitpid(children.pop(), 0)[1] == 0
    while children:
        assert os.waitpid(children.pop(), 0)[1] == 0
    going = False
    for thread in threads:
        thread.join()
    result = reporter.flush(60)
    assert result == (sum(counts), 0, 0), result
    print(*counts)
"""


def test_forks_under_recording_threads_lose_and_double_nothing(program: Any) -> None:
    """Children of a busy parent start empty, send their own, and end by _exit after a flush or by sys.exit.

    A storm of forks, under threads that send as well, is in tests/ways.
    """
    out, err = program.run(_FORKS)
    assert "could not be sent" not in err
    counts = {f"thread {name}": int(count) for name, count in enumerate(out.split())}
    assert _by(program) == {**counts, **dict.fromkeys(range(20), 20)}


def test_a_fork_of_a_fork_and_a_fork_after_close(program: Any) -> None:
    """Grandchildren have producers of their own; a closed reporter stays closed in a child."""
    program.run(
        """
        import os, sys
        import pumpkit
        reporter, closed = pumpkit.Reporter(exit_timeout=30), pumpkit.Reporter()
        closed.close()
        name = "a"
        for _ in range(3):
            reporter.record({"n": 0, "by": name})
            pid = os.fork()
            if pid:
                reporter.record({"n": 1, "by": name})
                assert os.waitpid(pid, 0)[1] == 0
                break
            name += "a"
            closed.record({})
            assert closed.stats().drops == {"unsent": 1}
        """
    )
    assert _by(program) == {"a": 2, "aa": 2, "aaa": 2}


def test_a_child_of_a_reporter_with_an_open_buffer_counts_its_records(program: Any) -> None:
    """A Buffer that was handed over belongs to the process that opened it."""
    program.run(
        """
        import os
        import pumpkit
        from pumpkit.buffers import open_buffer
        buffer = open_buffer()
        reporter = pumpkit.Reporter(buffer)
        reporter.record({"n": 0, "by": "parent"})
        pid = os.fork()
        reporter.record({"n": 1, "by": "parent"})
        if pid == 0:
            assert reporter.flush() == (0, 0, 1)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert reporter.close() == (2, 0, 0)
        buffer.close()
        """
    )
    assert _by(program) == {"parent": 2}


def test_the_working_directory_of_a_child_does_not_change_the_buffer(program: Any) -> None:
    """A relative URL means the same file in a child that has gone elsewhere."""
    program.run(
        """
        import os, sys
        import pumpkit
        reporter = pumpkit.Reporter("sqlite:///buffer.db", exit_timeout=30)
        if os.fork() == 0:
            os.chdir("/")
            reporter.record({"n": 0, "by": "child"})
            sys.exit(0)
        assert os.wait()[1] == 0
        """
    )
    assert _by(program) == {"child": 1}


def test_a_fork_while_the_driver_is_imported_does_not_lock_the_child_up(program: Any) -> None:
    """A fork waits for the import, since the child would find the module locked by a thread that it does not have."""
    folder = program.folder / "site"
    (folder / "slow-1.dist-info").mkdir(parents=True)
    (folder / "slow-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: slow\nVersion: 1\n")
    (folder / "slow-1.dist-info" / "entry_points.txt").write_text("[pumpkit.buffers]\nslow = slow_buffer\n")
    (folder / "slow_buffer.py").write_text(
        "import os, time\n"
        "open('importing', 'w').close()\n"
        "time.sleep(0.3)\n"
        "from pumpkit.buffers import sqlite\n"
        "def open(url, *, create, timeout=5.0):\n"
        "    return sqlite.open('sqlite:///buffer.db', create=create)\n"
    )
    program.run(
        """
        import os, sys, time
        sys.path.insert(0, "site")
        import pumpkit
        reporter = pumpkit.Reporter("slow:", exit_timeout=30)
        reporter.record({"n": 0, "by": "parent"})
        reporter._outbox._bell.ring()
        while not os.path.exists("importing"):
            time.sleep(0.001)
        pid = os.fork()
        if pid == 0:
            reporter.record({"n": 0, "by": "child"})
            os._exit(0 if reporter.flush(20) == (1, 0, 0) else 9)
        assert os.waitpid(pid, 0)[1] == 0
        """
    )
    assert _by(program) == {"parent": 1, "child": 1}


def test_nothing_is_connected_while_a_fork_that_began_before_the_import_is_under_way(program: Any) -> None:
    """Such a fork does not call the hooks of the driver, so the thread waits until it is over."""
    out, _ = program.run(
        """
        import os, threading, time
        # Registered first: called after pumpkit's hook before the fork, and before pumpkit's hook after it.
        os.register_at_fork(before=lambda: time.sleep(0.3), after_in_parent=lambda: events.append("forked"))
        from pumpkit import Reporter
        from pumpkit.reporter import process
        events = []
        def load():
            with process.importing():
                events.append("importing")
                while not process._forks:
                    time.sleep(0.001)
            events.append("connecting")
        thread = threading.Thread(target=load)
        thread.start()
        while not events:
            time.sleep(0.001)
        if os.fork() == 0:
            os._exit(0)
        os.wait()
        thread.join()
        print(*events)
        """
    )
    assert out.split() == ["importing", "forked", "connecting"]


def test_the_hook_of_uwsgi_is_followed(program: Any) -> None:
    """uWSGI forks in C and calls its own hook only: the child begins anew there, after the hook that was set before."""
    (program.folder / "uwsgi.py").write_text(
        "has_threads = 1\nworker_id = lambda: 0\n\ndef post_fork_hook():\n    print('previous', flush=True)\n"
    )
    out, _ = program.run(
        """
        import ctypes, os
        import uwsgi
        import pumpkit
        reporter = pumpkit.Reporter(flush_interval=60)
        reporter.record({"n": 0, "by": "parent"})
        reporter.flush(60)
        reporter.record({"n": 1, "by": "parent"})
        pid = ctypes.PyDLL(None).fork()
        if pid == 0:
            uwsgi.post_fork_hook()
            reporter.record({"n": 0, "by": "child"})
            os._exit(0 if reporter.flush(60) == (1, 0, 0) else 9)
        assert os.waitpid(pid, 0)[1] == 0
        """
    )
    assert out == "previous\n"
    assert _by(program) == {"parent": 2, "child": 1}


#: A module as uWSGI has it, in which the test says which worker this is.
_UWSGI = """
has_threads = 1
number = respawns = 0

def worker_id():
    return number

def workers():
    return [{"respawn_count": respawns}]
"""


@pytest.mark.parametrize("first", ["record", "flush", "close"])
def test_a_fork_in_c_is_noticed_when_another_took_the_hook(program: Any, first: str) -> None:
    """What is recorded while the application is loaded is sent by the first worker, not by others nor its successor."""
    (program.folder / "uwsgi.py").write_text(_UWSGI)
    program.run(
        """
        import ctypes, os, sys, threading
        import uwsgi
        import pumpkit
        reporter = pumpkit.Reporter(flush_interval=60)
        reporter.record({"n": 0, "by": "loader"})
        assert threading.active_count() == 1
        uwsgi.post_fork_hook = None
        for number, respawns in ((1, 0), (2, 0), (1, 1)):
            if ctypes.PyDLL(None).fork() == 0:
                uwsgi.number, uwsgi.respawns = number, respawns
                name = f"{number}-{respawns}"
                if sys.argv[1] == "record":
                    reporter.record({"n": 0, "by": name})
                    reporter.flush(60)
                else:
                    getattr(reporter, sys.argv[1])(60)
                os._exit(0)
            assert os.wait()[1] == 0
        os._exit(0)  # the master of uWSGI runs no Python at its end
        """,
        first,
    )
    workers = {"1-0": 1, "2-0": 1, "1-1": 1} if first == "record" else {}
    assert Counter(record["by"] for record in program.records()) == {"loader": 1, **workers}


def test_a_worker_of_uwsgi_without_threads_says_so(program: Any) -> None:
    """An older uWSGI runs no threads unless told to; one line of the log says what to do."""
    (program.folder / "uwsgi.py").write_text(_UWSGI.replace("has_threads = 1", "has_threads = 0"))
    _, err = program.run("import pumpkit\npumpkit.Reporter()\npumpkit.Reporter()\n")
    assert err == "uWSGI runs no threads, so records are sent when a worker ends: start it with --enable-threads\n"
