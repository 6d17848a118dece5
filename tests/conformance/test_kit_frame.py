"""The frame of the kit: what is declared, what is missing, and how an author writes it down."""

import ast
import importlib.util
import os
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import pytest

import pumpkit.testing
from pumpkit.testing import Destination, SinkConformance
from pumpkit.testing.bench import Bench
from pumpkit.testing.case import CASES, Case, Result, check, run
from tests.conformance.conftest import HERE, install
from tests.conformance.destinations import ShelfDestination
from tests.conftest import missing

ROOT = HERE.parent.parent
REFERENCE = HERE / "reference_sink.py"


class Bare(Destination):
    """A destination with no ability, and no word about it."""


class Honest(Bare):
    """A destination that says what it has not."""

    cannot: ClassVar[Mapping[str, str]] = {"stop": "a folder is always there"}


def judge(
    folder: Path,
    *,
    holds: bool = True,
    needs: tuple[str, ...] = (),
    gaps: dict[str, str] | None = None,
    make: Callable[[Path], Destination] = Bare,
) -> Result:
    """Return what comes of a case that holds, or not."""
    case = Case("sample", "contract", "", needs, False, lambda bench: check(holds, "it does not hold"))
    return run(case, Bench("nothing", make, folder), gaps)


def test_a_case_that_holds_passes(tmp_path: Path) -> None:
    """No failure, no gap: passed."""
    assert judge(tmp_path) == Result("sample", "passed")


def test_a_case_that_does_not_hold_fails_by_its_words(tmp_path: Path) -> None:
    """The author reads the words of the check."""
    assert judge(tmp_path, holds=False) == Result("sample", "failed", "it does not hold")


def test_a_declared_gap_is_told_with_its_reason(tmp_path: Path) -> None:
    """A failure that is declared is a gap, with the author's reason."""
    assert judge(tmp_path, holds=False, gaps={"sample": "not yet"}) == Result("sample", "gap", "not yet")


def test_a_declared_gap_that_passes_fails(tmp_path: Path) -> None:
    """A declaration that is out of date is a failure, which says what to do."""
    result = judge(tmp_path, gaps={"sample": "not yet"})
    assert result.outcome == "failed"
    assert "take it out of `gaps`" in result.reason


def test_the_gap_of_another_case_excuses_nothing(tmp_path: Path) -> None:
    """A gap is one case's."""
    assert judge(tmp_path, holds=False, gaps={"other": "not yet"}).outcome == "failed"


def test_an_ability_that_is_missing_without_a_word_fails(tmp_path: Path) -> None:
    """The words name the method, and both ways out."""
    result = judge(tmp_path, needs=("stop",))
    assert result.outcome == "failed"
    for word in ("`stop`", "write this method", "`cannot`"):
        assert word in result.reason


def test_an_ability_that_is_missing_and_declared_is_not_applicable(tmp_path: Path) -> None:
    """The author's reason stands in the report."""
    result = judge(tmp_path, needs=("stop",), make=Honest)
    assert result == Result("sample", "not-applicable", "no `stop`: a folder is always there")


def test_one_declared_ability_does_not_excuse_another(tmp_path: Path) -> None:
    """Each ability has its own reason."""
    result = judge(tmp_path, needs=("stop", "start"), make=type("Half", (Honest,), {"stop": lambda self: None}))
    assert result.outcome == "failed"
    assert "`start`" in result.reason


def test_a_destination_that_cannot_be_made_fails_its_case(tmp_path: Path) -> None:
    """An error of the author's class is told by its type and words, and ends nothing else."""

    def make(folder: Path) -> Destination:
        raise OSError("no room")

    assert judge(tmp_path, needs=("stop",), make=make) == Result("sample", "failed", "OSError: no room")


def test_sinks_are_closed_before_their_destination(installed: Callable[[Path], str], tmp_path: Path) -> None:
    """After a case nothing is open: first the sinks are closed, then the destinations; one that hangs is woken."""
    plugin = installed(REFERENCE)
    bench = Bench(plugin, ShelfDestination, tmp_path)
    sink, destination = bench.sink(), bench.destination
    assert isinstance(destination, ShelfDestination)
    destination.hang()
    bench.close()
    assert "after close" in str(bench.write(sink, *bench.batch(1)))
    assert destination.shelf.requests == 1  # that of `init`
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((urlsplit(destination.shelf.url).hostname, urlsplit(destination.shelf.url).port))


class TestByFixture(SinkConformance):
    """The kit with a fixture `destination` instead of a class."""

    plugin = "reference-sink"

    @pytest.fixture(autouse=True)
    def _plugin(self, installed: Callable[[Path], str]) -> None:
        installed(REFERENCE)

    @pytest.fixture
    def destination(self, request: pytest.FixtureRequest) -> Iterator[Callable[[Path], Destination]]:
        """What makes a destination, where a server that is a fixture runs around it."""
        made: list[Destination] = []

        def make(folder: Path) -> Destination:
            made.append(ShelfDestination(folder))
            return made[-1]

        yield make
        assert made or CASES[request.function.__name__.removeprefix("test_")].alone


def test_a_child_speaks_and_is_killed(tmp_path: Path) -> None:
    """A program of `Bench.child` imports what this process imports; it is gone, with its children, after the block."""
    program = """
        import os, sys, time
        import pumpkit.testing.bench
        child = os.fork()
        if child:
            print(child, flush=True)
            print(sys.stdin.readline().strip(), sys.argv[1], flush=True)
        time.sleep(600)
    """
    bench = Bench("nothing", Bare, tmp_path)
    with bench.child(textwrap.dedent(program), "there") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        grandchild = int(process.stdout.readline())
        print("hello", file=process.stdin, flush=True)
        assert process.stdout.readline() == "hello there\n"
    assert process.returncode != 0
    assert _ends(grandchild)


def _ends(process: int) -> bool:
    """Return whether a process that was killed is gone within a while, or waits only for init to collect it."""
    state = Path(f"/proc/{process}/stat")
    for _ in range(500):
        try:
            if state.read_text().rpartition(")")[2].split()[0] in "ZX":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)
    return False


#: Runs the cases of `sys.argv[2:]` on the plugin `sys.argv[1]`, each in a folder of its own here.
CASES_WITHOUT_PYTEST = """
import sys
from pathlib import Path
sys.modules["pytest"] = sys.modules["_pytest"] = None
from pumpkit.testing import Arrived, Destination, Shelf
from pumpkit.testing.bench import Bench
from pumpkit.testing.case import run
from pumpkit.testing.cases import CASES
from tests.conformance.destinations import ShelfDestination
for name in sys.argv[2:]:
    Path(name).mkdir()
    print(name, run(CASES[name], Bench(sys.argv[1], ShelfDestination, Path(name))).outcome)
"""


@pytest.fixture
def outcomes(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Run cases in a Python that has no pytest, with these options of the interpreter; return what came of each."""

    def do(module: Path, *cases: str, options: tuple[str, ...] = ()) -> dict[str, str]:
        site = tmp_path / "site"
        site.mkdir()
        install(site, "sample", module)
        command = [sys.executable, *options, "-c", CASES_WITHOUT_PYTEST, "sample", *cases]
        environment = os.environ | {"PYTHONPATH": f"{site}{os.pathsep}{ROOT}"}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        return dict(line.split(maxsplit=1) for line in done.stdout.splitlines())

    return do


def test_the_cases_need_no_pytest(outcomes: Callable[..., dict[str, str]]) -> None:
    """Only `SinkConformance` needs pytest: the command line runs the same cases without it."""
    came = outcomes(REFERENCE, "write_one", "write_after_close_raises")
    assert came == {"write_one": "passed", "write_after_close_raises": "passed"}


def test_faults_are_found_under_python_o(outcomes: Callable[..., dict[str, str]]) -> None:
    """No case relies on `assert`, which `python -O` takes out."""
    came = outcomes(HERE / "mutants" / "redelivery_is_idempotent.py", "redelivery_is_idempotent", options=("-O",))
    assert came == {"redelivery_is_idempotent": "failed"}


def test_no_case_uses_assert() -> None:
    """Neither does the rest of the kit: `check` stays under `python -O`."""
    files = sorted((ROOT / "pumpkit" / "testing").rglob("*.py"))
    assert files
    found = [
        f"{file}:{node.lineno}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Assert)
    ]
    assert found == []


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    """Names are imported when they are used; one that is not there is said."""
    with pytest.raises(AttributeError, match="SinkConformanse"):
        pumpkit.testing.SinkConformanse  # noqa: B018  # the access is the test


#: What an author writes, and a mistake in its last line.
AUTHOR = """\
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pumpkit import Record
from pumpkit.testing import Arrived, Destination, Shelf, SinkConformance


class MyDestination(Destination):
    cannot = {"busy": "it is never busy"}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.shelf = Shelf()

    def meta(self) -> dict[str, Any]:
        return {"url": self.shelf.url}

    def read(self) -> Sequence[Arrived]:
        return [Arrived(id_, record) for id_, record in self.shelf.kept]

    def poison(self) -> Record:
        return {"number": -1}


class TestMySink(SinkConformance):
    plugin = "mysink"
    destination = MyDestination
    gaps = {"write_one": "it writes two"}
    settings = {"timeout": 3}


class TestByFixture(SinkConformance):
    plugin = "mysink"

    @pytest.fixture
    def destination(self) -> Callable[[Path], Destination]:
        return MyDestination


Arrived(1, {})
"""


def test_the_kit_is_typed_for_its_users(tmp_path: Path) -> None:
    """`mypy --strict` takes a test as the documentation shows it, and finds a mistake in it."""
    if importlib.util.find_spec("mypy") is None:
        missing("mypy", "pip install -e '.[dev]'")
    file = tmp_path / "test_mine.py"
    file.write_text(AUTHOR)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", tmp_path / "cache", file]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    lines = done.stdout.splitlines()
    last = AUTHOR.count("\n")
    assert len(lines) == 1, done.stdout + done.stderr
    assert f"test_mine.py:{last}: error: Argument 1 to" in lines[0]


#: A test of the mutant that doubles.
SUITE = """\
from pumpkit.testing import Destination, SinkConformance
from tests.conformance.destinations import ShelfDestination


class Steady(ShelfDestination):
    cannot = {"stop": "it never stops"}
    stop = Destination.stop


class TestGap(SinkConformance):
    plugin, destination = "sample", Steady
    gaps = {"redelivery_is_idempotent": "doubles what comes again", "write_one": "out of date"}
"""


def test_the_outcomes_in_pytest(tmp_path: Path) -> None:
    """A gap is an expected failure, a gap that passes fails, what is not applicable is skipped: each says why."""
    (tmp_path / "site").mkdir()
    install(tmp_path / "site", "sample", HERE / "mutants" / "redelivery_is_idempotent.py")
    file = tmp_path / "test_sample.py"
    file.write_text(SUITE)
    cases = "redelivery_is_idempotent or write_one or transient_is_retryable"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", "-k", cases, file]
    environment = os.environ | {"PYTHONPATH": f"{tmp_path / 'site'}{os.pathsep}{ROOT}", "COLUMNS": "200"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    said = ["1 failed", "1 skipped", "1 xfailed"]
    said += ["doubles what comes again", "write_one: is declared as a gap and passes", "no `stop`: it never stops"]
    for words in said:
        assert words in done.stdout, done.stdout + done.stderr
