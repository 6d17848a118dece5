"""The command: records, runs the pumps until nothing waits, and shows the account."""

import itertools
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import attrs
import click

from pumpkit.buffers import Buffer, open_buffer
from pumpkit.buffers.base import BufferStats
from pumpkit.cli.demo.ledger import Account, settle
from pumpkit.cli.demo.progress import Progress, passed, progress
from pumpkit.cli.demo.records import decisions
from pumpkit.cli.demo.stage import PUMPS, Runner, Stage
from pumpkit.cli.failures import fail
from pumpkit.cli.output import Cell, Column, note, on_terminal, print_json, print_pairs, print_table, say
from pumpkit.cli.text import number, plural, safe
from pumpkit.errors import Unavailable
from pumpkit.reporter import Reporter

#: Seconds without a record moving after which the demonstration gives up.
PATIENCE = 60.0

#: Seconds between two looks at the buffer.
LOOK = 0.2

_COLUMNS = [
    Column("pump"),
    Column("delivered", right=True),
    Column("filtered", right=True),
    Column("dead", right=True),
    Column("skipped", right=True),
    Column("lag", right=True),
    Column("CSV rows", right=True),
    Column("adds up"),
]

_EPILOG = """\b
Examples:
  pumpkit demo                              10,000 records, 1,000 a second
  pumpkit demo --rate 5000 --seconds 20
  pumpkit demo --backlog 1000000            all of them first, then the runner

\b
Meanwhile, in another terminal:
  pumpkit status --watch -c pumpkit-demo/pumpkit.yaml

Exits with 1 if a record is lost or an account does not balance.
"""


@attrs.frozen
class Plan:
    """How many records, and how many a second; without a rate they all wait in the buffer before the runner starts."""

    records: int
    rate: float | None


@click.command(epilog=_EPILOG)
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), metavar="N", help="Records a second. Default: 1000."
)
@click.option("--records", type=click.IntRange(min=1), metavar="N", help="How many in all. Default: 10000.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), metavar="S", help="For so long, instead.")
@click.option("--backlog", type=click.IntRange(min=1), metavar="N", help="Record N first, then start the runner.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("pumpkit-demo"),
    show_default=True,
    help="Where the demonstration keeps its files.",
)
@click.option("--json", "as_json", is_flag=True, help="The account as one object.")
def command(
    rate: float | None, records: int | None, seconds: float | None, backlog: int | None, folder: Path, as_json: bool
) -> None:
    """Watch records go from a program into CSV files.

    This process is the program: it makes decisions like an authorization server's and hands them to a Reporter. A real
    `pumpkit run` delivers them to two pumps: `audit` gets every record, `denied` only those that were denied, without
    their detail. At the end it reads the CSV files back and shows whether everything adds up.

    Run it again, and it continues in the same folder: the CSV files grow. Kill it at any time, and the next run first
    delivers what was left. Delete the folder to start afresh.
    """
    plan = _plan(rate, records, seconds, backlog)
    stage = Stage(folder)
    stage.prepare()
    with _interruptible(), closing(open_buffer(stage.url)) as buffer:
        _stop_earlier_runner(buffer)
        before = buffer.stats()
        click.echo(_announcement(stage, plan), err=True)
        with progress(plan.records, before) as bars:
            recorded = Performance(stage, plan, buffer, bars).run()
        account = settle(recorded, before, buffer.stats(), {pump: stage.rows(pump) for pump in PUMPS})
    if as_json:
        print_json(account.to_json())
    else:
        _print(stage, account)
    if not account.good:
        fail([f"it does not add up; what the runner said is in {stage.log}"], 1)


def _plan(rate: float | None, records: int | None, seconds: float | None, backlog: int | None) -> Plan:
    if backlog is not None:
        if rate or records or seconds:
            raise click.UsageError("--backlog says how many; leave out --rate, --records and --seconds")
        return Plan(backlog, None)
    if records and seconds:
        raise click.UsageError("--records or --seconds, not both")
    rate = rate or 1_000.0
    return Plan(records or max(1, int(rate * seconds)) if seconds else records or 10_000, rate)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the demonstration in order: the runner is stopped, nothing is lost."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        note("interrupted; what waits in the buffer is delivered by the next `pumpkit demo`")
        raise click.exceptions.Exit(130) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop_earlier_runner(buffer: Buffer) -> None:
    """Stop the runner that a demonstration left behind when it was killed: the folder, and so the runner, are ours."""
    runner = buffer.runner()
    if runner is None:
        return
    os.kill(int(runner["pid"]), signal.SIGTERM)
    until = time.monotonic() + PATIENCE
    while buffer.runner() is not None:
        if time.monotonic() > until:
            raise Unavailable(f"the runner of an earlier demo, pid {runner['pid']}, does not stop")
        time.sleep(LOOK)
    note(f"the runner of an earlier demo, pid {runner['pid']}, was still there; stopped it")


def _announcement(stage: Stage, plan: Plan) -> str:
    how = "first, then the runner starts" if plan.rate is None else f"at {number(plan.rate)} a second"
    return (
        f"Recording {plural(plan.records, 'decision')} {how}; pumps: {', '.join(PUMPS)}. Meanwhile, elsewhere:\n"
        f"  pumpkit status --watch -c {safe(str(stage.config))}\n"
    )


class Performance:
    """One run of the demonstration."""

    def __init__(self, stage: Stage, plan: Plan, buffer: Buffer, bars: Progress) -> None:
        self.stage = stage
        self.plan = plan
        self.buffer = buffer
        self.bars = bars
        self.recorded = 0
        self._next_look = 0.0
        self._took = time.monotonic()  # when the buffer was last known to take records

    def run(self) -> int:
        """Record, run the pumps until nothing waits, stop them; return how many records were recorded."""
        if self.plan.rate is None:
            self._record(None)
            with self.stage.runner() as runner:
                self._drain(runner)
        else:
            with self.stage.runner() as runner:
                self._record(runner)
                self._drain(runner)
        return self.recorded

    def _record(self, runner: Runner | None) -> None:
        """Be the program that reports. When the reporter is full this one waits: a demonstration has the time."""
        began = time.monotonic()
        with Reporter(self.stage.url, source="demo", overflow="block", block_timeout=PATIENCE) as reporter:
            for record in itertools.islice(decisions(), self.plan.records):
                reporter.record(record)
                self.recorded += 1
                if self.plan.rate:
                    time.sleep(max(0.0, began + self.recorded / self.plan.rate - time.monotonic()))
                if time.monotonic() >= self._next_look:
                    self._look(runner)
                    self._check(reporter.stats().trouble)
            reporter.close(PATIENCE)

    def _check(self, trouble: str | None) -> None:
        """Raise Unavailable when the buffer has taken nothing for long."""
        now = time.monotonic()
        if trouble is None:
            self._took = now
        elif now - self._took > PATIENCE:
            raise Unavailable(f"the buffer does not take the records: {trouble}")

    def _drain(self, runner: Runner) -> None:
        """Wait until no pump has anything left. Raises Unavailable if the runner ends, or nothing moves."""
        best, moved = -1, time.monotonic()
        while True:
            stats = self._look(runner)
            lags = [stats.cursors[pump].lag for pump in PUMPS if pump in stats.cursors]
            if len(lags) == len(PUMPS) and not any(lags):
                return
            done = sum(passed(stats, pump) for pump in PUMPS)
            if done > best:
                best, moved = done, time.monotonic()
            if time.monotonic() - moved > PATIENCE:
                raise Unavailable(f"nothing moved for {PATIENCE:.0f} s; see {self.stage.log}")
            time.sleep(LOOK)

    def _look(self, runner: Runner | None) -> BufferStats:
        if runner:
            runner.check()
        stats = self.buffer.stats()
        self.bars.show(self.recorded, stats)
        self._next_look = time.monotonic() + LOOK
        return stats


def _print(stage: Stage, account: Account) -> None:
    if sys.stderr.isatty():
        click.echo()  # below the bars
    say(f"{number(account.recorded)} recorded, {number(account.stored)} stored, {number(account.lost)} lost")
    for cause, count in account.dropped.items():
        say(f"{number(count)} dropped by the reporter: {cause}")
    if account.waiting:
        say(f"{plural(account.waiting, 'record')} had waited since an earlier run, and went first")
    click.echo()
    rows = [
        [
            pump.name,
            *map(number, (pump.delivered, pump.filtered, pump.dead, pump.skipped, pump.lag, pump.rows)),
            "yes" if pump.good else Cell("NO", "bold red"),
        ]
        for pump in account.pumps
    ]
    print_table(_COLUMNS, rows)
    for pump in account.pumps:
        click.echo()
        say(f"{stage.folder / pump.name}, the first lines of the newest file:")
        for line in stage.first_lines(pump.name, 3):
            click.echo("  " + _cut(safe(line)))
    click.echo()
    print_pairs([("configuration", str(stage.config)), ("buffer", str(stage.buffer_file)), ("log", str(stage.log))])


def _cut(line: str) -> str:
    """Return a line as far as the terminal shows it; in a pipe, whole."""
    width = shutil.get_terminal_size().columns - 2
    return line if not on_terminal() or len(line) <= width else line[: width - 3] + "..."
