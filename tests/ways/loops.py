"""Programs whose main thread runs an event loop."""

import signal
from collections.abc import Callable

from tests.ways.way import Stage, Way

_GROUP = "asyncio"

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

asyncio.run(main())
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
asyncio.run(main())
"""


def _plain(stage: Stage) -> None:
    stage.run(_BEGIN + _PLAIN)


def _signalled(number: signal.Signals, before: str, status: int) -> Callable[[Stage], None]:
    def run(stage: Stage) -> None:
        process = stage.program.start(_BEGIN + _UNTIL_CANCELLED % before)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        stage.ending()
        process.send_signal(number)
        stage.end(process, status)

    return run


WAYS = [
    Way(
        "asyncio",
        _GROUP,
        "`asyncio.run()`",
        "`record()` never waits; what waits is sent when the program ends",
        _plain,
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
]
