"""How the command line ends when something known goes wrong: one clear line each, and the documented exit code."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NoReturn

import click

from pumpkit.cli.text import safe
from pumpkit.errors import BufferBusy, BufferConfigError, BufferUnavailable, ConfigError, PumpkitError, Unavailable

# The codes are those of BSD's sysexits.h; another value than 0, 1 and 2 says what to do next.
UNAVAILABLE = 69
BUSY = 75
BAD_CONFIG = 78

#: The first class that an error belongs to decides. Any other PumpkitError is 1.
_CODES: tuple[tuple[type[PumpkitError], int], ...] = (
    (BufferConfigError, BAD_CONFIG),
    (BufferBusy, BUSY),
    (BufferUnavailable, UNAVAILABLE),
    (ConfigError, BAD_CONFIG),
    (Unavailable, UNAVAILABLE),
)


def fail(lines: Iterable[str], exit_code: int) -> NoReturn:
    """End the program: each line to stderr, control characters escaped, and the exit code."""
    for line in lines:
        click.echo(f"Error: {safe(line)}", err=True)
    raise click.exceptions.Exit(exit_code)


def exit_code(error: PumpkitError) -> int:
    """Return the documented exit code for a known error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), 1)


@contextmanager
def known_failures() -> Iterator[None]:
    """End the program for errors that pumpkit raises on purpose; a bug keeps its traceback."""
    try:
        yield
    except PumpkitError as error:
        fail(str(error).splitlines() or [type(error).__name__], exit_code(error))
