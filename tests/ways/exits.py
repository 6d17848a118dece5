"""The ends of a program, as Python and the system know them."""

import signal
from collections.abc import Callable

from tests.ways.way import Stage, Way

_GROUP = "A program ends"

#: The common ends meet the buffer in each of its conditions.
_ALL = ("fine", "away", "hanging", "slow")

_BEGIN = """
import os, signal, sys, threading, time
import pumpkit
from recording import AWAY, ending, flush, record
"""

_SENDS = "what waits is sent, for `exit_timeout` at most"


def _ends(code: str, status: int = 0) -> Callable[[Stage], None]:
    """Return what runs a program that ends by itself."""

    def run(stage: Stage) -> None:
        stage.run(_BEGIN + code, status=status)

    return run


def _signalled(number: signal.Signals, code: str, status: int) -> Callable[[Stage], None]:
    """Return what runs a program that waits for a signal."""

    def run(stage: Stage) -> None:
        waiting = f"{_BEGIN}{code}\nprint('ready', flush=True)\ntime.sleep(600)\n"
        stage.run_until_signalled(number, waiting, status)

    return run


def _spilling(stage: Stage) -> None:
    """A program that ends while it keeps everybody from the buffer itself, and then another."""
    stage.program.environment["XDG_STATE_HOME"] = str(stage.program.folder)
    begin = f"{_BEGIN}pumpkit.configure(flush_interval=60, exit_timeout=2, overflow='spill')\n"
    lock = f"""
import apsw
connection = apsw.Connection({stage.program.url.removeprefix("sqlite:///")!r})
connection.execute("BEGIN IMMEDIATE")
"""
    stage.run(begin + lock + "record('first')\nending()")
    stage.run(begin + "record('next')\npumpkit.flush(60)\nending()")


WAYS = [
    Way(
        "last-line",
        _GROUP,
        "after its last line",
        _SENDS,
        _ends("record('main')\nending()"),
        conditions=_ALL,
    ),
    Way(
        "spilled",
        _GROUP,
        "after its last line, while the buffer is away, with `overflow='spill'`",
        "what waits goes [into a file](../how-to/back-pressure.md), and the next process sends it on",
        _spilling,
        conditions=("fine",),
    ),
    Way(
        "sys-exit",
        _GROUP,
        "`sys.exit()`",
        _SENDS,
        _ends("record('main')\nending()\nsys.exit(3)", 3),
        conditions=_ALL,
    ),
    Way(
        "unhandled-exception",
        _GROUP,
        "an exception that nobody handles",
        f"after the traceback, {_SENDS}",
        _ends("record('main')\nending()\nraise ValueError", 1),
        conditions=_ALL,
    ),
    Way(
        "sys-exit-in-a-thread",
        _GROUP,
        "`sys.exit()` in a thread",
        "that thread ends; the program ends as it would without it",
        _ends(
            """
def work():
    record("thread")
    sys.exit(3)
thread = threading.Thread(target=work)
thread.start()
thread.join()
record("main")
ending()
"""
        ),
    ),
    Way(
        "threads-go-on",
        _GROUP,
        "after its last line, while other threads go on",
        f"Python waits for them; then {_SENDS}",
        _ends(
            """
def work():
    threading.main_thread().join()
    record("thread")
    ending()
threading.Thread(target=work).start()
record("main")
"""
        ),
    ),
    Way(
        "daemon-threads",
        _GROUP,
        "after its last line, while daemon threads do the work",
        f"{_SENDS}; then Python stops these threads wherever they are",
        _ends(
            """
done = threading.Event()
def work():
    record("thread")
    done.set()
    time.sleep(600)
threading.Thread(target=work, daemon=True).start()
done.wait()
ending()
"""
        ),
    ),
    Way(
        "exit-handlers",
        _GROUP,
        "exit handlers (`atexit`) that record",
        "what they record is sent as well",
        _ends(
            """
import atexit
atexit.register(record, "late")
record("main")
ending()
"""
        ),
    ),
    Way(
        "sigint",
        _GROUP,
        "SIGINT (Ctrl-C)",
        f"Python raises `KeyboardInterrupt`; {_SENDS}",
        # Imports after it would make Python forget that a signal ended it, and leave with status 1.
        _signalled(signal.SIGINT, "import pumpkit.buffers.sqlite, zstandard\nrecord('main')", -signal.SIGINT),
        conditions=_ALL,
    ),
    Way(
        "sigterm",
        _GROUP,
        "SIGTERM",
        "the system ends the process at once: no code of it runs any more",
        _signalled(signal.SIGTERM, "record('main', kept=False)", -signal.SIGTERM),
        "call {py:func}`pumpkit.stop_on_sigterm` once",
        conditions=("fine",),
    ),
    Way(
        "sigterm-handled",
        _GROUP,
        "SIGTERM with `pumpkit.stop_on_sigterm()`",
        f"the program ends as by `sys.exit(143)`; {_SENDS}",
        _signalled(signal.SIGTERM, "pumpkit.stop_on_sigterm()\nrecord('main')", 143),
        conditions=_ALL,
    ),
    Way(
        "os-exit",
        _GROUP,
        "`os._exit()`",
        "no handler runs",
        _ends("record('main', kept=False)\nos._exit(0)"),
        "{py:func}`pumpkit.flush` before it, or {py:func}`pumpkit.flushing`",
        conditions=("fine",),
    ),
    Way(
        "os-exit-flushed",
        _GROUP,
        "`os._exit()` after `pumpkit.flush()`",
        "the flush has sent everything, or says how much it could not send",
        _ends("record('main')\nending()\nflush()\nos._exit(0)"),
        conditions=_ALL,
    ),
    Way(
        "os-exit-flushing",
        _GROUP,
        "`os._exit()` after a block of `pumpkit.flushing()`",
        "the block is left when everything is sent; it logs how much it could not send",
        _ends(
            """
with pumpkit.flushing(0.2 if AWAY else 60):
    record("main")
    ending()
os._exit(0)
"""
        ),
    ),
    Way(
        "exec",
        _GROUP,
        "`os.execv()` and its kin",
        "another program takes the process over; no handler runs",
        _ends("record('main', kept=False)\nos.execv(sys.executable, [sys.executable, '-c', ''])"),
        "`pumpkit.flush()` before it",
        conditions=("fine",),
    ),
    Way(
        "sigkill",
        _GROUP,
        "SIGKILL, the kernel's OOM killer, a crash in C",
        "no code of the process runs any more; a shorter `flush_interval` risks less",
        _ends(
            """
record("flushed")
flush()
record("main", kept=False)
os.kill(os.getpid(), signal.SIGKILL)
""",
            -signal.SIGKILL,
        ),
        conditions=("fine",),
    ),
]
