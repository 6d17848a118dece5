"""`pumpkit buffer`: the durable log between applications and the runner."""

from typing import Any

import click

from pumpkit.cli.output import Column, print_json, print_pairs, print_table, say
from pumpkit.cli.target import Target, buffer_options, pass_target
from pumpkit.cli.text import ago, number, plural, size, unused
from pumpkit.config.types import parse_size

_PRODUCERS = [
    Column("producer", whole=True),
    Column("source"),
    Column("host", roomy=True),
    Column("pid", right=True),
    Column("records", right=True),
    Column("dropped", right=True),
    Column("last wrote", whole=True),
]

_EPILOG = """\b
Examples:
  pumpkit buffer stats
  pumpkit buffer stats --buffer sqlite:////var/lib/pumpkit/buffer.db --json
  pumpkit buffer limit 4GiB
"""


@click.group(epilog=_EPILOG)
def command() -> None:
    """See the buffer's state, or limit its size."""


@command.command("stats")
@buffer_options
@click.option(
    "-n",
    "--producers",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="The most to list; newest first.",
)
@click.option("--json", "as_json", is_flag=True, help="One object, with every producer.")
@pass_target
def stats(target: Target, producers: int, as_json: bool) -> None:
    """Show what the buffer holds, who wrote it, and what reporters had to drop.

    `lost` are holes that a reporter left for good when it could not resend. Drop causes: `full` (the reporter's memory
    was), `unpackable` and `too-large` (the record cannot be stored), `unsent` (the reporter ended first).
    """
    with target.buffer() as buffer:
        found = buffer.stats()
    if as_json:
        document: dict[str, Any] = found._asdict()
        document["producers"] = [producer._asdict() for producer in found.producers]
        document["drops_by_host"] = [pair._asdict() for pair in found.drops_by_host]
        document["cursors"] = {name: cursor._asdict() for name, cursor in found.cursors.items()}
        print_json(document)
        return
    drops = ", ".join(f"{number(count)} {cause}" for cause, count in found.drops.items() if count)
    print_pairs(
        [
            ("buffer", found.location),
            ("id", found.buffer_id),
            ("size", f"{size(found.size_bytes)} of {size(found.max_bytes)}"),
            ("frames", number(found.frames)),
            ("stored ever", plural(found.stored, "record")),
            ("lost", plural(found.lost, "record")),
            ("dropped", drops or "none"),
            ("producers", number(len(found.producers))),
        ]
    )
    if not found.stored and not found.producers:
        say(unused(found.location))
    newest = sorted(found.producers, key=lambda producer: producer.last_ms, reverse=True)[:producers]
    if newest:
        click.echo()
        rows = [
            [
                producer.producer,
                producer.source,
                producer.host,
                str(producer.pid),
                number(producer.next_seq),
                number(sum(producer.drops.values())),
                ago(producer.last_ms / 1000),
            ]
            for producer in newest
        ]
        print_table(_PRODUCERS, rows)


@command.command("limit")
@buffer_options
@click.argument("limit", required=False, metavar="[SIZE]")
@pass_target
def limit(target: Target, limit: str | None) -> None:
    """Show the size cap, or set it: 512MiB, 4GiB, or a number of bytes.

    The cap is stored in the buffer and applied by everybody who writes to it, at once. `max-bytes` in the
    configuration sets it again when the runner starts.
    """
    wanted = None if limit is None else _parsed(limit)
    with target.buffer() as buffer:
        if wanted is not None:
            buffer.set_max_bytes(wanted)
        found = buffer.stats()
    say(f"{size(found.size_bytes)} of at most {size(found.max_bytes)} ({found.max_bytes} bytes): {found.location}")


def _parsed(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="SIZE") from error
