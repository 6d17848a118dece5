"""Tables and aims as Markdown, which a terminal shows as well as a page does."""

from collections.abc import Sequence

import attrs

from benchmarks.rounds import Spread


@attrs.frozen
class Table:
    """A head, and rows as wide as it; the first column is text, the others are numbers."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __str__(self) -> str:
        widths = [max(map(len, column)) for column in zip(self.head, *self.rows, strict=True)]
        rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
        return "\n".join(_line(cells, widths) for cells in (self.head, rule, *self.rows))


@attrs.frozen
class Aim:
    """What was to be reached, and what was: judged by the median."""

    what: str
    measured: Spread
    limit: float
    unit: str = ""
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the median is within the limit."""
        return self.measured.median >= self.limit if self.at_least else self.measured.median <= self.limit

    def __str__(self) -> str:
        direction = "at least" if self.at_least else "at most"
        verdict = "met" if self.met else "**not met**"
        aim = f"{self.what} {direction} {number(self.limit)}{self.unit}"
        return f"- {verdict}: {aim}; it is {around(self.measured)}{self.unit}"


@attrs.frozen
class Report:
    """What a benchmark says: what was done, its tables, and whether its aims are met."""

    about: str
    tables: Sequence[Table]
    aims: Sequence[Aim] = ()
    notes: str = ""

    def __str__(self) -> str:
        aims = "\n".join(map(str, self.aims))
        return "\n\n".join(filter(None, [self.about, *map(str, self.tables), aims, self.notes]))


@attrs.frozen
class Chapters:
    """What a benchmark of several parts says: a title and a report of each."""

    parts: Sequence[tuple[str, Report]]

    def __str__(self) -> str:
        return "\n\n".join(f"### {title}\n\n{report}" for title, report in self.parts)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
    return "| " + " | ".join(padded) + " |"


def number(value: float) -> str:
    """Return a number with at least three significant digits and no exponent."""
    size = abs(value)
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    digits = 1 if size >= 10 else 2 if size >= 2 else 3
    return f"{value:.{digits}f}"


def around(values: Spread) -> str:
    """Return a median with its interval over the rounds."""
    return f"{number(values.median)} ({number(values.low)}–{number(values.high)})"
