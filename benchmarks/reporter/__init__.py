"""The reporter beside other ways to hand a record over, and a service with reporting on beside the same with it off.

Every part is one module, made like a benchmark. A way whose package or server is not installed is left out, and the
report says so.
"""

from benchmarks.parts import named, of
from benchmarks.reporter import calls, services
from benchmarks.rounds import Samples, Size
from benchmarks.table import Chapters

TITLE = "Reporting"

PARTS = {"calls": calls, "services": services}


def measure(size: Size) -> Samples:
    """Measure every part."""
    samples: Samples = {}
    for name, part in PARTS.items():
        samples |= named(name, part.measure(size))
    return samples


def report(samples: Samples) -> Chapters:
    """Report on every part."""
    return Chapters([(part.TITLE, part.report(of(name, samples))) for name, part in PARTS.items()])
