"""The sinks beside what one writes by hand with the driver, on the servers of the tests.

Every part is one module, made like a benchmark. One whose server is not installed is left out, and says so.
"""

from benchmarks.parts import named, of
from benchmarks.rounds import Samples, Size
from benchmarks.sinks import elasticsearch, mongo
from benchmarks.table import Chapters, Report

TITLE = "Into databases"

PARTS = {"mongo": mongo, "elasticsearch": elasticsearch}


def measure(size: Size) -> Samples:
    """Measure every part whose server is installed."""
    samples: Samples = {}
    for name, part in PARTS.items():
        samples |= named(name, part.measure(size))
    return samples


def report(samples: Samples) -> Chapters:
    """Report on every part."""
    reports = []
    for name, part in PARTS.items():
        own = of(name, samples)
        left_out = Report(f"Left out: {part.MISSING} is not installed; `python -m tests.servers.install` does it.", [])
        reports.append((part.TITLE, part.report(own) if own else left_out))
    return Chapters(reports)
