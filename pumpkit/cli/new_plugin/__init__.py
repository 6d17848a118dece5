"""`pumpkit plugins new`: write a package with a sink that works, to be changed into one's own."""

import shlex
from pathlib import Path

import click

from pumpkit.cli.new_plugin.package import Names, check_name, write_package
from pumpkit.cli.output import say

__all__ = ["new"]

_EPILOG = """\b
Examples:
  pumpkit plugins new diary
  pumpkit plugins new diary --directory ~/src/diary
"""


def _check(ctx: click.Context, param: click.Parameter, value: str) -> Names:
    """Return the names that belong to a plugin's, or fail with what to do."""
    try:
        return check_name(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command(epilog=_EPILOG)
@click.argument("names", callback=_check, metavar="NAME")
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder to make; pumpkit-NAME if it is left out.",
)
def new(names: Names, directory: Path | None) -> None:
    """Write a package with a sink that works, to be changed into your own.

    NAME is what configurations will give as a pump's `type`. The package installs, passes the conformance kit and
    type-checks as it is; its sink keeps records in a SQLite file. A folder that exists stays as it is.
    """
    folder = Path(names.distribution) if directory is None else directory
    try:
        written = write_package(names, folder)
    except FileExistsError as error:
        raise click.UsageError(f"{folder} exists, and nothing is overwritten; give another --directory") from error
    except OSError as error:
        raise click.UsageError(f"{error.filename} cannot be written: {error.strerror}") from error
    say("\n".join([f"{folder}:", *(f"  {name}" for name in written)]))
    steps = [f"cd {shlex.quote(str(folder))}", "pip install -e '.[dev]'", f"pumpkit plugins ls {names.name}", "pytest"]
    say("\n".join(["", "Next:", *(f"  {step}" for step in steps)]))
