"""Programs whose main thread runs an event loop, or greenlets."""

import signal
from collections.abc import Callable

from tests.ways.way import Stage, Way
from tests.ways.web import need

_GROUP = "asyncio, uvloop and gevent"

_BEGIN = """
import asyncio, signal, time
import pumpkit
from recording import AWAY, ending, record
"""

_PLAIN = """
async def work(number):
    await asyncio.sleep(0)
    record(f"task-{number}")

async def main():
    await asyncio.gather(*map(work, range(10)))
    await asyncio.to_thread(pumpkit.flush, 0.1 if AWAY else 60)
    record("last")

run(main())
ending()
"""

_UNTIL_CANCELLED = """
async def main():
    record("main")
    print("ready", flush=True)
    try:
        await asyncio.sleep(600)
    finally:
        record("cleanup")

import pumpkit.buffers.sqlite, zstandard
%s
run(main())
"""

_GREENLETS = """
from gevent import monkey
monkey.patch_all()
import gevent, signal, time
import pumpkit
from recording import ending, record

def work(number):
    time.sleep(0.01)
    record(f"greenlet-{number}")

gevent.joinall([gevent.spawn(work, number) for number in range(10)])
"""


def _plain(module: str) -> Callable[[Stage], None]:
    def run(stage: Stage) -> None:
        need(module)
        stage.run(_BEGIN + f"from {module} import run\n" + _PLAIN)

    return run


def _greenlets(stage: Stage) -> None:
    need("gevent")
    stage.run(_GREENLETS + "ending()\n")


def _signalled(number: signal.Signals, before: str, status: int, module: str = "asyncio") -> Callable[[Stage], None]:
    begin = _BEGIN + f"from {module} import run\n"
    return _told_to_end(number, begin + _UNTIL_CANCELLED % before, status, module)


def _told_to_end(number: signal.Signals, code: str, status: int, module: str) -> Callable[[Stage], None]:
    def run(stage: Stage) -> None:
        need(module)
        stage.run_until_signalled(number, code, status)

    return run


WAYS = [
    Way(
        "asyncio",
        _GROUP,
        "`asyncio.run()`",
        "`record()` never waits; what waits is sent when the program ends",
        _plain("asyncio"),
        "`await asyncio.to_thread(pumpkit.flush)`, not `flush()`, in a coroutine",
    ),
    Way(
        "asyncio-sigint",
        _GROUP,
        "SIGINT (Ctrl-C) while `asyncio.run()` runs",
        "asyncio cancels the main task; what its clean-up records is sent as well",
        _signalled(signal.SIGINT, "", -signal.SIGINT),
    ),
    Way(
        "asyncio-sigterm",
        _GROUP,
        "SIGTERM with `stop_on_sigterm()` while `asyncio.run()` runs",
        "`SystemExit` ends the loop; asyncio cancels what still runs, and what its clean-up records is sent as well",
        _signalled(signal.SIGTERM, "pumpkit.stop_on_sigterm()", 143),
    ),
    Way(
        "uvloop",
        _GROUP,
        "`uvloop.run()`",
        "as with `asyncio.run()`",
        _plain("uvloop"),
    ),
    Way(
        "uvloop-sigterm",
        _GROUP,
        "SIGTERM with `stop_on_sigterm()` while `uvloop.run()` runs",
        "as with `asyncio.run()`",
        _signalled(signal.SIGTERM, "pumpkit.stop_on_sigterm()", 143, "uvloop"),
    ),
    Way(
        "gevent",
        _GROUP,
        "gevent, monkey-patched",
        "the reporter's thread is a greenlet, which sends what waits when the program ends",
        _greenlets,
    ),
    Way(
        "gevent-sigterm",
        _GROUP,
        "SIGTERM with `stop_on_sigterm()`, in a program that gevent has patched",
        "the program ends as by `sys.exit(143)`",
        _told_to_end(
            signal.SIGTERM,
            f"{_GREENLETS}pumpkit.stop_on_sigterm()\nprint('ready', flush=True)\ntime.sleep(600)\n",
            143,
            "gevent",
        ),
    ),
]
