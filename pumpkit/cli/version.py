"""`pumpkit version`."""

import platform
from importlib.metadata import version

import click

import pumpkit
from pumpkit.cli.output import print_json, print_pairs

#: Distributions whose versions decide how pumpkit behaves.
_PARTS = ("apsw", "msgpack", "zstandard", "pluggy", "redis")


@click.command
@click.option("--json", "as_json", is_flag=True, help="One object.")
def command(as_json: bool) -> None:
    """Print the versions of pumpkit and what it runs on."""
    import apsw

    versions = {"pumpkit": pumpkit.__version__, "python": platform.python_version()}
    versions |= {part: version(part) for part in _PARTS}
    versions |= {"sqlite": apsw.sqlite_lib_version(), "platform": platform.platform()}
    if as_json:
        print_json(versions)
    else:
        print_pairs(list(versions.items()))
