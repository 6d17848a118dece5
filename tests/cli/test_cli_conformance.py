"""`pumpkit conformance`: the report on the reference sink, on mutants, and on sinks that hang or end their process."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.conformance.conftest import HERE, install

Run = Callable[..., Result]

DESTINATION = "tests.conformance.destinations:ShelfDestination"

FAULTY = '''
"""A sink with a fault."""

import os
import time

import attrs

from pumpkit import Meta, Records, hookimpl
from tests.conformance.reference_sink import ReferenceSink


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Fails when a batch is empty."""

    @hookimpl
    def write_data(self, records: Records, ids: list[str], timeout: float | None) -> None:
        """Write, unless there is nothing to write."""
        if not records:
            {fault}
        super().write_data(records, ids, timeout)


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the sink."""
    return meta.into(Sink)
'''


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for plugins, which this process and its children import."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.syspath_prepend(str(HERE.parent.parent))
    return folder


@pytest.fixture
def reference(site: Path) -> str:
    """The plugin that passes."""
    install(site, "reference", HERE / "reference_sink.py")
    return "reference"


def faulty(site: Path, tmp_path: Path, fault: str) -> str:
    """Install a sink with a fault in an empty write; return the plugin's name."""
    module = tmp_path / "faulty.py"
    module.write_text(FAULTY.replace("{fault}", fault))
    install(site, "faulty", module)
    return "faulty"


def test_a_sink_that_passes(cli: Run, reference: str) -> None:
    """The report is by group, its last line the grade; exit code 0."""
    result = cli("conformance", reference, "--destination", DESTINATION, "--case", "write_one")
    lines = result.stdout.splitlines()
    assert (result.exit_code, lines[-1]) == (0, "conforms")
    assert "delivery" in lines
    assert "  pass  write_one" in lines


def test_without_a_destination(cli: Run, reference: str) -> None:
    """Cases that use one are not run, and the report is incomplete."""
    result = cli("conformance", reference, "--case", "write_one", "--case", "empty_batch", "--json")
    report = json.loads(result.stdout)
    assert (result.exit_code, report["grade"]) == (1, "incomplete: 2 cases were not run")
    assert {(case["outcome"], case["reason"]) for case in report["cases"]} == {("not-run", "give --destination")}


@pytest.mark.parametrize(
    ("fault", "limit", "words"),
    [
        ("time.sleep(600)", "5", "did not end within 5 s"),
        ("os.kill(os.getpid(), 9)", "60", "the process ended (SIGKILL)"),
        ("os._exit(3)", "60", "the process ended (exit code 3)"),
    ],
)
def test_a_sink_that_hangs_or_dies(cli: Run, site: Path, tmp_path: Path, fault: str, limit: str, words: str) -> None:
    """The case fails with what happened, and the cases after it are run."""
    plugin = faulty(site, tmp_path, fault)
    cases = [part for name in ("write_one", "empty_batch", "readback_equals_sent") for part in ("--case", name)]
    result = cli("conformance", plugin, "--destination", DESTINATION, "--limit", limit, "--json", *cases)
    report = json.loads(result.stdout)
    outcomes = {case["name"]: case["outcome"] for case in report["cases"]}
    assert outcomes == {"write_one": "passed", "empty_batch": "failed", "readback_equals_sent": "passed"}
    [reason] = [case["reason"] for case in report["cases"] if case["outcome"] == "failed"]
    assert reason.startswith(words)
    assert (result.exit_code, report["grade"]) == (1, "does not conform: 1 of 3 cases fail")


def test_a_declared_gap(cli: Run, site: Path, tmp_path: Path) -> None:
    """A gap that the destination declares is told with its reason, and the exit code is 0."""
    plugin = faulty(site, tmp_path, "raise ValueError('nothing to write')")
    place = tmp_path / "my_place.py"
    place.write_text(
        "from tests.conformance.destinations import ShelfDestination\n\n\n"
        "class Mine(ShelfDestination):\n    gaps = {'empty_batch': 'not yet'}\n"
    )
    result = cli("conformance", plugin, "--destination", f"{place}:Mine", "--case", "empty_batch")
    assert "  declared gap  empty_batch: not yet" in result.stdout
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "conforms, with 1 declared gap")


@pytest.mark.parametrize(
    ("destination", "words"),
    [
        ("nowhere.py:Mine", "there is no file"),
        ("tests.conformance.destinations:Nothing", "has no subclass of pumpkit.testing.Destination named Nothing"),
        ("tests.conformance.destinations", "names no class"),
    ],
)
def test_a_destination_that_cannot_be_had(cli: Run, reference: str, destination: str, words: str) -> None:
    """The error says what is wrong with it."""
    result = cli("conformance", reference, "--destination", destination, "--case", "write_one")
    assert result.exit_code == 78
    assert words in result.stderr


def test_unknown_names(cli: Run, reference: str) -> None:
    """An unknown case comes with the nearest one; a plugin that is not installed with the standing error."""
    result = cli("conformance", reference, "--case", "write_onee")
    assert result.exit_code == 2
    assert "did you mean 'write_one'?" in result.stderr
    assert cli("conformance", "nosuch").exit_code == 78
