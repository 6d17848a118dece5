"""`pumpkit config`: a configuration to start from, and what one means."""

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pumpkit.cli.output import say
from pumpkit.cli.target import Target, config_option, pass_target

if TYPE_CHECKING:
    from pumpkit.config import Config

_EPILOG = """\b
Examples:
  pumpkit config init
  pumpkit config init /etc/pumpkit/pumpkit.yaml
  pumpkit config init -                 print it
  pumpkit config show -c iam-pump.yaml  what it means in terms of pumpkit
"""

_SHOW_EPILOG = """\b
Examples:
  pumpkit config show
  pumpkit config show --effective
  pumpkit config show -c pump.conf > pumpkit.yaml
"""


def sample() -> str:
    """Return the commented configuration that `pumpkit config init` writes."""
    return files("pumpkit.cli").joinpath("sample.yaml").read_text(encoding="utf-8")


@click.group(epilog=_EPILOG)
def command() -> None:
    """Write a configuration to start from, or show what one means."""


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


@command.command("show", epilog=_SHOW_EPILOG)
@config_option
@click.option("--effective", is_flag=True, help="With every key, also those that have their default.")
@click.option("--show-secrets", is_flag=True, help="With passwords, which are variables to be set otherwise.")
@pass_target
def show(target: Target, effective: bool, show_secrets: bool) -> None:
    """Print what a configuration means, as a pumpkit.yaml.

    A file of iam-pump or Tyk Pump is printed in terms of pumpkit; what cannot be honoured stands above, with file and
    line. References such as ${NAME} stay as they are. The output is a configuration for the same folder.
    """
    from pumpkit.config import show as showing
    from pumpkit.config.load import find_file, read
    from pumpkit.config.masking import Masks

    loaded = read(find_file(target.config_file))
    masks = None if show_secrets else Masks(_secret_settings(loaded.config))
    click.echo(showing.show(loaded, effective=effective, masks=masks), nl=False)  # it has no control characters


def _secret_settings(config: "Config") -> dict[str, set[str]]:
    """Return which settings of its plugin are secrets, by pump; a plugin that cannot be asked declares none."""
    from pumpkit.checking import describe_plugins

    types = sorted({pump.type for pump in config.pumps.values()})
    declared = {
        report.name: {one["key"] for one in report.settings if one["secret"]} for report in describe_plugins(types)
    }
    return {name: declared[pump.type] for name, pump in config.pumps.items()}
