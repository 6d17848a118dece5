"""Two workers of one pump beside one: how much faster is a sink that costs processor time in Python.

The sink writes JSON lines. Redis needs processor time of its own, which two workers do not get on two processors: so
what it took is shown too.
"""

import os
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.redis.server import RATE, Server
from benchmarks.rounds import Measures, Samples, Size, interleaved, ratio, spread
from benchmarks.table import Aim, Report, Table, around
from benchmarks.world import PUMP, World

TITLE = "Two workers of one pump"

ONE, TWO = "one worker", "two workers"
FRAME = 500
SERVER = "server_percent"

#: The part of the records after which time counts: both workers are at work then.
AFTER = 0.2

_SINKS = Path(__file__).parents[2] / "tests" / "sinks_for_tests"


def measure(size: Size, server: Server) -> Samples:
    """Measure records per second, and the server's share of a processor meanwhile."""
    frames = size.of(300, least=8)
    return interleaved(
        size.rounds, {name: partial(_run, server, workers, frames) for name, workers in ((ONE, 1), (TWO, 2))}
    )


def _run(server: Server, workers: int, frames: int) -> Measures:
    server.empty()
    server.fill_log(frames, FRAME)
    with TemporaryDirectory() as name:
        pump: dict[str, Any] = {"type": "t-file", "workers": workers, "meta": {"path": f"{name}/lines"}}
        world = World(Path(name), server.url, pumps={PUMP: pump})
        with world.runner(PYTHONPATH=os.pathsep.join([str(_SINKS), os.environ.get("PYTHONPATH", "")])) as runner:
            drained = server.drained(frames * FRAME, AFTER)
            runner.terminate()
            runner.ended()
        lines = Path(name, "lines").read_bytes().count(b"\n")
    if lines != frames * FRAME:
        raise RuntimeError(f"{lines} lines of {frames * FRAME} records")
    return {RATE: drained.per_second, SERVER: 100 * drained.server_share}


def report(samples: Samples) -> Report:
    """Compare two workers with one."""
    rows = [
        [
            name,
            around(spread(samples[name][RATE])),
            around(ratio(samples, RATE, name, ONE)),
            around(spread(samples[name][SERVER])),
        ]
        for name in (ONE, TWO)
    ]
    aim = Aim("records/s of two workers, times those of one,", ratio(samples, RATE, TWO, ONE), 1.8, "", True)
    head = ["", "records/s", "times one worker", "server, % of a processor"]
    return Report(f"Into JSON lines, counted once {AFTER:.0%} is delivered.", [Table(head, rows)], [aim])
