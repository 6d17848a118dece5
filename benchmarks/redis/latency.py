"""The time from `record()` until the line is in the CSV file, over Redis; see `benchmarks.latency`."""

from functools import partial

from benchmarks.latency import DEFAULT, FAST, PER_SECOND, PERCENTS, run
from benchmarks.redis.server import Server
from benchmarks.rounds import Measures, Samples, Size, interleaved, spread
from benchmarks.table import Report, Table, around

TITLE = "From record() to the line in the file, over Redis"


def measure(size: Size, server: Server) -> Samples:
    """Measure milliseconds."""
    count = size.of(2 * PER_SECOND, least=20)
    return interleaved(
        size.rounds,
        {
            DEFAULT: partial(_run, server, count, None),
            FAST: partial(_run, server, count, 0.02),
        },
    )


def _run(server: Server, count: int, pause: float | None) -> Measures:
    server.empty()
    return run(count, server.url, flush_interval=pause, purge_delay=pause)


def report(samples: Samples) -> Report:
    """Show both settings."""
    rows = [
        [name, *(around(spread(measures[f"p{percent}"])) for percent in PERCENTS)] for name, measures in samples.items()
    ]
    about = f"{PER_SECOND} records a second; a record counts once its line can be read."
    return Report(about, [Table(["", "p50, ms", "p99, ms", "slowest, ms"], rows)])
