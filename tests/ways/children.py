"""Processes that Python's own modules start."""

import signal
from collections.abc import Callable

from tests.ways.way import Stage, Way

_GROUP = "Python starts processes: `subprocess`, `multiprocessing`, `concurrent.futures`"

#: `%s` is what the parent does; a program's functions have to be found by children that import it anew.
_PROGRAM = """
import concurrent.futures, multiprocessing, os, signal, subprocess, sys, time
import pumpkit
from recording import ending, flush, record

def work(name):
    record(f"child-{name}")
    ending()

def risk(name):
    record(f"child-{name}", kept=False)

def wait(name, ready, *, kept=False):
    record(f"child-{name}", kept=kept)
    ready.set()
    time.sleep(600)

def handle_and_wait(name, ready):
    pumpkit.stop_on_sigterm()
    wait(name, ready, kept=True)

def main():
%s

if __name__ == "__main__":
    main()
"""


def _parent(code: str, *arguments: str) -> Callable[[Stage], None]:
    """Return what runs a program whose parent does this."""
    body = "".join(f"    {line}\n" for line in code.strip().splitlines())

    def run(stage: Stage) -> None:
        stage.run(_PROGRAM % body, *arguments)

    return run


_PROCESS = """
context = multiprocessing.get_context(sys.argv[1])
record("before")
children = [context.Process(target=work, args=(number,)) for number in range(3)]
for child in children:
    child.start()
record("during")
for child in children:
    child.join()
    assert child.exitcode == 0
record("after")
ending()
"""

_TERMINATE = """
record("before")
ready = multiprocessing.Event()
child = multiprocessing.Process(target={target}, args=("terminated", ready))
child.start()
ready.wait()
child.terminate()
child.join()
assert child.exitcode == {status}, child.exitcode
ending()
"""

_DAEMONIC = """
record("before")
ready = multiprocessing.Event()
multiprocessing.Process(target={target}, args=("daemonic", ready), daemon=True).start()
ready.wait()
ending()
"""

_POOL = """
record("before")
pool = multiprocessing.Pool(2, maxtasksperchild=2)
pool.map(work, range(8), chunksize=1)
pool.close()
pool.join()
ending()
"""

_WITH_POOL = """
record("before")
with multiprocessing.Pool(2{initializer}) as pool:
    pool.map({work}, range(8), chunksize=1)
pool.join()
ending()
"""

_EXECUTOR = """
context = multiprocessing.get_context(sys.argv[1])
record("before")
with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
    list(pool.map(work, range(6)))
ending()
"""

_SUBPROCESS = """
if len(sys.argv) == 1:
    record("before")
    subprocess.run([sys.executable, __file__, "child"], check=True)
else:
    record("child")
ending()
"""

_SENDS = "a child begins with an empty memory, and sends what it has when it ends"

WAYS = [
    Way("subprocess", _GROUP, "`subprocess`", "the child is a program like any other", _parent(_SUBPROCESS)),
    *(
        Way(
            f"process-{method}",
            _GROUP,
            f"`Process`, {method}",
            _SENDS,
            _parent(_PROCESS, method),
        )
        for method in ("fork", "spawn", "forkserver")
    ),
    Way(
        "process-terminate",
        _GROUP,
        "`Process.terminate()`",
        "SIGTERM ends the child at once",
        _parent(_TERMINATE.format(target="wait", status=-signal.SIGTERM)),
        "call {py:func}`pumpkit.stop_on_sigterm` in the child",
        conditions=("fine",),
    ),
    Way(
        "process-terminate-handled",
        _GROUP,
        "`Process.terminate()` with `stop_on_sigterm()` in the child",
        "the child ends in order, with exit code 143",
        _parent(_TERMINATE.format(target="handle_and_wait", status=143)),
    ),
    Way(
        "process-daemonic",
        _GROUP,
        "`Process(daemon=True)` whose parent ends",
        "multiprocessing ends the child by SIGTERM",
        _parent(_DAEMONIC.format(target="wait")),
        "call {py:func}`pumpkit.stop_on_sigterm` in the child",
        conditions=("fine",),
    ),
    Way(
        "process-daemonic-handled",
        _GROUP,
        "`Process(daemon=True)` with `stop_on_sigterm()`, whose parent ends",
        "the child ends in order; the parent waits for it",
        _parent(_DAEMONIC.format(target="handle_and_wait")),
    ),
    Way("pool", _GROUP, "`Pool.close()` and `join()`; `maxtasksperchild`", _SENDS, _parent(_POOL)),
    Way(
        "pool-terminate",
        _GROUP,
        "`Pool.terminate()`, which the end of `with Pool()` is",
        "SIGTERM ends the workers at once",
        _parent(_WITH_POOL.format(initializer="", work="risk")),
        "give the pool {py:func}`pumpkit.stop_on_sigterm` as its `initializer`, or `close()` and `join()` it",
        conditions=("fine",),
    ),
    Way(
        "pool-terminate-handled",
        _GROUP,
        "`Pool.terminate()` with `stop_on_sigterm` as `initializer` of the pool",
        "the workers end in order",
        _parent(_WITH_POOL.format(initializer=", pumpkit.stop_on_sigterm", work="work")),
    ),
    *(
        Way(
            f"executor-{method}",
            _GROUP,
            f"`ProcessPoolExecutor`, {method}",
            _SENDS,
            _parent(_EXECUTOR, method),
        )
        for method in ("fork", "spawn")
    ),
]
