"""`pumpkit check`: everything that is wrong in a configuration, at once."""

from contextlib import closing

import attrs
import click

from pumpkit.buffers import open_buffer
from pumpkit.buffers.registry import default_url
from pumpkit.checking import check
from pumpkit.cli.failures import BAD_CONFIG, fail
from pumpkit.cli.output import note, print_json, say, warn
from pumpkit.cli.target import Target, config_option, pass_target
from pumpkit.cli.text import plural, unused
from pumpkit.config import Config, ConfigInvalid, Problem, Where
from pumpkit.errors import BufferError, BufferMissing

_EPILOG = """\b
Each problem is one line:
  FILE:LINE: KEY PATH: what is wrong, and what to do about it

\b
Examples:
  pumpkit check
  pumpkit check -c /etc/pumpkit/pumpkit.yaml && systemctl reload pumpkit

Exits with 0 if the configuration is good, else with 78.
"""


@click.command(epilog=_EPILOG)
@config_option
@click.option("--json", "as_json", is_flag=True, help='{"file": ..., "ok": ..., "problems": [...], "warnings": [...]}')
@pass_target
def command(target: Target, as_json: bool) -> None:
    """Find everything that is wrong in a configuration.

    Connects nowhere. Reads the file, imports every plugin that it names, each in a process of its own, and lets it
    judge its settings.
    """
    config, problems = _look(target)
    doubts = _doubts(config) if config else []
    if as_json:
        file = str(config.file) if config else next((problem.file for problem in problems), "")
        found = {"problems": [*map(attrs.asdict, problems)], "warnings": [*map(attrs.asdict, doubts)]}
        print_json({"file": file, "ok": not problems, **found})
    else:
        for doubt in doubts:
            warn(str(doubt))
    if problems:
        fail([] if as_json else map(str, problems), BAD_CONFIG)
    if config and not as_json:
        pumps = ", ".join(
            f"{name} ({pump.type}{'' if pump.enabled else ', disabled'})" for name, pump in config.pumps.items()
        )
        say(f"{config.file} is good: {plural(len(config.pumps), 'pump')}: {pumps}")
        _look_at_buffer(config)


def _look(target: Target) -> tuple[Config | None, list[Problem]]:
    try:
        config = target.config()
    except ConfigInvalid as error:
        return None, error.problems
    return config, check(config)


def _doubts(config: Config) -> list[Problem]:
    """Return what is allowed and seldom meant."""
    where = Where(str(config.file), config.lines)
    paths = [f"pumps.{name}.timeout" for name, pump in config.enabled_pumps.items() if pump.timeout == 0.0]
    text = "0 is no limit: a write that hangs is never ended, and only health tells (`stalled`)"
    return [Problem(path, text, where.file, where.line(path)) for path in paths]


def _look_at_buffer(config: Config) -> None:
    """Say where the buffer is and whether anybody writes to it. Only a file is looked into: this connects nowhere."""
    url = config.buffer.url or default_url()
    if not url.startswith("sqlite:"):
        return
    try:
        with closing(open_buffer(url, create=False)) as buffer:
            stats = buffer.stats()
    except BufferMissing as error:
        note(unused(error.location))
    except BufferError as error:
        note(str(error))
    else:
        if stats.stored or stats.producers:
            say(f"its buffer: {stats.location}, {plural(stats.stored, 'record')} stored so far")
        else:
            note(unused(stats.location))
