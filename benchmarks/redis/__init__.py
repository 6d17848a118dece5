"""The buffer in Redis, and the lists that Go programs fill, beside what one writes by hand with a Redis client.

Every part is one module, made like a benchmark, but for the server that its `measure` is given. The server keeps
everything in memory only, as it does by default for the Go programs; it is emptied before each run.
"""

from collections.abc import Callable
from typing import NamedTuple

from benchmarks.parts import named, of
from benchmarks.redis import consumers, imports, into_csv, latency, memory, producers, shared
from benchmarks.redis.server import Server, running
from benchmarks.rounds import Samples, Size
from benchmarks.table import Chapters, Report

TITLE = "Over Redis"


class Part(NamedTuple):
    """One module of this package: its title, what measures, and what makes a report of that."""

    title: str
    measure: Callable[[Size, Server], Samples]
    report: Callable[[Samples], Report]


PARTS = {
    module.__name__.rpartition(".")[2]: Part(module.TITLE, module.measure, module.report)
    for module in (memory, producers, consumers, into_csv, shared, imports, latency)
}


def measure(size: Size) -> Samples:
    """Measure every part against one server."""
    samples: Samples = {}
    with running() as server:
        for name, part in PARTS.items():
            samples |= named(name, part.measure(size, server))
    return samples


def report(samples: Samples) -> Chapters:
    """Report on every part."""
    return Chapters([(part.title, part.report(of(name, samples))) for name, part in PARTS.items()])
