"""The command line: `pumpkit`. One module per command or group of commands; this one only finds them.

`main()` is the program. A command's module is imported when it is run, so `pumpkit --help` loads none.
"""

import difflib
import importlib
import io
import sys

import click
from click.shell_completion import CompletionItem

import pumpkit
from pumpkit.cli.failures import known_failures
from pumpkit.cli.target import config_option

#: Every command under its heading, with the sentence that `pumpkit --help` shows: the first one of its own help.
SECTIONS = {
    "Carry records": {
        "run": "Carry records from the buffer to every pump until stopped.",
        "check": "Find everything that is wrong in a configuration.",
        "demo": "Watch records go from a program into CSV files.",
    },
    "Look": {
        "status": "Show what every pump is doing, and the buffer between.",
        "plugins": "See which sink plugins are installed and their settings, or begin one of your own.",
        "version": "Print the versions of pumpkit and what it runs on.",
    },
    "Operate": {
        "pause": "Stop delivering to pumps; their records wait in the buffer.",
        "resume": "Deliver to paused pumps again.",
        "dlq": "See, replay or purge records that could not be delivered.",
        "cursor": "See, drop or rename the places of pumps in the buffer.",
        "buffer": "See the buffer's state, or limit its size.",
    },
    "Set up": {
        "config": "Write a configuration to start from, or show what one means.",
        "conformance": "Prove a sink by the cases of the conformance kit.",
        "completion": "Print the script for completion in a shell.",
    },
}
SUMMARIES = {name: summary for commands in SECTIONS.values() for name, summary in commands.items()}

_EXIT_CODES = """\b
Exit codes:
  0   done
  1   a bug (a traceback), an aborted question, or a demo that lost something,
      or a sink that does not conform
  2   wrong usage: an unknown command, option, pump or id
  69  the buffer cannot be reached, or the health port is taken
  75  another runner holds the buffer, or a worker the pump: try again later
  78  the configuration is wrong
"""


class Program(click.Group):
    """The commands, each imported when it is needed; known errors end it with one line and their exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the sections."""
        return list(SUMMARIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        if cmd_name not in SUMMARIES:
            return None
        command: click.Command = importlib.import_module(f"{__name__}.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or fail with the nearest one there is."""
        name = args[0]
        if name not in SUMMARIES and not name.startswith("-") and not ctx.resilient_parsing:
            near = difflib.get_close_matches(name, SUMMARIES, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"no command {name!r}{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections, without importing a command."""
        for heading, commands in SECTIONS.items():
            with formatter.section(heading):
                formatter.write_dl(list(commands.items()), col_max=12)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands, without importing them, and options."""
        commands = [CompletionItem(name, help=text) for name, text in SUMMARIES.items() if name.startswith(incomplete)]
        return commands + click.Command.shell_complete(self, ctx, incomplete)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        with known_failures():
            return super().invoke(ctx)


@click.group(
    cls=Program,
    epilog=_EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
)
@config_option
@click.version_option(pumpkit.__version__, message="%(prog)s %(version)s")
def program() -> None:
    """Carry what applications report to files, databases and search, without losing or doubling a record.

    Applications hand records to a Reporter; they wait in a durable buffer; `pumpkit run` delivers them to every pump
    of the configuration.

    \b
    First steps:
      pumpkit demo            see it work
      pumpkit config init     write pumpkit.yaml
      pumpkit check           find what is wrong in it
      pumpkit run             carry records
      pumpkit status --watch  see what the pumps do

    `pumpkit COMMAND --help` explains each command.
    """


def main() -> None:
    """Run the program `pumpkit` with the arguments of the process, and exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the locale cannot write is no reason to fail
    program(prog_name="pumpkit")
