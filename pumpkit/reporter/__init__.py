"""The application side: takes records in memory at next to no cost and sends them to the buffer in the background.

A record's way: `reporter` (what applications call) appends it to the queue of an `outbox`, whose thread drives a
`sender`, whose `framer` packs and numbers, and whose `link` appends to the buffer, or `spill` to a file while that is
away. `process` knows of forks and of the end of the program.
"""

from pumpkit.reporter.common import process_fields
from pumpkit.reporter.default import configure, flush, get_reporter, record
from pumpkit.reporter.flushing_block import flushing
from pumpkit.reporter.process import stop_on_sigterm
from pumpkit.reporter.reporter import FlushResult, Reporter, ReporterStats
from pumpkit.reporter.sampling import Sample

__all__ = [
    "FlushResult",
    "Reporter",
    "ReporterStats",
    "Sample",
    "configure",
    "flush",
    "flushing",
    "get_reporter",
    "process_fields",
    "record",
    "stop_on_sigterm",
]
