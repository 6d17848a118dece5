"""`pumpkit plugins`: which sinks there are, their settings, and a new one."""

import attrs
import click
from click.shell_completion import CompletionItem

from pumpkit import plugins
from pumpkit.checking import PluginReport, describe_plugins
from pumpkit.cli.new_plugin import new
from pumpkit.cli.output import paragraph, print_json, say

_EPILOG = """\b
Examples:
  pumpkit plugins ls
  pumpkit plugins ls csv
  pumpkit plugins ls --json | jq '.[].name'
  pumpkit plugins new diary
"""

_DUPLICATES = {
    "never": "arrive once",
    "possible": "may arrive twice",
    "depends": "may arrive twice with some settings",
}


class PluginName(click.types.StringParamType):
    """The name of a plugin: an installed one, or one that could be."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the names that begin so."""
        return [CompletionItem(name) for name in _known() if name.startswith(incomplete)]


@click.group(epilog=_EPILOG)
def command() -> None:
    """See which sink plugins are installed and their settings, or begin one of your own."""


command.add_command(new)


@command.command("ls")
@click.option("--json", "as_json", is_flag=True, help="A list of objects.")
@click.argument("names", nargs=-1, type=PluginName(), metavar="[NAME]...")
def ls(as_json: bool, names: tuple[str, ...]) -> None:
    """List plugins: version, hooks, and the settings that go under a pump's `meta`.

    Each is looked at in a process of its own, so a broken one is told of and does no harm. Known ones that are missing
    are listed with what installs them.
    """
    installed = plugins.installed()
    for name in names:
        if name not in installed and name not in plugins.KNOWN:
            try:
                plugins.find(name)
            except plugins.PluginError as error:
                raise click.UsageError(str(error)) from error
    wanted = names or _known()
    reports = describe_plugins([name for name in wanted if name in installed])
    missing = [name for name in wanted if name not in installed]
    if as_json:
        reported = [attrs.asdict(report) | {"installed": True, "install": ""} for report in reports]
        print_json([*reported, *({"name": name, "installed": False, "install": _install(name)} for name in missing)])
        return
    for report in reports:
        say("\n".join(_lines(report)))
        click.echo()
    for name in missing:
        say(f"{name}  not installed; {_install(name)}")


def _known() -> list[str]:
    """Return the installed plugins, then those that are known besides."""
    installed = plugins.installed()
    return [*sorted(installed), *(name for name in plugins.KNOWN if name not in installed)]


def _install(name: str) -> str:
    return f"pip install {plugins.KNOWN[name]}"


def _lines(report: PluginReport) -> list[str]:
    if not report.distribution:
        return [f"{report.name}  broken: {report.error}"]
    lines = [f"{report.name}  {report.distribution} {report.version}"]
    if report.error:
        return [*lines, f"  broken: {report.error}"]
    if report.doc:
        lines.append(f"  {report.doc}")
    order = ", in strict order" if report.ordered else ""
    lines += [f"  redelivered records {_DUPLICATES[report.duplicates]}{order}", f"  hooks: {', '.join(report.hooks)}"]
    if not report.settings:
        return [*lines, "  no settings"]
    lines.append("  settings, under `meta`:")
    for setting in report.settings:
        default = "required" if setting["required"] else f"default: {setting['default']}"
        lines += [f"    {setting['key']}: {setting['type']}, {default}", *paragraph(setting["about"], " " * 8)]
    return lines
