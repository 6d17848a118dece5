"""The processor time of a record on its way from Redis into a CSV file: `pumpkit run` beside a plain loop.

The loop is what one writes without pumpkit, and about what the Go pumps do: pop a thousand records off the list, unpack
them, hand them to `csv.DictWriter`. What it has popped is lost if it dies. `pumpkit run` counts with all its processes:
the one that supervises and trims, the one that moves the list into the log, and the pump's worker.
"""

import csv
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import msgpack

from benchmarks.apart import apart
from benchmarks.redis.server import CPU, LIST, RATE, Server, connect
from benchmarks.rounds import Measures, Samples, Size, interleaved, ratio, spread
from benchmarks.table import Aim, Report, Table, around
from benchmarks.world import World
from pumpkit.dialects.names import IAM

TITLE = "From Redis into CSV"

LOOP, FROM_LIST, FROM_FRAMES = "list, plain loop", "list, pumpkit run", "frames, pumpkit run"
AIMS = {FROM_LIST: 3, FROM_FRAMES: 5}
AT_ONCE, FRAME = 1_000, 2_000

#: What the runner is told of the list.
INPUTS = {"inputs": {"list": {"type": "redis-list", "dialect": "iam"}}}

SERVER = "server_cpu_us"


class Used(NamedTuple):
    """What a drain took: seconds of the processors, ours and the server's, and records per second."""

    cpu: float
    server: float
    rate: float


def measure(size: Size, server: Server) -> Samples:
    """Measure microseconds of processor time for a record, and records per second."""
    count = FRAME * size.of(75, least=10)
    ways = {LOOP: _drain_by_loop, FROM_LIST: _drain_list, FROM_FRAMES: _drain_log}
    return interleaved(size.rounds, {name: partial(_run, server, way, count) for name, way in ways.items()})


def _run(server: Server, drain: Callable[[Server, Path, int], Used], count: int) -> Measures:
    """Drain a backlog, and a frame of records to know what starting and stopping takes by itself."""
    one, all_ = (_drained(server, drain, number) for number in (FRAME, count))
    return {
        CPU: 1e6 * (all_.cpu - one.cpu) / (count - FRAME),
        SERVER: 1e6 * (all_.server - one.server) / (count - FRAME),
        RATE: all_.rate,
    }


def _drained(server: Server, drain: Callable[[Server, Path, int], Used], count: int) -> Used:
    server.empty()
    with TemporaryDirectory() as name:
        folder = Path(name)
        used = drain(server, folder, count)
        lines = sum(file.read_bytes().count(b"\n") - 1 for file in (folder / "csv").glob("*.csv*"))
    if lines != count:
        raise RuntimeError(f"{lines} lines of {count} records")
    return used


def _drain_by_loop(server: Server, folder: Path, count: int) -> Used:
    server.fill_list(count)
    before = server.cpu()
    cpu, rate = apart(_loop, server.url, folder, count)
    return Used(cpu, server.cpu() - before, rate)


def _loop(url: str, folder: Path, count: int) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.monotonic()
    client = connect(url)
    (folder / "csv").mkdir()
    with (folder / "csv" / "audit.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(IAM))
        writer.writeheader()
        while items := client.lpop(LIST, AT_ONCE):
            writer.writerows(msgpack.unpackb(item, timestamp=3) for item in items)
    return time.process_time() - cpu, count / (time.monotonic() - wall)


def _drain_list(server: Server, folder: Path, count: int) -> Used:
    server.fill_list(count)
    return _drain_by_runner(server, folder, count, INPUTS)


def _drain_log(server: Server, folder: Path, count: int) -> Used:
    server.fill_log(count // FRAME, FRAME)
    return _drain_by_runner(server, folder, count, {})


def _drain_by_runner(server: Server, folder: Path, count: int, settings: dict[str, Any]) -> Used:
    before = server.cpu()
    with World(folder, server.url, **settings).runner() as runner:
        drained = server.drained(count)
        runner.terminate()
        return Used(runner.ended(), server.cpu() - before, drained.per_second)


def report(samples: Samples) -> Report:
    """Compare both with the loop."""
    rows = []
    for name, measures in samples.items():
        figures = [around(spread(measures[CPU])), around(ratio(samples, CPU, LOOP, name))]
        rows.append([name, *figures, around(spread(measures[SERVER])), around(spread(measures[RATE]))])
    head = ["", "processor, µs a record", "times cheaper than the loop", "server, µs a record", "records/s"]
    aims = [
        Aim(f"processor time, {name}, times cheaper than the loop,", ratio(samples, CPU, LOOP, name), limit, "", True)
        for name, limit in AIMS.items()
    ]
    return Report(
        "Starting and stopping are taken off: a drain of one frame is measured beside that of the backlog.",
        [Table(head, rows)],
        aims,
    )
