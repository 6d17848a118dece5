"""The time from `record()` until the line is in the CSV file, with a reporter and `pumpkit run` as they are by default.

A steady 200 records a second, each of which carries when it was recorded; the file is looked at every two milliseconds.
"""

import itertools
import os
import time
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.apart import ready, together
from benchmarks.authz import records
from benchmarks.rounds import Measures, Samples, Size, interleaved, percentile, spread
from benchmarks.table import Aim, Report, Table, around
from benchmarks.world import PATIENCE, World, until
from pumpkit import Reporter

TITLE = "From record() to the line in the file"

DEFAULT, FAST = "by default", "flush_interval=0.02, purge-delay: 0.02"
PERCENTS = (50, 99, 100)
PER_SECOND = 200
LOOK = 0.002  # seconds
RECORDED = "recorded"  # the first column: when `record()` was called, in nanoseconds


def measure(size: Size) -> Samples:
    """Measure milliseconds."""
    count = size.of(4 * PER_SECOND, least=20)
    return interleaved(
        size.rounds,
        {
            DEFAULT: partial(run, count),
            FAST: partial(run, count, flush_interval=0.02, purge_delay=0.02),
        },
    )


def run(
    count: int, url: str | None = None, *, flush_interval: float | None = None, purge_delay: float | None = None
) -> Measures:
    """Send so many records through the buffer at `url` (default: an embedded one); return milliseconds."""
    reporting = {} if flush_interval is None else {"flush_interval": flush_interval}
    settings = {} if purge_delay is None else {"purge-delay": purge_delay}
    with TemporaryDirectory() as folder:
        world = World(Path(folder), url, **settings)
        with world.runner() as runner:
            with Reporter(world.url) as reporter:
                reporter.record({RECORDED: 0} | records(1)[0])
            until(lambda: world.delivered() == 1, "the runner delivers")
            _, taken = together((_report, world.url, reporting, count), (_watch, world.csv, count))
            runner.terminate()
            runner.ended()
    return {f"p{percent}": percentile(taken, percent) for percent in PERCENTS}


def _report(barrier: Barrier, url: str, reporting: dict[str, Any], count: int) -> None:
    some = records(500)
    with Reporter(url, **reporting) as reporter:
        ready(barrier)
        begin = time.monotonic()
        for number, record in zip(range(count), itertools.cycle(some), strict=False):
            time.sleep(max(0.0, begin + number / PER_SECOND - time.monotonic()))
            reporter.record({RECORDED: time.monotonic_ns()} | record)


def _watch(barrier: Barrier, folder: Path, count: int) -> list[float]:
    """Return how many milliseconds each record took to stand in the file."""
    taken: list[float] = []
    (live,) = folder.glob("*.csv.part")
    with live.open("rb") as file:
        file.seek(0, os.SEEK_END)
        ready(barrier)
        rest, deadline = b"", time.monotonic() + PATIENCE
        while len(taken) < count and time.monotonic() < deadline:
            time.sleep(LOOK)
            *lines, rest = (rest + file.read()).split(b"\n")
            now = time.monotonic_ns()
            taken += [(now - int(line.split(b'"', 2)[1])) / 1e6 for line in lines]
    if len(taken) != count:
        raise RuntimeError(f"{len(taken)} of {count} records came")
    return taken


def report(samples: Samples) -> Report:
    """Show both settings, and whether the default is quick enough."""
    rows = [
        [name, *(around(spread(measures[f"p{percent}"])) for percent in PERCENTS)] for name, measures in samples.items()
    ]
    aim = Aim("p99 by default", spread([ms / 1e3 for ms in samples[DEFAULT]["p99"]]), 1, " s")
    about = f"{PER_SECOND} records a second; a record counts once its line can be read."
    return Report(about, [Table(["", "p50, ms", "p99, ms", "slowest, ms"], rows)], [aim])
