"""`pumpkit plugins new`: what it writes, what names it takes, and that it overwrites nothing."""

import re
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from ruamel.yaml import YAML

import pumpkit
from pumpkit import plugins
from pumpkit.cli.new_plugin import package
from pumpkit.cli.new_plugin.package import LONGEST, Names, check_name, render

Run = Callable[..., Result]

ROOT = Path(__file__).parents[2]


def tree(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder, by their path in it, without what tools leave."""
    leave = {"__pycache__", ".ruff_cache", ".mypy_cache", ".pytest_cache"}
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not leave & set(path.relative_to(folder).parts)
    }


def test_a_package_is_written(cli: Run, workplace: Path) -> None:
    """It lies in `pumpkit-NAME`, every file is told of, and the last lines say what to do next."""
    result = cli("plugins", "new", "diary")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.output.splitlines()
    files = tree(workplace / "pumpkit-diary")
    assert lines[0] == "pumpkit-diary:"
    assert sorted(lines[1 : len(files) + 1]) == sorted(f"  {name}" for name in files)
    assert "src/pumpkit_diary/py.typed" in files
    assert "tests/test_conformance.py" in files
    assert ".github/workflows/test.yml" in files
    assert lines[-4:] == ["  cd pumpkit-diary", "  pip install -e '.[dev]'", "  pumpkit plugins ls diary", "  pytest"]


def test_its_project_file(cli: Run, workplace: Path) -> None:
    """The entry point names the module, and the core is bounded to this version and below the next major one."""
    cli("plugins", "new", "my_log-2")
    project = tomllib.loads((workplace / "pumpkit-my-log-2" / "pyproject.toml").read_text())["project"]
    major, minor, *_ = pumpkit.__version__.split(".")
    assert project["name"] == "pumpkit-my-log-2"
    assert project["entry-points"] == {"pumpkit": {"my_log-2": "pumpkit_my_log_2"}}
    assert f"pumpkit>={major}.{minor},<{int(major) + 1}" in project["dependencies"]
    assert {"description", "readme", "requires-python", "license"} <= project.keys()


def test_no_variable_is_left(cli: Run, workplace: Path) -> None:
    """Every variable of a template has its value; what remains of `$` belongs to a shell or to GitHub."""
    for name, text in render(Names("diary")).items():
        assert set(re.findall(r"\$\S*", text)) <= {"$", "${{"}, name


def test_a_folder_of_ones_own(cli: Run, workplace: Path) -> None:
    """`--directory` is made, with the folders above it; the next step quotes it where a shell needs that."""
    result = cli("plugins", "new", "diary", "--directory", "in here/sink")
    assert result.exit_code == 0
    assert (workplace / "in here" / "sink" / "pyproject.toml").is_file()
    assert "  cd 'in here/sink'\n" in result.output


@pytest.mark.parametrize("there", ["file", "folder", "full folder", "dangling link"])
def test_nothing_is_overwritten(cli: Run, workplace: Path, there: str) -> None:
    """Whatever is there already stays as it is, also an empty folder; exit code 2, and the words say what to do."""
    target = workplace / "pumpkit-diary"
    if there == "file":
        target.write_text("mine")
    elif there == "dangling link":
        target.symlink_to(workplace / "nowhere")
    else:
        target.mkdir()
        if there == "full folder":
            (target / "pyproject.toml").write_text("mine")
    before = tree(workplace)
    result = cli("plugins", "new", "diary")
    assert result.exit_code == 2
    assert "pumpkit-diary exists, and nothing is overwritten; give another --directory" in result.stderr
    assert tree(workplace) == before
    assert not (workplace / "nowhere").exists()


def test_a_place_that_cannot_be_written(cli: Run, workplace: Path) -> None:
    """A file where a folder is to be is said, with the path."""
    (workplace / "file").write_text("mine")
    result = cli("plugins", "new", "diary", "--directory", "file/sink")
    assert result.exit_code == 2
    assert "file/sink cannot be written: Not a directory" in result.stderr


def test_half_a_package_is_removed(cli: Run, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a file cannot be written, nothing stays behind, so the command can be given again."""
    monkeypatch.setattr(package, "FILES", (*package.FILES, "src/$module/py.typed/more/LICENSE"))
    result = cli("plugins", "new", "diary")
    assert result.exit_code == 2
    assert "pumpkit-diary/src/pumpkit_diary/py.typed/more cannot be written: Not a directory" in result.stderr
    assert list(workplace.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["Diary", "2nd", "a--b", "-a", "a-", "a_-b", "a b", "a.b", "a/b", "../a", "", "ärger", "a\n", "a'b"]
)
def test_names_that_are_none(cli: Run, workplace: Path, name: str) -> None:
    """A name that makes no module or no distribution is refused with what a name is made of; exit code 2."""
    result = cli("plugins", "new", "--", name)
    assert result.exit_code == 2
    assert "use a-z, 0-9 and single - or _ between them, a letter first" in result.stderr
    assert list(workplace.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("t-file", "is installed already; choose another name"),
        *((name, "is a plugin of pumpkit itself; choose another name") for name in plugins.KNOWN),
        ("es", "is a plugin of pumpkit itself; choose another name"),
        ("pumpkit-diary", "leave `pumpkit` out of the name"),
        ("a" * (LONGEST + 1), "is too long; use at most 30 characters"),
    ],
)
def test_names_that_are_taken(cli: Run, workplace: Path, name: str, words: str) -> None:
    """A plugin that is installed or that pumpkit has, a doubled prefix, too long a name: each says what to do."""
    result = cli("plugins", "new", name)
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())
    assert list(workplace.iterdir()) == []


def test_a_distribution_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of the same name is in the way too, whatever its plugin is called."""
    monkeypatch.setattr(package, "distribution", lambda name: type("Found", (), {"name": name, "version": "1.0"}))
    with pytest.raises(ValueError, match=r"the package pumpkit-diary 1\.0 is installed already"):
        check_name("diary")


def test_files_are_plain(cli: Run, workplace: Path) -> None:
    """Files are written as any program writes them: nothing executable, and an end of line at the end."""
    cli("plugins", "new", "diary")
    for path in (workplace / "pumpkit-diary").rglob("*"):
        if path.is_file():
            assert not path.stat().st_mode & stat.S_IXUSR
            assert path.read_text().endswith("\n") or path.name == "py.typed"


def test_its_workflow(cli: Run) -> None:
    """The CI file is YAML that GitHub reads: each step of the README, on every Python that pumpkit supports."""
    workflow = YAML(typ="safe").load(render(Names("diary"))[".github/workflows/test.yml"])
    job = workflow["jobs"]["test"]
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert job["steps"][1]["with"]["python-version"] == "${{ matrix.python }}"
    commands = " ".join(step.get("run", "") for step in job["steps"])
    for command in (
        "pip install -e '.[dev]'",
        "ruff format --check",
        "ruff check",
        "mypy",
        "pytest",
        "python -m build",
    ):
        assert command in commands


def test_the_example_is_what_it_writes() -> None:
    """`docs/examples/sqlite` is the package that `pumpkit plugins new sqlite-example` writes, file by file."""
    written = {name: text.encode() for name, text in render(Names("sqlite-example")).items()}
    assert tree(ROOT / "docs" / "examples" / "sqlite") == written
