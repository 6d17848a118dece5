"""The program as a whole: its commands, their help, and how it ends when something goes wrong."""

import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator

import click
import pytest
from click.testing import Result

from pumpkit import errors
from pumpkit.cli import SUMMARIES, program
from pumpkit.cli.failures import exit_code, known_failures


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command with the words that call it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


ALL = dict(commands(program))
EXAMPLES = [
    line.strip()
    for command in (program, *ALL.values())
    for line in f"{command.help}\n{command.epilog}".splitlines()
    if line.strip().startswith("pumpkit ") and "COMMAND" not in line
]


@pytest.mark.parametrize("name", SUMMARIES)
def test_summaries(name: str) -> None:
    """The sentence in `pumpkit --help` is the first one of the command's own help."""
    help_text = ALL[(name,)].help
    assert help_text is not None
    assert help_text.splitlines()[0] == SUMMARIES[name]


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help(cli: Callable[..., Result], path: tuple[str, ...]) -> None:
    """Every command has help, every option in it a description, and it fits 80 columns."""
    result = cli(*path, "--help", columns=80)
    assert result.exit_code == 0
    assert ALL[path].help
    for parameter in ALL[path].params:
        assert not isinstance(parameter, click.Option) or parameter.help, parameter.name
    prose = result.output.split("Options:")[0]
    assert max(map(len, prose.splitlines())) <= 80


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples(example: str) -> None:
    """Every example in the help is a command that exists, with options that it takes."""
    words = shlex.split(example.split("  ")[0].split("|")[0].split("&&")[0].split(">")[0])[1:]
    command: click.Command = program
    context = click.Context(program, info_name="pumpkit")
    while isinstance(command, click.Group):
        _, found, words = command.resolve_command(context, words)
        assert found is not None
        command = found
    if words != ["--help"]:
        command.make_context(command.name, list(words), parent=context)


def test_examples_are_found() -> None:
    """The test above has something to test."""
    assert len(EXAMPLES) > 20


def test_help_is_quick() -> None:
    """`pumpkit --help` imports no command and nothing that they need."""
    code = (
        "import sys; from click.testing import CliRunner; from pumpkit.cli import program\n"
        "assert CliRunner().invoke(program, ['--help']).exit_code == 0\n"
        "heavy = {'attrs', 'cattrs', 'rich', 'ruamel', 'apsw', 'pluggy', 'msgpack', 'redis', 'prometheus_client'}\n"
        "print(heavy & {name.partition('.')[0] for name in sys.modules})"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("set()\n", "")


def test_program_and_module(program: Callable[..., "subprocess.CompletedProcess[str]"]) -> None:
    """`python -m pumpkit` is the program, and knows its version."""
    result = program("--version")
    assert (result.returncode, result.stdout) == (0, "pumpkit 0.1.0\n")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("statsu",), "no command 'statsu'; did you mean 'status'?"),
        (("xyz",), "no command 'xyz'"),
        (("dlq", "shwo"), "shwo"),
        (("status", "--jsn"), "--jsn"),
        (("cursor", "drop"), "Missing argument 'PUMP'"),
    ],
)
def test_wrong_usage(cli: Callable[..., Result], words: tuple[str, ...], hint: str) -> None:
    """Wrong usage exits with 2 and says what is wrong."""
    result = cli(*words)
    assert result.exit_code == 2
    assert hint in result.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.BufferUnavailable("no answer"), 69),
        (errors.BufferFull("at its cap"), 69),
        (errors.Unavailable("gone"), 69),
        (errors.BufferBusy("pid 7 has it"), 75),
        (errors.BufferConfigError("no such scheme"), 78),
        (errors.ConfigError("bad"), 78),
        (errors.FrameTooNew("upgrade"), 78),
        (errors.BadFrame("not a frame"), 1),
    ],
)
def test_known_errors(capsys: pytest.CaptureFixture[str], error: errors.PumpkitError, code: int) -> None:
    """A known error is one line on stderr, and the documented exit code."""
    with pytest.raises(click.exceptions.Exit) as caught, known_failures():
        raise error
    assert caught.value.exit_code == exit_code(error) == code
    assert capsys.readouterr() == ("", f"Error: {error}\n")


def test_errors_are_safe(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a terminal's control characters nor a URL's password come through an error."""
    with pytest.raises(click.exceptions.Exit), known_failures():
        raise errors.BufferUnavailable("redis://app:hunter2@host/0 \x1b[2J")
    assert capsys.readouterr().err == "Error: redis://app:***@host/0 \\x1b[2J\n"


def test_bug() -> None:
    """Anything else is a bug, and keeps its traceback."""
    with pytest.raises(ZeroDivisionError), known_failures():
        raise ZeroDivisionError


def test_narrow_locale(program: Callable[..., "subprocess.CompletedProcess[str]"]) -> None:
    """A name that the locale's encoding cannot write is escaped, not an error of its own."""
    result = program("cursor", "drop", "größe", env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert result.returncode == 69
    assert "Traceback" not in result.stderr


def test_version(cli: Callable[..., Result]) -> None:
    """`pumpkit version` names what decides how pumpkit behaves, for people and as JSON."""
    import json

    versions = json.loads(cli("version", "--json").output)
    assert {"pumpkit", "python", "sqlite", "apsw", "platform"} <= set(versions)
    assert f"sqlite     {versions['sqlite']}\n" in cli("version").output
