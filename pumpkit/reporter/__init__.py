"""The application side: takes records in memory at next to no cost and sends them to the buffer in the background.

A record's way: `reporter` (what applications call) appends it to the queue of an `outbox`, whose thread drives a
`sender`, whose `framer` packs and numbers. `process` knows of forks and of the end of the program.
"""

from pumpkit.reporter.default import configure, flush, get_reporter, record
from pumpkit.reporter.process import stop_on_sigterm
from pumpkit.reporter.reporter import FlushResult, Reporter, ReporterStats

__all__ = [
    "FlushResult",
    "Reporter",
    "ReporterStats",
    "configure",
    "flush",
    "get_reporter",
    "record",
    "stop_on_sigterm",
]
