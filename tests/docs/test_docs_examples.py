"""What the documentation shows works: configurations load, programs run, commands exist."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from pumpkit.cli import program
from pumpkit.config.load import load
from tests.docs.conftest import Block

EXAMPLE = "docs/examples/http/src/pumpkit_http_example/__init__.py"


def test_a_configuration_loads(yaml_block: Block, tmp_path: Path) -> None:
    """Every YAML block is a whole configuration that loads without a problem."""
    file = tmp_path / "pumpkit.yaml"
    file.write_text(yaml_block.text)
    assert load(file).pumps


def test_a_program_runs(python_block: Block, tmp_path: Path, root: Path) -> None:
    """Every Python block runs, as a file of its own, with a buffer of its own and warnings as errors."""
    file = tmp_path / "program.py"
    file.write_text(python_block.text)
    environment = os.environ | {
        "PUMPKIT_BUFFER": f"sqlite:///{tmp_path}/buffer.db",
        "PYTHONPATH": str(root / Path(EXAMPLE).parents[1]),
    }
    command = [sys.executable, "-W", "error", file]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def commands(block: Block) -> list[list[str]]:
    """Return the calls of `pumpkit` in a console block, as lists of words."""
    calls = re.findall(
        r"(?:^|&& |\| |\$\()(?:[$#] )?(?:\S*/)?pumpkit (.*?)(?= \| | && | > |\)|   *#|$)", block.text, re.MULTILINE
    )
    return [shlex.split(call) for call in calls]


def test_a_command_exists(console_block: Block) -> None:
    """Every `pumpkit ...` in a console block parses: the command, its options, and the number of its arguments."""
    for words in commands(console_block):
        command: click.Command = program
        context = click.Context(command, info_name="pumpkit")
        while isinstance(command, click.Group):
            name, found, words = command.resolve_command(context, words)
            assert found is not None
            command = found
            context = click.Context(command, info_name=name, parent=context)
        command.parse_args(context, words)


def test_the_readme_shows_the_example_sink(root: Path) -> None:
    """The sink in the README is the example package's module, to the letter."""
    assert f"```python\n{(root / EXAMPLE).read_text()}```\n" in (root / "README.md").read_text()


def test_the_picture_is_there(root: Path) -> None:
    """Files that the README links to exist."""
    links = re.findall(r"\]\(([^)#]+)\)", (root / "README.md").read_text())
    assert len(links) > 5
    assert [link for link in links if not (root / link).exists()] == []


@pytest.mark.parametrize("word", ["demo", "test"])
def test_the_readme_names_the_targets(root: Path, word: str) -> None:
    """The README's two commands are targets of the Makefile, and CI runs the one that tests."""
    assert f"$ make {word} " in (root / "README.md").read_text()
    assert re.search(rf"^{word}:", (root / "Makefile").read_text(), re.MULTILINE)
    assert "step make test" in (root / ".ci" / "run").read_text()
