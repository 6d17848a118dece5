"""All benchmarks, in the order in which they run."""

from typing import Protocol

from benchmarks import drain, latency, log, redis, reporter, sinks
from benchmarks.rounds import Samples, Size
from benchmarks.table import Chapters, Report


class Benchmark(Protocol):
    """What a module of this package has that is a benchmark."""

    TITLE: str

    def measure(self, size: Size) -> Samples:
        """Run every contender in every round; return plain numbers."""

    def report(self, samples: Samples) -> Report | Chapters:
        """Make tables and aims of such numbers."""


BENCHMARKS: dict[str, Benchmark] = {
    "reporter": reporter,
    "log": log,
    "drain": drain,
    "latency": latency,
    "redis": redis,
    "sinks": sinks,
}
