"""The processor time of a record on its way from the log into a CSV file, beside a plain loop over the same frames.

The loop is what one writes without pumpkit: select the frames, unpack them with msgpack, hand the records to
`csv.DictWriter`. It acknowledges nothing, syncs nothing and stands no crash. The worker is the real one: it delivers at
least once, and into CSV exactly once, with the acknowledgements and the syncs of the disk that this takes.
"""

import csv
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import apsw
import msgpack
import zstandard

from benchmarks.apart import apart
from benchmarks.authz import FIELDS
from benchmarks.backlog import fill
from benchmarks.rounds import Measures, Samples, Size, interleaved, ratio, spread
from benchmarks.table import Aim, Report, Table, around
from benchmarks.world import World, until

TITLE = "From the log into CSV"

LOOP, WORKER, RUNNER = "plain loop", "worker", "pumpkit run"

#: Records in a frame: a reporter makes full frames of a backlog, and small ones when there is little to report.
FRAMES = (2_000, 100)

CPU, RATE = "cpu_us", "records_per_second"


class Used(NamedTuple):
    """What a drain took, in seconds: of the processors, user and system; and of time, from its first record on."""

    cpu: float
    wall: float | None = None


def measure(size: Size) -> Samples:
    """Measure microseconds of processor time for a record, and records per second."""
    contenders = {
        _name(way, frame): partial(_run, drain, size.of(100_000 // frame, least=3), frame)
        for frame in FRAMES
        for way, drain in ((LOOP, _drain_by_loop), (WORKER, _drain_by_worker), (RUNNER, _drain_by_runner))
    }
    return interleaved(size.rounds, contenders)


def _name(way: str, frame: int) -> str:
    return f"{way}, frames of {frame:,}"


def _run(drain: Callable[[Path, int], Used], frames: int, size: int) -> Measures:
    """Drain a backlog, and one frame to know what starting and stopping takes by itself."""
    one, all_ = (_drained(drain, number, size) for number in (1, frames))
    records = (frames - 1) * size
    measures = {CPU: 1e6 * (all_.cpu - one.cpu) / records}
    return measures | {RATE: frames * size / all_.wall} if all_.wall else measures


def _drained(drain: Callable[[Path, int], Used], frames: int, size: int) -> Used:
    with TemporaryDirectory() as name:
        folder = Path(name)
        fill(f"sqlite:///{folder}/buffer.db", frames, size)
        used = drain(folder, frames * size)
        lines = sum(file.read_bytes().count(b"\n") - 1 for file in (folder / "csv").glob("*.csv*"))
    if lines != frames * size:
        raise RuntimeError(f"{lines} lines of {frames * size} records")
    return used


def _drain_by_loop(folder: Path, count: int) -> Used:
    used: Used = apart(_loop, folder)
    return used


def _loop(folder: Path) -> Used:
    cpu, wall = time.process_time(), time.monotonic()
    decompressor = zstandard.ZstdDecompressor()
    (folder / "csv").mkdir()
    with (
        closing(apsw.Connection(str(folder / "buffer.db"))) as connection,
        (folder / "csv" / "audit.csv").open("w", newline="") as file,
    ):
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        for (frame,) in connection.execute("SELECT frame FROM frames ORDER BY position"):
            body = msgpack.unpackb(frame)[11]
            writer.writerows(msgpack.unpackb(decompressor.decompress(body), timestamp=3))
    return Used(time.process_time() - cpu, time.monotonic() - wall)


def _drain_by_worker(folder: Path, count: int) -> Used:
    with World(folder).worker() as worker:
        times = [time.monotonic() for _ in worker.progress(count)]
        wall = times[-1] - times[0]
        worker.tell({"do": "stop"})  # after the commit that follows
        return Used(worker.ended(), wall)


def _drain_by_runner(folder: Path, count: int) -> Used:
    world = World(folder)
    with world.runner() as runner:
        until(lambda: world.delivered() == count, "the backlog is drained")
        runner.terminate()
        return Used(runner.ended())


def report(samples: Samples) -> Report:
    """Compare the three ways, for each size of frames."""
    rows, aims = [], []
    for size in FRAMES:
        loop = _name(LOOP, size)
        for way in (LOOP, WORKER, RUNNER):
            name = _name(way, size)
            measures = samples[name]
            figures = [around(spread(measures[CPU])), around(ratio(samples, CPU, name, loop))]
            rows.append([name, *figures, around(spread(measures[RATE])) if RATE in measures else ""])
        share = ratio(samples, CPU, _name(WORKER, size), loop)
        aims.append(Aim(f"processor time of the worker, frames of {size:,}, against the loop,", share, 0.5))
    head = ["", "processor, µs a record", "times plain loop", "records/s"]
    about = "Starting and stopping are taken off: a drain of one frame is measured beside that of the backlog."
    return Report(about, [Table(head, rows)], aims)
