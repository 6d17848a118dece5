"""Processes that fork by themselves."""

from collections.abc import Callable

from tests.ways.way import Stage, Way

_GROUP = "A program forks"

_BEGIN = """
import os, sys, threading, time
import pumpkit
from recording import ending, flush, record

def wait_for(pid, status=0):
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == status
"""

_FORK = """
record("before")
pid = os.fork()
if pid == 0:
    {child}
record("parent")
wait_for(pid)
ending()
"""

_GENERATIONS = """
name = "a"
for _ in range(3):
    record(name)
    pid = os.fork()
    if pid:
        record(f"{name}-parent")
        wait_for(pid)
        break
    name += "a"
ending()
"""

_DAEMON = """
{before}
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
record("daemon")
ending()
"""

_BUSY = 'import os; os.environ["WAY_FLUSH_INTERVAL"] = "0.01"'

_STORM = """
going = True

def work(name):
    number = 0
    while going:
        record(f"thread-{name}-{number}", 20)
        number += 1
        time.sleep(0.002)

threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
for thread in threads:
    thread.start()
children = []
for child in range(200):
    pid = os.fork()
    if pid == 0:
        record(f"child-{child}")
        if child % 2:
            flush()
            os._exit(0)
        sys.exit(0)
    children.append(pid)
    if child % 8 == 7:
        while children:
            wait_for(children.pop())
going = False
for thread in threads:
    thread.join()
ending()
"""


def _program(code: str, before: str = "") -> Callable[[Stage], None]:
    def run(stage: Stage) -> None:
        stage.run(before + _BEGIN + code)

    return run


_EMPTY = "the child begins with an empty memory, its own connection and thread"

WAYS = [
    Way(
        "fork",
        _GROUP,
        "`os.fork()`; the child ends by `sys.exit()` or its last line",
        f"{_EMPTY}, and sends what it has when it ends",
        _program(_FORK.format(child="record('child'); ending(); sys.exit()")),
    ),
    Way(
        "fork-os-exit",
        _GROUP,
        "`os.fork()`; the child ends by `os._exit()`",
        f"{_EMPTY}; no handler runs at its end",
        _program(_FORK.format(child="record('child', kept=False); os._exit(0)")),
        "`pumpkit.flush()` in the child, before it",
        conditions=("fine",),
    ),
    Way(
        "fork-os-exit-flushed",
        _GROUP,
        "`os.fork()`; the child calls `pumpkit.flush()`, then `os._exit()`",
        f"{_EMPTY}; the flush sends what it has",
        _program(_FORK.format(child="record('child'); flush(); os._exit(0)")),
    ),
    Way(
        "fork-generations",
        _GROUP,
        "children that fork",
        "each generation is like the first",
        _program(_GENERATIONS),
    ),
    Way(
        "fork-storm",
        _GROUP,
        "200 forks while four threads record",
        "no child waits for a lock that a thread of its parent held",
        _program(_STORM, _BUSY),
        conditions=("fine",),
    ),
    Way(
        "daemon",
        _GROUP,
        "the double fork of a daemon",
        "both parents end by `os._exit()`: what was recorded before stays in their memory",
        _program(_DAEMON.format(before="record('before', kept=False)")),
        "record after it only, or call `pumpkit.flush()` before it",
        conditions=("fine",),
    ),
    Way(
        "daemon-flushed",
        _GROUP,
        "the double fork of a daemon after `pumpkit.flush()`",
        "the daemon begins with an empty memory",
        _program(_DAEMON.format(before="record('before')\nflush()")),
    ),
]
