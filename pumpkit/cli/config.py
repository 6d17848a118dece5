"""`pumpkit config`: a configuration to start from."""

from importlib.resources import files
from pathlib import Path

import click

from pumpkit.cli.output import say

_EPILOG = """\b
Examples:
  pumpkit config init
  pumpkit config init /etc/pumpkit/pumpkit.yaml
  pumpkit config init -                 print it
"""


def sample() -> str:
    """Return the commented configuration that `pumpkit config init` writes."""
    return files("pumpkit.cli").joinpath("sample.yaml").read_text(encoding="utf-8")


@click.group(epilog=_EPILOG)
def command() -> None:
    """Write a configuration to start from."""


@command.command("init")
@click.option("--force", is_flag=True, help="Overwrite a file that exists.")
@click.argument("path", default="pumpkit.yaml", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
def init(path: Path, force: bool) -> None:
    """Write the sample configuration, every key explained, to PATH (./pumpkit.yaml).

    A file that exists stays as it is.
    """
    if str(path) == "-":
        click.echo(sample(), nl=False)
        return
    if path.exists() and not force:
        raise click.UsageError(f"{path} exists; --force overwrites it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(sample())
    except OSError as error:
        raise click.UsageError(f"{path} cannot be written: {error.strerror}") from error
    say(f"wrote {path}; next: `pumpkit check -c {path}`, then `pumpkit run -c {path}`")
