"""`pumpkit check`: everything that is wrong in a configuration, at once."""

from contextlib import closing

import attrs
import click

from pumpkit.buffers import open_buffer
from pumpkit.buffers.registry import default_url
from pumpkit.checking import Trial, check, check_and_connect
from pumpkit.cli.failures import BAD_CONFIG, UNAVAILABLE, fail
from pumpkit.cli.output import note, paragraph, print_json, say, warn
from pumpkit.cli.survey import Survey, survey
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
  pumpkit check --connect
  pumpkit check -c /etc/pumpkit/pumpkit.yaml && systemctl reload pumpkit

Exits with 0 if the configuration is good, else with 78. With --connect also with 78 if something cannot work as
configured, and with 69 if the buffer or a sink cannot be reached; warnings do not count.
"""

_JSON = """\
{"file": ..., "ok": ..., "problems": [...], "warnings": [...]}; with --connect also "findings": [{"about": ...,
"severity": "good", "warning" or "error", "text": ...}]"""


@click.command(epilog=_EPILOG)
@config_option
@click.option("--connect", is_flag=True, help="Connect to the buffer and to every sink as well, and say what is there.")
@click.option("--json", "as_json", is_flag=True, help=_JSON)
@pass_target
def command(target: Target, connect: bool, as_json: bool) -> None:
    """Find everything that is wrong in a configuration.

    Reads the file, imports every plugin that it names, each in a process of its own, and lets it judge its settings.
    Connects nowhere, unless --connect asks for it: then each sink connects as at every start of its pump, and writes no
    record.
    """
    config, problems, trials = _look(target, connect)
    doubts = _doubts(config) if config else []
    found = survey(config, trials) if connect and config else None
    ok = not problems and not (found and (found.broken or found.unreachable))
    if as_json:
        file = str(config.file) if config else next((problem.file for problem in problems), "")
        lists = {"problems": [*map(attrs.asdict, problems)], "warnings": [*map(attrs.asdict, doubts)]}
        if found:
            lists["findings"] = [*map(attrs.asdict, found.findings)]
        print_json({"file": file, "ok": ok, **lists})
    else:
        for doubt in doubts:
            warn(str(doubt))
        if config and not problems:
            pumps = ", ".join(
                f"{name} ({pump.type}{'' if pump.enabled else ', disabled'})" for name, pump in config.pumps.items()
            )
            say(f"{config.file} is good: {plural(len(config.pumps), 'pump')}: {pumps}")
        if found:
            _print(found)
        elif config and not problems:
            _look_at_buffer(config)
    if problems or (found and found.broken):
        broken = ["something cannot work as configured: see what stands under `error` above"] if not problems else []
        fail([] if as_json else [*map(str, problems), *broken], BAD_CONFIG)
    if found and found.unreachable:
        fail([] if as_json else ["something cannot be reached: see above"], UNAVAILABLE)


def _print(found: Survey) -> None:
    """Print what was found, under what it is about."""
    about = ""
    for finding in found.findings:
        if finding.about != about:
            about = finding.about
            say(f"\n{about}")
        mark = "" if finding.severity == "good" else f"{finding.severity}: "
        say("\n".join(paragraph(mark + finding.text, "  ")))


def _look(target: Target, connect: bool) -> tuple[Config | None, list[Problem], dict[str, Trial]]:
    try:
        config = target.config()
    except ConfigInvalid as error:
        return None, error.problems, {}
    if connect:
        return config, *check_and_connect(config)
    return config, check(config), {}


def _doubts(config: Config) -> list[Problem]:
    """Return what is not honoured, and what is allowed and seldom meant."""
    where = Where(str(config.file), config.lines)
    paths = [f"pumps.{name}.timeout" for name, pump in config.enabled_pumps.items() if pump.timeout == 0.0]
    text = "0 is no limit: a write that hangs is never ended, and only health tells (`stalled`)"
    return [*config.notes, *(Problem(path, text, where.file, where.line(path)) for path in paths)]


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
