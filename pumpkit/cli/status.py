"""`pumpkit status`: one look at every pump, or a table that follows them."""

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from pumpkit.buffers.drops import add
from pumpkit.cli.failures import UNAVAILABLE
from pumpkit.cli.observe import Observation, observe
from pumpkit.cli.output import Cell, Column, Row, console, on_terminal, plain_table, pretty_table, print_json
from pumpkit.cli.target import Target, buffer_options, pass_target
from pumpkit.cli.text import ago, number, plural, safe, size, span, unused
from pumpkit.errors import BufferMissing

if TYPE_CHECKING:
    from rich.console import RenderableType

COLUMNS = [
    Column("pump"),
    Column("state", whole=True),
    Column("lag", right=True),
    Column("rate/s", right=True),
    Column("delivered", right=True),
    Column("filtered", right=True),
    Column("dead", right=True),
    Column("skipped", right=True),
]

INPUT_COLUMNS = [
    Column("input"),
    Column("state", whole=True),
    Column("waiting", right=True),
    Column("moved", right=True),
    Column("bad", right=True),
]

DROP_COLUMNS = [
    Column("host"),
    Column("source"),
    Column("dropped", right=True),
    Column("by cause"),
    Column("last", whole=True, roomy=True),
]

#: Rows of drops that are shown; the others are summed in one more.
DROP_ROWS = 10

STYLES = {
    "running": "green",
    "starting": "blue",
    "standby": "blue",
    "waiting": "yellow",
    "failed": "bold red",
    "crashed": "bold red",
    "paused": "cyan",
    "orphan": "magenta",
    "unknown": "yellow",
}

_EPILOG = """\b
States:
  starting, running, stopping   the worker is on its way
  standby    another runner has the pump; this one takes over within seconds
  waiting    the sink is away; the same records are tried again, without end
  failed     the sink cannot work as configured; tried again each minute
  crashed    the worker died; a new one starts soon
  paused     by `pumpkit pause`
  stopped    no runner, or disabled
  elsewhere  only another runner's configuration has the pump
  orphan     no pump of any configuration owns this place in the buffer
  unknown    a runner lives, but does not answer

\b
Columns:
  lag        records in the buffer that the pump has not passed yet
  filtered   records the pump does not want
  dead       dead letters: see `pumpkit dlq ls`
  moved      records that an input has moved from its lists into the buffer since the start of the runner
  bad        of these, items that are no records: dead letters of every pump
  skipped    passed over because the buffer had no room left (required: false)
  dropped    records that reporters of a source dropped on a host, the last to drop first; host `other`: those
             that dropped longest ago, `unknown`: counted by an older version of pumpkit

\b
Examples:
  pumpkit status
  pumpkit status --watch
  pumpkit status --json | jq '.pumps[].lag'

Exits with 69 if the buffer cannot be opened.
"""


@click.command(epilog=_EPILOG)
@buffer_options
@click.option("-w", "--watch", is_flag=True, help="Follow until interrupted: one table, or one document each time.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="How often --watch looks.",
)
@click.option("--json", "as_json", is_flag=True, help="The runner's /status.json, or what can be known without one.")
@pass_target
def command(target: Target, watch: bool, interval: float, as_json: bool) -> None:
    """Show what every pump is doing, and the buffer between.

    Asks the runner. Without one, or with a configuration that is broken or missing, it shows what the buffer knows.
    """
    if not watch:
        observation = observe(target)
        _print(observation, as_json)
        if observation.unreachable:
            raise click.exceptions.Exit(UNAVAILABLE)
        return
    try:
        if on_terminal() and not as_json:
            _follow(lambda: observe(target), interval)
        while True:
            _print(observe(target), as_json, again=True)
            time.sleep(interval)
    except KeyboardInterrupt:
        pass  # the way to leave


def _print(observation: Observation, as_json: bool, again: bool = False) -> None:
    if as_json and again:
        click.echo(json.dumps(observation.document))
    elif as_json:
        print_json(observation.document)
    elif on_terminal():
        console().print(_picture(observation))
    else:
        tables = [plain_table(columns, rows) for columns, rows in _tables(observation)]
        parts = ["\n".join(map(safe, part)) for part in (_head(observation), _remarks(observation))]
        click.echo("\n\n".join(filter(None, [parts[0], *tables, parts[1]])))
        if again:
            click.echo()


def _follow(look: Callable[[], Observation], interval: float) -> None:
    from rich.live import Live

    with Live(_picture(look()), console=console(), auto_refresh=False) as live:
        while True:
            time.sleep(interval)
            live.update(_picture(look()), refresh=True)


def _picture(observation: Observation) -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [Text(safe(line)) for line in _head(observation)]
    for columns, rows in _tables(observation):
        parts += ["", pretty_table(columns, rows)]
    remarks = _remarks(observation)
    if remarks:
        parts += ["", *(Text(safe(line)) for line in remarks)]
    return Group(*parts)


def _head(observation: Observation) -> list[str]:
    first, *more = _buffer(observation)
    others = ["        " + line for line in _others(observation)]
    return ["runner  " + _runner(observation), *others, "buffer  " + first, *("        " + line for line in more)]


def _runner(observation: Observation) -> str:
    status = observation.document
    if status.get("pid") is None:
        return "none; start one with `pumpkit run`"
    words = [f"pid {status['pid']} on {status.get('host') or '?'}"]
    if status.get("started"):
        words.append(f"up {span(time.time() - status['started'])}")
    if status.get("version"):
        words.append(f"pumpkit {status['version']}")
    if status.get("config"):
        words.append(str(status["config"]))
    return ", ".join(words)


def _others(observation: Observation) -> list[str]:
    """Return a line for each other living runner of the buffer."""
    status = observation.document
    own = str(status.get("pid")), status.get("host")
    return [
        f"pid {one.get('pid', '?')} on {one.get('host', '?')}, slot {one['slot']}"
        for one in status["runners"]
        if one["alive"] == "yes" and (one.get("pid"), one.get("host")) != own
    ]


def _buffer(observation: Observation) -> list[str]:
    stats = observation.document.get("buffer")
    if isinstance(observation.unreachable, BufferMissing):
        return [unused(observation.unreachable.location)]
    if observation.unreachable:
        return [str(observation.unreachable)]
    if not stats:
        return ["not opened yet"]
    return buffer_lines(stats)


def buffer_lines(stats: dict[str, Any]) -> list[str]:
    """Return what there is to say about a buffer, `BufferStats` as JSON, in one or two lines."""
    location, producers = stats["location"], stats["producers"]
    if not stats["stored"] and not producers:
        return [unused(location)]
    share = 100 * stats["size_bytes"] / stats["max_bytes"] if stats["max_bytes"] else 0
    room = f"{size(stats['size_bytes'])} of {size(stats['max_bytes'])} ({share:.0f} %)"
    words = [room, plural(len(producers), "producer"), f"{number(stats['stored'])} stored"]
    if stats["lost"]:
        words.append(f"{number(stats['lost'])} lost")
    if by_cause := _by_cause(stats["drops"]):
        words.append(f"{number(sum(stats['drops'].values()))} dropped by reporters ({by_cause})")
    return [location, ", ".join(words)]


def _tables(observation: Observation) -> list[tuple[list[Column], list[Row]]]:
    """Return columns and rows of the tables: of inputs and of drops if there are any, and of pumps."""
    inputs = [_input_row(name, one) for name, one in observation.document["inputs"].items()]
    pumps = [_row(name, pump, observation.live) for name, pump in observation.document["pumps"].items()]
    buffer = observation.document.get("buffer") or {}
    dropped = drop_rows(buffer.get("drops_by_host", []))  # a runner of an older version tells of none
    tables = [(INPUT_COLUMNS, inputs), (COLUMNS, pumps), (DROP_COLUMNS, dropped)]
    return [(columns, rows) for columns, rows in tables if rows or columns is COLUMNS]


def _input_row(name: str, one: dict[str, Any]) -> Row:
    state = str(one["state"])
    waiting = "-" if one["waiting"] is None else number(one["waiting"])
    return [name, Cell(state, STYLES.get(state, "")), waiting, number(one["records"]), number(one["bad"])]


def _row(name: str, pump: dict[str, Any], live: bool) -> Row:
    state = str(pump["state"])
    counts = [number(pump[key]) if key in pump else "-" for key in ("delivered", "filtered", "dead", "skipped")]
    lag = number(pump["lag"]) if "lag" in pump else "-"
    return [name, Cell(state, STYLES.get(state, "")), lag, _rate(pump["rate"]) if live else "-", *counts]


def drop_rows(pairs: list[dict[str, Any]]) -> list[Row]:
    """Return a row for each of the first `HostDrops` as JSON, and one for all others together."""
    shown, others = pairs[:DROP_ROWS], pairs[DROP_ROWS:]
    if others:
        sums: dict[str, int] = {}
        for pair in others:
            sums = add(sums, pair["drops"])
        shown = [*shown, {"host": f"{len(others)} more", "source": "", "last_ms": None, "drops": sums}]
    return [
        [
            pair["host"],
            pair["source"] or "-",
            number(sum(pair["drops"].values())),
            _by_cause(pair["drops"]),
            "-" if pair["last_ms"] is None else ago(pair["last_ms"] / 1000),
        ]
        for pair in shown
    ]


def _by_cause(drops: dict[str, int]) -> str:
    return ", ".join(f"{number(count)} {cause}" for cause, count in drops.items() if count)


def _rate(rate: float) -> str:
    return f"{rate:.1f}" if 0 < rate < 10 else number(rate)


def _remarks(observation: Observation) -> list[str]:
    """Return what the table has no room for: reasons, last errors, what waits."""
    lines = []
    for name, pump in [*observation.document["inputs"].items(), *observation.document["pumps"].items()]:
        if pump["reason"] and pump["state"] not in ("running", "starting"):
            since = f", for {span(time.time() - pump['since'])}" if observation.live else ""
            lines.append(f"{name}: {pump['state']}{since}: {pump['reason']}")
        if pump["last_error"] and pump["last_error"] != pump["reason"]:
            when = f", {ago(pump['last_error_at'])}" if pump["last_error_at"] else ""
            lines.append(f"{name}: last error{when}: {pump['last_error']}")
        if pump.get("lag") and pump.get("oldest_ms") and pump["state"] != "running":
            waiting = span(time.time() - pump["oldest_ms"] / 1000)
            lines.append(f"{name}: {plural(pump['lag'], 'record')} waiting, the oldest for {waiting}")
    return lines + observation.remarks
