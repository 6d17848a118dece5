"""Nothing public is missing in the reference: hooks with their arguments, settings, exit codes, the public names."""

import ast
import inspect
import re
from pathlib import Path

import pytest

import pumpkit
from pumpkit.config import Config, describe
from pumpkit.hookspecs import PluginSpecs, SinkSpecs

HOOKS = {
    name: list(inspect.signature(function).parameters)[1:]
    for specs in (PluginSpecs, SinkSpecs)
    for name, function in vars(specs).items()
    if not name.startswith("_")
}


def test_every_hook_has_its_section(root: Path) -> None:
    """The hooks page has a heading for every hook, with its exact arguments in order, and for nothing else."""
    text = (root / "docs/reference/hooks.md").read_text()
    headings = dict(re.findall(r"^## `(\w+)\((.*)\)`$", text, re.MULTILINE))
    assert headings == {name: ", ".join(arguments) for name, arguments in HOOKS.items()}


@pytest.mark.parametrize("hook", HOOKS)
def test_every_argument_is_explained(root: Path, hook: str) -> None:
    """Where a hook's section lists its arguments, each of them is there."""
    text = (root / "docs/reference/hooks.md").read_text()
    (section,) = re.findall(rf"^## `{hook}\(.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    listed = re.findall(r"^- `(\w+)`:", section, re.MULTILINE)
    assert listed in ([], HOOKS[hook])


def test_every_setting_is_in_the_reference(root: Path) -> None:
    """The configuration page asks for every mapping that has settings, so the page made from code has them all."""
    text = (root / "docs/reference/config.md").read_text()
    asked = {path.strip() for path in re.findall(r"^:::\{settings\}(.*)$", text, re.MULTILINE)}
    assert asked == {setting.key.rpartition(".")[0] for setting in describe(Config)}
    assert all(setting.about for setting in describe(Config))


def test_every_exit_code_is_in_the_reference(root: Path) -> None:
    """The codes that the command line can end with are those of the reference."""
    page = (root / "docs/reference/exit-codes.md").read_text()
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    tree = ast.parse((root / "pumpkit/cli/failures.py").read_text())
    named = {
        node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, int)
    }
    assert len(named) == 3
    assert documented == named | {0, 1, 2, 130}


def test_every_public_name_is_in_the_reference(root: Path) -> None:
    """The Python page documents what `pumpkit.__all__` exports, but for aliases that the hooks page explains."""
    page = (root / "docs/reference/python.md").read_text()
    documented = set(re.findall(r"^\.\. auto\w+:: pumpkit\.(\w+)\b(?!\.)", page, re.MULTILINE))
    aliases = {"ALLOW", "DENY", "Predicate", "Record", "Records", "Shorten", "hookimpl", "__version__"}
    assert documented == set(pumpkit.__all__) - aliases


def test_every_page_is_in_the_menu(root: Path) -> None:
    """The index's tables of contents name every page of the site."""
    index = (root / "docs/index.md").read_text()
    pages = {
        str(page.relative_to(root / "docs").with_suffix(""))
        for page in (root / "docs").rglob("*.md")
        if "example-sink" not in page.parts
    }
    assert pages - {"index"} == set(re.findall(r"^[a-z/-]+$", index, re.MULTILINE))
