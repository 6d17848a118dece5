"""`pumpkit resume`: deliver to paused pumps again."""

import click

from pumpkit.cli.observe import pump_trouble
from pumpkit.cli.output import say, warn
from pumpkit.cli.target import PumpName, Target, buffer_options, cursors, pass_target
from pumpkit.cli.text import plural

_EPILOG = """\b
Examples:
  pumpkit resume audit
"""


@click.command(epilog=_EPILOG)
@buffer_options
@click.argument("pumps", type=PumpName(), nargs=-1, required=True, metavar="PUMP...")
@pass_target
def command(target: Target, pumps: tuple[str, ...]) -> None:
    """Deliver to paused pumps again.

    They go on where they stopped.
    """
    with target.buffer() as buffer:
        known = cursors(buffer, *pumps)
        for pump in pumps:
            buffer.set_wanted(pump, "run")
            say(f"{pump}: resumed, with {plural(known[pump].lag, 'record')} waiting")
            trouble = pump_trouble(target, buffer, pump)
            if trouble:
                warn(f"{pump}: nothing happens yet: {trouble}")
