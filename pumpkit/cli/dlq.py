"""`pumpkit dlq`: dead letters, the records that a pump could not deliver for good."""

import itertools
from collections.abc import Iterable, Sequence

import click

from pumpkit.buffers import Buffer
from pumpkit.buffers.base import DeadLetter, Mark
from pumpkit.cli import letters
from pumpkit.cli.observe import pump_trouble
from pumpkit.cli.output import Column, print_json, print_table, say, warn
from pumpkit.cli.target import PumpName, Target, buffer_options, cursors, pass_target
from pumpkit.cli.text import moment, plural, safe

KINDS = ("rejected", "unknown", "timeout", "crash", "filter", "bad-frame")

#: Ids looked for or marked in one go.
_SLICE = 500

_COLUMNS = [
    Column("id", whole=True),
    Column("pump"),
    Column("at", whole=True, roomy=True),
    Column("kind", whole=True),
    Column("attempts", right=True, roomy=True),
    Column("marked"),
    Column("reason"),
]

_EPILOG = """\b
Kinds:
  rejected   the sink said that it will never take this record
  unknown    the sink failed with it again and again, while it took others
  timeout    so did the worker: it did not return in time
  crash      so did the worker: it died
  filter     a filter, or what omits detail, raised
  bad-frame  the bytes in the buffer are no record, or no frame

\b
Examples:
  pumpkit dlq ls --pump audit --kind rejected
  pumpkit dlq show 0192f7c2a1b37c3e8f00d2b1c4a59e77-41
  pumpkit dlq replay 0192f7c2a1b37c3e8f00d2b1c4a59e77-41
  pumpkit dlq replay --pump audit --all
  pumpkit dlq purge --pump audit --kind bad-frame --yes
"""

_pump = click.option("-p", "--pump", type=PumpName(), help="Only this pump's.")
_kind = click.option("--kind", type=click.Choice(KINDS), help="Only this kind.")
_all = click.option("--all", "everything", is_flag=True, help="All of them.")
_ids = click.argument("ids", nargs=-1, metavar="[ID]...")


@click.group(epilog=_EPILOG)
def command() -> None:
    """See, replay or purge records that could not be delivered.

    Nothing is ever thrown away: a record that a pump gave up on is kept here with the reason, while the others go on.
    """


@command.command("ls")
@buffer_options
@_pump
@_kind
@click.option("-n", "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="The most to list.")
@click.option("--json", "as_json", is_flag=True, help="A list of objects.")
@pass_target
def ls(target: Target, pump: str | None, kind: str | None, limit: int, as_json: bool) -> None:
    """List dead letters, pump by pump, the oldest first."""
    with target.buffer() as buffer:
        found = list(itertools.islice(_found(buffer, pump, kind), limit + 1))
    shown = found[:limit]
    if as_json:
        print_json([letters.summary(name, letter) for name, letter in shown])
    elif shown:
        print_table(_COLUMNS, [_row(name, letter) for name, letter in shown])
    else:
        say("no dead letters" + (" of that kind" if kind else ""))
    if len(found) > limit:
        warn(f"there are more than these {limit}; --limit shows them")


def _row(pump: str, letter: DeadLetter) -> list[str]:
    mark = letter.mark or ""
    return [letter.id, pump, moment(letter.at_ms), letter.kind, str(letter.attempts), mark, letter.reason]


@command.command("show")
@buffer_options
@_pump
@click.option("--json", "as_json", is_flag=True, help="A list of objects, each with its `record`.")
@click.argument("id_", metavar="ID")
@pass_target
def show(target: Target, pump: str | None, as_json: bool, id_: str) -> None:
    """Show one dead letter, with its record as the sink was to get it.

    Several pumps can have given up on the same record; each one's is shown. Bytes are shown as {"$bytes": BASE64}.
    """
    with target.buffer() as buffer:
        found = [(name, letter) for name, letter in _found(buffer, pump) if letter.id == id_]
    if not found:
        raise _unknown_ids([id_])
    if as_json:
        print_json([letters.summary(name, letter) | {"record": letters.contents(letter)} for name, letter in found])
        return
    for index, (name, letter) in enumerate(found):
        click.echo("\n" * bool(index) + "\n".join(letters.lines(name, letter)))


@command.command("replay")
@buffer_options
@_pump
@_kind
@_all
@_ids
@pass_target
def replay(target: Target, pump: str | None, kind: str | None, everything: bool, ids: tuple[str, ...]) -> None:
    """Have dead letters written again, under the same ids.

    This only marks them: the pump's worker writes them between two batches. One that is written leaves the list and
    counts as delivered; one that fails again stays, with the new reason. Name ids, or say --all or --kind.
    """
    with target.buffer() as buffer:
        chosen = _choose(buffer, pump, kind, everything, ids)
        _mark(target, buffer, chosen, "replay", "will write")


@command.command("purge")
@buffer_options
@_pump
@_kind
@_all
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@_ids
@pass_target
def purge(
    target: Target, pump: str | None, kind: str | None, everything: bool, yes: bool, ids: tuple[str, ...]
) -> None:
    """Delete dead letters for good.

    This only marks them: the pump's worker deletes them between two batches. They stay counted as dead. Name ids, or
    say --all or --kind.
    """
    with target.buffer() as buffer:
        chosen = _choose(buffer, pump, kind, everything, ids)
        count = sum(map(len, chosen.values()))
        if count and not yes:
            click.confirm(f"Delete {plural(count, 'dead letter')} of {safe(', '.join(chosen))} for good?", abort=True)
        _mark(target, buffer, chosen, "purge", "will delete")


def _found(buffer: Buffer, pump: str | None, kind: str | None = None) -> Iterable[tuple[str, DeadLetter]]:
    """Yield the dead letters of one pump, or of all, with the pump's name."""
    known = cursors(buffer, *([] if pump is None else [pump]))
    for name in sorted(known) if pump is None else [pump]:
        for letter in letters.every(buffer, name, kind):
            yield name, letter


def _choose(
    buffer: Buffer, pump: str | None, kind: str | None, everything: bool, ids: Sequence[str]
) -> dict[str, list[str]]:
    """Return the ids that the options choose, by pump. Raises UsageError for ids that are not there."""
    if ids and (everything or kind):
        raise click.UsageError("name ids, or say --all or --kind; not both")
    if not (ids or everything or kind):
        raise click.UsageError("say which: name ids, or --all, or --kind")
    wanted = set(ids)
    chosen: dict[str, list[str]] = {}
    for name, letter in _found(buffer, pump, kind):
        if not wanted or letter.id in wanted:
            chosen.setdefault(name, []).append(letter.id)
    missing = wanted.difference(*chosen.values())
    if missing:
        raise _unknown_ids(sorted(missing))
    return chosen


def _unknown_ids(ids: Sequence[str]) -> click.UsageError:
    return click.UsageError(f"no dead letter {', '.join(map(repr, ids))}; `pumpkit dlq ls` lists them")


def _mark(target: Target, buffer: Buffer, chosen: dict[str, list[str]], mark: Mark, verb: str) -> None:
    if not chosen:
        say("no dead letters chosen")
    for pump, ids in chosen.items():
        slices = (ids[start : start + _SLICE] for start in range(0, len(ids), _SLICE))
        count = sum(buffer.mark(pump, mark, some) for some in slices)
        say(f"{pump}: marked {plural(count, 'dead letter')}; the pump's worker {verb} them")
        trouble = pump_trouble(target, buffer, pump)
        if trouble:
            warn(f"{pump}: nothing happens yet: {trouble}")
