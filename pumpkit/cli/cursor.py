"""`pumpkit cursor`: the places of pumps in the buffer."""

import click

from pumpkit.cli.output import Column, note, print_json, print_table, say
from pumpkit.cli.target import PumpName, Target, buffer_options, cursors, pass_target
from pumpkit.cli.text import ago, number, plural
from pumpkit.config import ConfigInvalid
from pumpkit.ids import is_pump_name

_COLUMNS = [
    Column("pump"),
    Column("in config", whole=True),
    Column("wanted", whole=True),
    Column("position", right=True, roomy=True),
    Column("lag", right=True),
    Column("delivered", right=True),
    Column("filtered", right=True),
    Column("dead", right=True),
    Column("skipped", right=True),
    Column("oldest", whole=True, roomy=True),
]

_EPILOG = """\b
Examples:
  pumpkit cursor ls
  pumpkit cursor rename audit audit-csv
  pumpkit cursor drop old-search --yes
"""


@click.group(epilog=_EPILOG)
def command() -> None:
    """See, drop or rename the places of pumps in the buffer.

    Every pump that ever ran has a cursor, and the buffer keeps what a cursor has not passed. So a pump that is gone
    from the configuration holds its records until its cursor is dropped.
    """


@command.command("ls")
@buffer_options
@click.option("--json", "as_json", is_flag=True, help="A list of objects.")
@pass_target
def ls(target: Target, as_json: bool) -> None:
    """List the cursors: where each pump is, and what became of its records."""
    configured = _configured(target)
    with target.buffer() as buffer:
        found = sorted(cursors(buffer).values())
    if as_json:
        print_json([cursor._asdict() | {"configured": _is_in(configured, cursor.pump)} for cursor in found])
        return
    if not found:
        say("no cursors: `pumpkit run` never ran on this buffer")
        return
    rows = [
        [
            cursor.pump,
            {True: "yes", False: "no", None: "?"}[_is_in(configured, cursor.pump)],
            cursor.wanted,
            str(cursor.position),
            *map(number, (cursor.lag, cursor.delivered, cursor.filtered, cursor.dead, cursor.skipped)),
            ago(cursor.oldest_ms / 1000) if cursor.oldest_ms else "",
        ]
        for cursor in found
    ]
    print_table(_COLUMNS, rows)


@command.command("drop")
@buffer_options
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.argument("pump", type=PumpName(), metavar="PUMP")
@pass_target
def drop(target: Target, yes: bool, pump: str) -> None:
    """Forget a pump: its place, what still waits for it, and its dead letters.

    Its worker must not be running: take the pump out of the configuration first. A pump that comes back under this
    name begins anew.
    """
    with target.buffer() as buffer:
        cursor = cursors(buffer, pump)[pump]
        waits = plural(cursor.lag, "record")
        if not yes:
            click.confirm(
                f"Forget {pump!r}: {waits} it has not delivered, {plural(cursor.dead_letters, 'dead letter')}?",
                abort=True,
            )
        buffer.drop_cursor(pump)
    say(f"{pump}: dropped; {waits} no longer wait for it")
    if _is_in(_configured(target), pump):
        note(f"{pump!r} is still in the configuration: the next start of the runner makes it a new cursor")


@command.command("rename")
@buffer_options
@click.argument("pump", type=PumpName(), metavar="PUMP")
@click.argument("new", type=PumpName(), metavar="NEW")
@pass_target
def rename(target: Target, pump: str, new: str) -> None:
    """Give a pump's place to a new name, with its counts and its dead letters.

    Do it together with the rename in the configuration, while the runner is stopped, and the pump goes on where it was.
    """
    if not is_pump_name(new):
        raise click.BadParameter(
            f"{new!r} is not a pump name: a to z, 0 to 9, then also `_ . -`, at most 63", param_hint="NEW"
        )
    with target.buffer() as buffer:
        cursors(buffer, pump)
        try:
            buffer.rename_cursor(pump, new)
        except ValueError as error:
            raise click.UsageError(f"the buffer has a pump {new!r} already; drop that one first") from error
    say(f"{pump}: renamed to {new}")
    if _is_in(_configured(target), new) is False:
        note(f"{new!r} is not in the configuration yet")


def _configured(target: Target) -> set[str] | None:
    """Return the names of the configuration's pumps, None where there is none, or none that can be read."""
    try:
        config = target.config_if_any()
    except ConfigInvalid:
        return None
    return set(config.pumps) if config else None


def _is_in(configured: set[str] | None, pump: str) -> bool | None:
    return None if configured is None else pump in configured
