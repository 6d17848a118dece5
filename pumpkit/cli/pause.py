"""`pumpkit pause`: stop delivering to pumps."""

import click

from pumpkit.cli.output import say
from pumpkit.cli.target import PumpName, Target, buffer_options, cursors, pass_target

_EPILOG = """\b
Examples:
  pumpkit pause audit
  pumpkit pause audit search
"""


@click.command(epilog=_EPILOG)
@buffer_options
@click.argument("pumps", type=PumpName(), nargs=-1, required=True, metavar="PUMP...")
@pass_target
def command(target: Target, pumps: tuple[str, ...]) -> None:
    """Stop delivering to pumps; their records wait in the buffer.

    The buffer remembers it, over restarts too. A worker stops after the batch in hand. What waits takes room: a
    required pump that is paused for long fills the buffer up to its cap.
    """
    with target.buffer() as buffer:
        cursors(buffer, *pumps)
        for pump in pumps:
            buffer.set_wanted(pump, "pause")
            say(f"{pump}: paused; `pumpkit resume {pump}` goes on")
