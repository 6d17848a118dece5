"""`pumpkit run`: the runner."""

import click

from pumpkit import runner
from pumpkit.checking import check
from pumpkit.cli.failures import BAD_CONFIG, fail
from pumpkit.cli.target import Target, config_option, pass_target

_EPILOG = """\b
Signals:
  SIGTERM, SIGINT  stop after the batches in hand; a second one: at once
  SIGHUP           read the configuration again; only pumps that changed restart

\b
Exit codes:
  0    stopped by a signal
  2    wrong usage
  69   the buffer cannot be reached, or the port of the health endpoint is taken
  75   another runner holds the buffer
  78   the configuration is wrong; with --strict also when a plugin or its meta is
  130  stopped at once by a second signal

\b
Examples:
  pumpkit run
  pumpkit run -c /etc/pumpkit/pumpkit.yaml --strict
"""


@click.command(epilog=_EPILOG)
@config_option
@click.option("--strict", is_flag=True, help="Refuse to start when a pump's plugin is broken, or refuses its meta.")
@pass_target
@click.pass_context
def command(ctx: click.Context, target: Target, strict: bool) -> None:
    """Carry records from the buffer to every pump until stopped.

    Each pump has a process of its own. A pump whose plugin is broken is `failed` and keeps its records, while the
    others run. What happens is logged to stderr; `pumpkit status` shows it as a table.
    """
    config = target.config()
    problems = check(config) if strict else []
    if problems:
        fail(map(str, problems), BAD_CONFIG)
    ctx.exit(runner.run(config))
