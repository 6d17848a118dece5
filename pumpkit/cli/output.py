"""Printing: tables that are pretty on a terminal and plain in a pipe, JSON for scripts, notes to stderr.

Everything that is shown passes through `safe` here, so no command has to think of it.
"""

import json
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import click

from pumpkit.cli.text import safe

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


class Column(NamedTuple):
    """One column of a table.

    Numbers stand to the `right`. A `whole` column is not broken over lines as long as another can be; numbers never
    are. One that is only `roomy` is left out on a narrow terminal.
    """

    title: str
    right: bool = False
    whole: bool = False
    roomy: bool = False


class Cell(NamedTuple):
    """One cell; `style` is rich's, for terminals."""

    text: str
    style: str = ""


Row = Sequence[Cell | str]

#: Columns of a terminal from which on a table has its `roomy` columns.
ROOMY = 110


def on_terminal() -> bool:
    """Return whether a person sees stdout as it is printed."""
    return sys.stdout.isatty()


def console() -> "Console":
    """Return a rich console on stdout that takes text as it is: no markup, no highlighting, no emoji."""
    from rich.console import Console

    return Console(file=sys.stdout, markup=False, highlight=False, emoji=False)


def print_table(columns: Sequence[Column], rows: Sequence[Row]) -> None:
    """Print a table: with rules and colours on a terminal, else aligned plain text that is never cut."""
    if on_terminal():
        console().print(pretty_table(columns, rows))
    else:
        click.echo(plain_table(columns, rows))


def pretty_table(columns: Sequence[Column], rows: Sequence[Row]) -> "Table":
    """Return a table for a rich console. Text wraps where the terminal is too narrow; numbers do not."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    wide = shutil.get_terminal_size().columns >= ROOMY
    shown = [index for index, column in enumerate(columns) if wide or not column.roomy]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for column in (columns[index] for index in shown):
        justify: Literal["left", "right"] = "right" if column.right else "left"
        table.add_column(column.title, justify=justify, no_wrap=column.right or column.whole, overflow="fold")
    for row in rows:
        cells = [_cell(row[index]) for index in shown]
        table.add_row(*[Text(safe(cell.text), style=cell.style) for cell in cells])
    return table


def plain_table(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """Return a table as plain text: columns two spaces apart, no line cut."""
    lines = [[column.title for column in columns]]
    lines += [[safe(_cell(cell).text) for cell in row] for row in rows]
    widths = [max(map(len, texts)) for texts in zip(*lines, strict=True)]
    aligned = (
        "  ".join(
            text.rjust(width) if column.right else text.ljust(width)
            for text, width, column in zip(line, widths, columns, strict=True)
        )
        for line in lines
    )
    return "\n".join(line.rstrip() for line in aligned)


def _cell(cell: Cell | str) -> Cell:
    return Cell(cell) if isinstance(cell, str) else cell


def print_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Print names and values, one pair a line, the values aligned."""
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        click.echo(f"{name.ljust(width)}  {safe(value)}")


def print_json(document: Any) -> None:
    """Print JSON: ASCII, so that nothing in it can act on a terminal."""
    click.echo(json.dumps(document, indent=2))


def say(text: str) -> None:
    """Print text to stdout, line by line."""
    click.echo("\n".join(map(safe, text.split("\n"))))


def paragraph(text: str, indent: str) -> list[str]:
    """Return text as indented lines that fit the terminal; in a pipe, as one line."""
    if not on_terminal():
        return [indent + text]
    width = shutil.get_terminal_size().columns
    return textwrap.wrap(text, max(width, 40), initial_indent=indent, subsequent_indent=indent)


def note(text: str) -> None:
    """Print a remark to stderr, where it does not mix with what a script reads."""
    click.echo(f"Note: {safe(text)}", err=True)


def warn(text: str) -> None:
    """Print a warning to stderr."""
    click.echo(f"Warning: {safe(text)}", err=True)
