"""Bars that show how far the demonstration is, on a terminal; silence elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from pumpkit.buffers.base import BufferStats


class Progress(Protocol):
    """Shows how far the records and the pumps are."""

    def show(self, recorded: int, stats: BufferStats) -> None:
        """Show that so many are recorded, and what the buffer says of the pumps."""


class _Silent:
    def show(self, recorded: int, stats: BufferStats) -> None:
        """Show nothing: nobody watches."""


class _Bars:
    def __init__(self, bars: RichProgress, records: int, before: BufferStats) -> None:
        self._bars = bars
        self._records = records
        self._before = before
        self._recorded = bars.add_task("recorded", total=records)
        self._pumps: dict[str, TaskID] = {}

    def show(self, recorded: int, stats: BufferStats) -> None:
        """Move the bars; a pump has one once the runner has made its cursor."""
        self._bars.update(self._recorded, completed=recorded)
        for pump in stats.cursors:
            if pump not in self._pumps:
                total = self._records + waiting(self._before, pump)
                self._pumps[pump] = self._bars.add_task(f"through {pump}", total=total)
            self._bars.update(self._pumps[pump], completed=passed(stats, pump) - passed(self._before, pump))


def passed(stats: BufferStats, pump: str) -> int:
    """Return how many records a pump has passed, ever."""
    cursor = stats.cursors.get(pump)
    return cursor.delivered + cursor.filtered + cursor.dead + cursor.skipped if cursor else 0


def waiting(stats: BufferStats, pump: str) -> int:
    """Return how many records wait for a pump; for one that has not begun, those are all in the buffer so far."""
    cursor = stats.cursors.get(pump)
    return cursor.lag if cursor else stats.stored


@contextmanager
def progress(records: int, before: BufferStats) -> Iterator[Progress]:
    """Show bars on stderr if that is a terminal."""
    if not sys.stderr.isatty():
        yield _Silent()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with RichProgress(*columns, console=Console(stderr=True)) as bars:
        yield _Bars(bars, records, before)
