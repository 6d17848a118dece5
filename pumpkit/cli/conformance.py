"""`pumpkit conformance`: prove a sink by the cases of the kit."""

import difflib

import click
from click.shell_completion import CompletionItem

from pumpkit import plugins
from pumpkit.cli.output import note, print_json, say
from pumpkit.cli.plugins import PluginName
from pumpkit.testing.apart import LIMIT, run_apart
from pumpkit.testing.case import Result
from pumpkit.testing.cases import CASES
from pumpkit.testing.report import Report

_EPILOG = """\b
Exit codes:
  0   the sink conforms, with or without declared gaps
  1   it does not, or cases were not run
  2   there is no such case
  78  the plugin is not installed, or the destination cannot be had

\b
Examples:
  pumpkit conformance mysink --destination tests/destination.py:MyDestination
  pumpkit conformance mysink --destination mysink_tests:MyDestination --case write_one
  pumpkit conformance mysink --destination mysink_tests:MyDestination --json | jq -r .grade
"""


class CaseName(click.types.StringParamType):
    """The name of a case."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name, or fail with the nearest one there is."""
        if value not in CASES:
            near = difflib.get_close_matches(value, CASES, 1)
            self.fail(f"no case {value!r}" + (f"; did you mean {near[0]!r}?" if near else ""), param, ctx)
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the cases that begin so."""
        return [CompletionItem(name, help=case.about) for name, case in CASES.items() if name.startswith(incomplete)]


@click.command(epilog=_EPILOG)
@click.argument("name", type=PluginName())
@click.option("--destination", default="", metavar="FILE.py:CLASS", help="Where the sink writes; also MODULE:CLASS.")
@click.option("--case", "names", multiple=True, type=CaseName(), metavar="NAME", help="Run this case only; repeatable.")
@click.option(
    "--limit",
    default=LIMIT,
    type=click.FloatRange(1),
    show_default=True,
    metavar="SECONDS",
    help="What a case may take.",
)
@click.option("--json", "as_json", is_flag=True, help="One object.")
def command(name: str, destination: str, names: tuple[str, ...], limit: float, as_json: bool) -> None:
    """Prove a sink by the cases of the conformance kit.

    The cases run in a process of their own. Without a destination only those that use none can be run.
    """
    plugin = plugins.find(name)
    wanted = [case for case in CASES if case in names or not names]
    can_run = [case for case in wanted if destination or CASES[case].alone]
    came = run_apart(name, destination, can_run, limit, lambda case: note(f"{case} ..."))
    results = {result.case: result for result in came}
    report = Report(
        plugin.name,
        plugin.distribution,
        plugin.version,
        [results.get(case) or Result(case, "not-run", "give --destination") for case in wanted],
    )
    if as_json:
        print_json(report.as_json())
    else:
        for line in report.lines():
            say(line)
    if not report.conforms:
        raise click.exceptions.Exit(1)
