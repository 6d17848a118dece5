"""The tutorial on sinks, its commands run as they stand: from an empty folder to a wheel, installed elsewhere."""

import os
import re
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import pumpkit
from tests.docs.conftest import blocks

PAGE = "docs/tutorial/own-sink.md"
RECORDS = 1_000
FILES = {"yaml": "pumpkit.yaml", "python": "app.py"}
LIMIT = 280.0  # seconds; only a failure takes that long

#: What the reader does at `pumpkit run`: look until everything is delivered, then Ctrl-C.
CARRY = f"""\
pumpkit run & runner=$!
until pumpkit status --json | grep -q '"delivered": {RECORDS}'; do kill -0 $runner; sleep 0.2; done
kill -INT $runner; wait $runner
"""


def script() -> Iterator[str]:
    """Give the page as lines for bash: commands, each announced on stdout, and files."""
    for block in blocks():
        if block.page != PAGE:
            continue
        if block.language in FILES:
            yield f"cat >> {FILES[block.language]} <<'END'\n{block.text}END\n"
        for command in re.findall(r"^\$ (.*)", block.text, re.MULTILINE) if block.language == "console" else ():
            yield f"cat <<'END'\n$ {command}\nEND\n"
            yield CARRY if command == "pumpkit run" else f"{command}\n"


def outputs(text: str) -> dict[str, str]:
    """Return what each command printed."""
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


class Author:
    """Who has followed the page."""

    def __init__(self, home: Path, wheels: Path) -> None:
        self.start = home / "empty"
        self.start.mkdir()
        self.package = self.start / "pumpkit-sqlite-example"
        (home / "constraint.txt").write_text(f"pumpkit=={pumpkit.__version__}\n")
        here = Path(sys.executable).parent
        elsewhere = [folder for folder in os.get_exec_path() if Path(folder) != here]
        foreign = ("PYTHON", "PUMPKIT", "PYTEST", "VIRTUAL_ENV", "MYPY", "RUFF")
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | {
            "PATH": os.pathsep.join([f"{sys.base_prefix}/bin", *elsewhere]),  # this Python, and no tools of ours
            "PIP_FIND_LINKS": str(wheels),  # has the core of this checkout,
            "PIP_CONSTRAINT": str(home / "constraint.txt"),  # which is of this version
            "XDG_STATE_HOME": str(home / "state"),
            "COLUMNS": "200",
        }
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        page = re.sub(
            r"^(pumps:)$", rf"health-check-address: 127.0.0.1:{port}\n\1", "".join(script()), flags=re.MULTILINE
        )
        self.said = outputs(self.run(f"set -e\n{page}", self.start))

    def run(self, script: str, folder: Path, code: int = 0) -> str:
        """Run a script; return what it prints to stdout."""
        command = ["bash", "-c", script]
        with subprocess.Popen(
            command,
            cwd=folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                out, errors = process.communicate(timeout=LIMIT)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                out, errors = process.communicate()
        assert process.returncode == code, out + errors
        return out


@pytest.fixture(scope="module")
def author(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Author:
    """Who has followed the page, in an empty folder, with nothing of this checkout but the core's wheel."""
    return Author(tmp_path_factory.mktemp("author"), wheels)


def test_the_page_holds(author: Author) -> None:
    """Every command succeeds, and prints what the page shows where it shows something."""
    shown = [
        (command, output)
        for block in blocks()
        if block.page == PAGE and block.language == "console"
        for command, output in outputs(block.text).items()
        if output
    ]
    assert shown
    for command, output in shown:
        assert author.said[command] == output


def test_the_plugin_is_listed(author: Author) -> None:
    """`pumpkit plugins ls` shows it with its hooks and its setting, from its folder and from its wheel."""
    for command in ("pumpkit plugins ls sqlite-example", "../elsewhere/bin/pumpkit plugins ls sqlite-example"):
        assert "sqlite-example  pumpkit-sqlite-example 0.1.0" in author.said[command]
        assert "hooks: init, write_data, close" in author.said[command]
        assert "redelivered records arrive once" in author.said[command]
        assert "    path: path, required" in author.said[command]


def test_it_passes_the_kit(author: Author) -> None:
    """No case fails, none is a declared gap, and only what a file cannot do is skipped."""
    summary = author.said["pytest"].strip().splitlines()[-1]
    assert re.search(r"\d\d passed, \d skipped in", summary), author.said["pytest"]
    assert "failed" not in summary


def test_a_fault_is_found(author: Author) -> None:
    """What the page says: a sink that does not leave alone what is there fails `redelivery_is_idempotent`."""
    sink = author.package / "src" / "pumpkit_sqlite_example" / "sink.py"
    good = sink.read_text()
    assert good.count(" ON CONFLICT (id) DO NOTHING") == 1
    sink.write_text(good.replace(" ON CONFLICT (id) DO NOTHING", ""))
    try:
        said = author.run("../.venv/bin/pytest -k redelivery_is_idempotent", author.package, code=1)
    finally:
        sink.write_text(good)
    assert "UNIQUE constraint failed: records.id" in said


def test_its_wheel_conforms_without_pytest(author: Author) -> None:
    """`pumpkit conformance` finds no gap in what is installed elsewhere, its files and metadata included."""
    (said,) = (text for command, text in author.said.items() if " conformance " in command)
    assert said.splitlines()[-1] == "conforms", said


def test_what_is_in_its_wheel(author: Author) -> None:
    """Its package with `py.typed` and the licence, and nothing beside it."""
    (wheel,) = (author.package / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {"pumpkit_sqlite_example/py.typed", "pumpkit_sqlite_example/sink.py"} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"pumpkit_sqlite_example"}


@pytest.mark.parametrize("name", ["x", "a2345-b789_c1234-d6789-e12345z"])
def test_short_and_long_names(author: Author, name: str) -> None:
    """A package of the shortest and of the longest name type-checks, and has the form that ruff gives, as it is."""
    folder = author.start / name
    tools = "../.venv/bin"
    author.run(f".venv/bin/pumpkit plugins new {name} --directory {name}", author.start)
    author.run(f"{tools}/ruff check && {tools}/ruff format --check && {tools}/mypy", folder)
