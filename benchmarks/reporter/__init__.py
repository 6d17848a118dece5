"""The reporter beside other ways to hand a record over, and a service with reporting on beside the same with it off.

Every part is one module, made like a benchmark. A way whose package or server is not installed is left out, and the
report says so.
"""

from benchmarks.reporter import calls, services
from benchmarks.rounds import Samples, Size
from benchmarks.table import Chapters

TITLE = "Reporting"

PARTS = {"calls": calls, "services": services}


def measure(size: Size) -> Samples:
    """Measure every part."""
    samples: Samples = {}
    for name, part in PARTS.items():
        samples |= {f"{name}: {contender}": one for contender, one in part.measure(size).items()}
    return samples


def report(samples: Samples) -> Chapters:
    """Report on every part."""
    return Chapters([(part.TITLE, part.report(of(name, samples))) for name, part in PARTS.items()])


def of(part: str, samples: Samples) -> Samples:
    """Return the samples of one part."""
    begin = f"{part}: "
    return {name.removeprefix(begin): one for name, one in samples.items() if name.startswith(begin)}
