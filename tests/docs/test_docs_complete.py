"""Nothing public is missing in the reference: hooks with their arguments, settings, exit codes, the public names."""

import ast
import inspect
import re
import sys
import tomllib
import urllib.request
from pathlib import Path
from typing import get_args

import pytest

import pumpkit
from pumpkit.buffers.base import BufferStats, CursorStats
from pumpkit.cli.new_plugin.package import Names, render
from pumpkit.config import Config, describe
from pumpkit.config.legacy import iam, server, tyk
from pumpkit.config.legacy.translation import OldKey
from pumpkit.health import HealthServer
from pumpkit.hookspecs import PluginSpecs, SinkSpecs
from pumpkit.status import PumpStatus, State, Status

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


def test_every_key_of_the_originals_is_in_the_reference(root: Path) -> None:
    """The page on their files asks for every table that translates them, so the page made from code has them all."""
    text = (root / "docs/reference/files-of-go-programs.md").read_text()
    asked = set(re.findall(r"^:::\{legacy\} (\S+)$", text, re.MULTILINE))
    tables = {
        f"{module.__name__.rpartition('.')[2]}:{name}"
        for module in (iam, server, tyk)
        for name, table in vars(module).items()
        if isinstance(table, list) and all(isinstance(key, OldKey) for key in table)
    }
    assert asked == tables


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


def test_every_line_of_a_reporter_is_explained(root: Path) -> None:
    """What reporters log stands in the tables of the page on watching them, each line with its level."""
    rows = re.findall(r"^\| `.*\|$", (root / "docs/how-to/watch-a-reporter.md").read_text(), re.MULTILINE)
    lines = [
        (node.func.attr.upper(), node.args[0].value)
        for file in (root / "pumpkit/reporter").glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func) in ("log.info", "log.warning", "log.error")
        and isinstance(node.args[0], ast.Constant)
    ]
    assert len(lines) > 15
    for level, line in lines:
        part = max(re.split(r"%[\d.]*[sdrf]|[:(]", str(line)), key=len).strip()
        assert any(part in row and level in row for row in rows), (level, line)


def test_every_metric_is_in_the_reference(root: Path) -> None:
    """What a runner's /metrics shows, for one pump and a buffer, are the metrics of the reference."""
    cursor = CursorStats("audit", 1, 0, 1, 0, 0, 0, 0, 0, None, "run", 0, 0)
    stats = BufferStats("id", "file", 1, 2, 1, 1, 0, {"full": 1}, [], {"audit": cursor})
    status = Status(buffer=stats, pumps={"audit": PumpStatus("audit", cursor=cursor)})
    server = HealthServer("127.0.0.1:0", "healthz", lambda: status, lambda: True)
    try:
        with urllib.request.urlopen(f"http://{server.address}/metrics", timeout=10) as answer:
            shown = set(re.findall(r"^# TYPE (\w+) ", answer.read().decode(), re.MULTILINE))
    finally:
        server.close()
    page = (root / "docs/reference/health.md").read_text()
    assert {name.removesuffix("_total") for name in shown} == {
        name.removesuffix("_total") for name in re.findall(r"`(pumpkit_\w+)", page)
    }


def test_every_state_is_in_the_reference(root: Path) -> None:
    """The states that the runner's table knows are those of the reference."""
    table = (root / "docs/reference/health.md").read_text().partition("## States of a pump")[2]
    first_cells = " ".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE))
    assert sorted(re.findall(r"`(\w+)`", first_cells)) == sorted(get_args(State))


def test_every_public_name_is_in_the_reference(root: Path) -> None:
    """The Python page documents what `pumpkit.__all__` exports, but for aliases that the hooks page explains."""
    page = (root / "docs/reference/python.md").read_text()
    documented = set(re.findall(r"^\.\. auto\w+:: pumpkit\.(\w+)\b(?!\.)", page, re.MULTILINE))
    aliases = {"ALLOW", "DENY", "Predicate", "Record", "Records", "Shorten", "hookimpl", "__version__"}
    assert documented == set(pumpkit.__all__) - aliases


def test_the_site_is_built_of_what_its_extra_installs(root: Path) -> None:
    """Whatever framework a described module imports comes with pumpkit or with its extra `docs`."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["docs"]]
    installed = {re.split(r"[^\w-]", line)[0].replace("-", "_") for line in wanted} | {"asgiref", "pumpkit"}  # Django's
    page = (root / "docs/reference/contrib.md").read_text()
    described = sorted(set(re.findall(r"^\.\. auto\w+:: (pumpkit\.contrib\.\w+)", page, re.MULTILINE)))
    imported = {
        name.partition(".")[0]
        for module in described
        for node in ast.parse((root / f"{module.replace('.', '/')}.py").read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    assert imported - installed - sys.stdlib_module_names == set()


def test_every_package_and_extra_is_on_the_page_about_installing(root: Path) -> None:
    """Its tables name the core, the distribution in each folder of a sink, and the extras."""
    page = (root / "docs/how-to/install.md").read_text()
    projects = {
        file.parent: tomllib.loads(file.read_text())["project"]
        for file in [root / "pyproject.toml", *root.glob("pumpkit_*/pyproject.toml")]
    }
    for folder, project in projects.items():
        where = "the repository's root" if folder == root else f"`{folder.name}`"
        assert f"| `{project['name']}` | {where} |" in page
    named = set(re.findall(r"`pumpkit\[(\w+)\]`", page))
    assert named == set(projects[root]["optional-dependencies"])


def test_every_promise_about_redis_has_its_test(root: Path) -> None:
    """The page names the tests that show what it says, and leaves none out."""
    page = (root / "docs/explanation/redis-promises.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", page))
    tests = (root / "tests/buffers/test_redis_faults.py").read_text()
    assert named == set(re.findall(r"^def (test_\w+)", tests, re.MULTILINE))


def test_every_page_is_in_the_menu(root: Path) -> None:
    """The index's tables of contents name every page of the site."""
    index = (root / "docs/index.md").read_text()
    pages = {
        str(page.relative_to(root / "docs").with_suffix(""))
        for page in (root / "docs").rglob("*.md")
        if "examples" not in page.parts
    }
    assert pages - {"index"} == set(re.findall(r"^[a-z/-]+$", index, re.MULTILINE))


def test_every_file_of_a_new_package_is_in_the_tutorial(root: Path) -> None:
    """The tree in the tutorial names what `pumpkit plugins new` writes, but for what only git reads."""
    page = (root / "docs/tutorial/own-sink.md").read_text()
    (tree,) = re.findall(r"^pumpkit-sqlite-example/\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    written = set(render(Names("sqlite-example")))
    assert {line.split()[0] for line in tree.splitlines()} == written - {".gitignore"}
