"""Directives that write reference pages from the code itself, so that they cannot differ from it."""

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from typing import ClassVar

import click
from docutils import nodes
from kit_table import conformance_cases
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from pumpkit.config import Config, Setting, describe
from pumpkit.config.describe import value_text
from pumpkit.config.legacy.translation import OldKey


class Settings(SphinxDirective):
    """`{settings} PATH`: the keys of the configuration right below a key path; without one, those at the top."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        path = self.arguments[0] if self.arguments else ""
        settings = [one for one in describe(Config) if one.key.rpartition(".")[0] == path]
        if not settings:
            raise self.error(f"the configuration has no key below {path!r}")
        return self.parse_text_to_nodes("\n".join(line for one in settings for line in entry(one)))


def entry(setting: Setting) -> Iterator[str]:
    """Yield the lines of one key, as MyST."""
    yield f":::{{confval}} {setting.key}"
    yield f":type: {setting.type}"
    if setting.default:
        yield f":default: `{setting.default}`"
    yield ""
    yield setting.about
    yield ":::"
    yield ""


class Legacy(SphinxDirective):
    """`{legacy} module:TABLE`: the keys of a mapping in the file of a Go original, and what they become."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module, _, name = self.arguments[0].partition(":")
        table: list[OldKey] = getattr(import_module(f"pumpkit.config.legacy.{module}"), name)
        rows = [f"| `{key.name}` | {key.becomes} | {told(key)} |" for key in table]
        return self.parse_text_to_nodes("\n".join(["| key | here | told when set |", "|---|---|---|", *rows]))


def told(key: OldKey) -> str:
    """Return what is said of a key that is set, and when it is not."""
    text = key.refusal or key.note
    unless = ", ".join(f"`{value_text(value)}`" for value in key.idle)
    return f"{'error: ' if key.refusal else ''}{text}{f' (not of {unless})' if unless and text else ''}"


class Commands(SphinxDirective):
    """`{commands} module:program`: what `--help` prints, for a command and everything below it, each in a section."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module, _, name = self.arguments[0].partition(":")
        program: click.Command = getattr(import_module(module), name)
        return [self.section(path, text) for path, text in helps(program, "pumpkit")]

    def section(self, path: str, text: str) -> nodes.section:
        section = nodes.section("", nodes.title("", "", nodes.literal("", path)), ids=[path.replace(" ", "-")])
        self.state.document.note_explicit_target(section)
        section["names"] = [path]
        section += nodes.literal_block("", text, language="text")
        return section


def helps(command: click.Command, path: str, parent: click.Context | None = None) -> Iterator[tuple[str, str]]:
    """Yield each command's path and help text, as wide as a page."""
    name = path.rpartition(" ")[2]
    context = click.Context(command, parent, name, terminal_width=86, **command.context_settings)
    yield path, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below and not below.hidden:
                yield from helps(below, f"{path} {name}", context)


class Tables(SphinxDirective):
    """`{tables} module:KIND`: the tables of one kind of SQLite file, as they are created."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module, _, name = self.arguments[0].partition(":")
        schema: str = getattr(import_module(module), name).schema
        return [nodes.literal_block("", inspect.cleandoc(schema), language="sql")]


class Options(SphinxDirective):
    """`{options} module:NAME`: a mapping of options to what they say, as definitions."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module, _, name = self.arguments[0].partition(":")
        options: dict[str, str] = getattr(import_module(module), name)
        lines = [line for option, text in options.items() for line in (f"`{option}`", f": {text}", "")]
        return self.parse_text_to_nodes("\n".join(lines))


class MetaSettings(SphinxDirective):
    """`{meta-settings} module:CLASS`: the settings of a sink, as under `meta`; `:without:` leaves out a class's."""

    required_arguments = 1
    option_spec: ClassVar = {"without": str}

    def run(self) -> list[nodes.Node]:
        known = {one.key for one in self.described(self.options["without"])} if "without" in self.options else set()
        settings = [one for one in self.described(self.arguments[0]) if one.key not in known]
        return self.parse_text_to_nodes("\n".join(line for one in settings for line in definition(one)))

    def described(self, where: str) -> list[Setting]:
        module, _, name = where.partition(":")
        return describe(getattr(import_module(module), name))


def definition(setting: Setting) -> Iterator[str]:
    """Yield the lines of one setting of a sink, as a definition."""
    default = "required" if setting.required else f"default: `{setting.default}`" if setting.default else ""
    yield f"`{setting.key}` ({setting.type}{', ' if default else ''}{default})"
    yield f": {setting.about}"
    yield ""


def arguments_as_definitions(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Make definition lists, in a docstring's lines, of arguments written as `name: text` with indented lines below."""
    spread: list[str] = []
    for line in lines:
        argument = re.match(r"([a-z_]+): (.+)", line)
        spread += ["", f"`{argument[1]}`", f"    {argument[2]}"] if argument else [line]
    lines[:] = spread


class ConformanceCases(SphinxDirective):
    """`{conformance-cases}`: every case of the conformance kit, with what it asks and which abilities it needs."""

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes("\n".join(conformance_cases()))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.connect("autodoc-process-docstring", arguments_as_definitions)
    app.add_directive("settings", Settings)
    app.add_directive("commands", Commands)
    app.add_directive("legacy", Legacy)
    app.add_directive("tables", Tables)
    app.add_directive("options", Options)
    app.add_directive("meta-settings", MetaSettings)
    app.add_directive("conformance-cases", ConformanceCases)
    return {"parallel_read_safe": True}
