"""What short-lived workers say of plugins, good and bad, without one being imported here."""

import sys
from pathlib import Path

import pytest

from pumpkit import checking
from pumpkit.checking import check, describe_plugins
from pumpkit.config.load import load
from pumpkit.plugins import installed

SINKS = Path(__file__).parent.parent / "sinks_for_tests"


@pytest.fixture
def problems(tmp_path, monkeypatch):
    """Return what is wrong with a configuration, as printed."""
    monkeypatch.setenv("PYTHONPATH", str(SINKS))

    def ask(text):
        file = tmp_path / "pumpkit.yaml"
        file.write_text(text)
        return [str(problem).replace(f"{tmp_path}/", "") for problem in check(load(file))]

    return ask


def test_good_plugins_have_no_problems(problems, monkeypatch):
    """Nothing is connected, nothing is written, nothing is said."""
    monkeypatch.delitem(sys.modules, "pumpkit_csv", raising=False)
    assert problems("pumps:\n  a: {type: t-file, meta: {path: x}}\n  b: {type: csv, meta: {csv-dir: y}}\n") == []
    assert "pumpkit_csv" not in sys.modules


def test_every_problem_of_every_pump_is_told_with_its_line(problems):
    """Missing plugins, broken plugins and wrong settings, all at once, disabled pumps left out."""
    found = problems(
        "pumps:\n"
        "  a:\n"
        "    type: t-fiel\n"
        "  b:\n"
        "    type: t-file\n"
        "    meta:\n"
        "      path: x\n"
        "      feild: n\n"
        "  c: {type: t-import-error}\n"
        "  d: {type: mongo}\n"
        "  e: {type: t-nonsense, enabled: false}\n"
        "  f: {type: t-import-exit}\n"
    )
    assert len(found) == 5
    assert found[0] == "pumpkit.yaml:3: pumps.a.type: no plugin 't-fiel' is installed; did you mean 't-file'?"
    assert found[1] == "pumpkit.yaml:8: pumps.b.meta.feild: unknown key; did you mean field?"
    assert found[2].startswith("pumpkit.yaml:9: pumps.c.type: plugin t-import-error (")
    assert "cannot be imported" in found[2]
    assert found[3].startswith(
        "pumpkit.yaml:10: pumps.d.meta.url: is missing"
        if "mongo" in installed()
        else "pumpkit.yaml:10: pumps.d.type: no plugin 'mongo' is installed: pip install pumpkit-mongo"
    )
    assert "SystemExit" in found[4]


def test_an_ordered_sink_has_one_worker(problems):
    """Several of them are a problem of that key."""
    found = problems("buffer: redis://x\npumps:\n  a:\n    workers: 2\n    type: t-ordered\n    meta: {path: x}\n")
    assert found == [
        "pumpkit.yaml:4: pumps.a.workers: the sink t-ordered keeps records in order, so one worker delivers to it;"
        " set workers: 1"
    ]


def test_an_import_that_hangs_is_told(problems, monkeypatch):
    """The worker is ended, and the others' answers are there all the same."""
    monkeypatch.setattr(checking, "INIT_LIMIT", 3.0)
    found = problems("pumps:\n  a: {type: t-import-hang, meta: {path: x}}\n  b: {type: t-unmarked, meta: {path: x}}\n")
    assert found[0] == "pumpkit.yaml:2: pumps.a.type: plugin 't-import-hang': gave no answer in 3 s: importing it hangs"
    assert "add @hookimpl" in found[1]
    assert len(found) == 2


def test_plugins_are_described_by_workers(monkeypatch):
    """Distribution, version, hooks and settings; or what is wrong with it."""
    monkeypatch.setenv("PYTHONPATH", str(SINKS))
    monkeypatch.delitem(sys.modules, "pumpkit_csv", raising=False)
    good, broken, missing = describe_plugins(["csv", "t-import-error", "nothing"])
    assert (good.distribution, good.ordered, good.duplicates, good.error) == ("pumpkit-csv", True, "never", "")
    assert good.hooks == ["init", "write_data", "close"]
    assert {"csv-dir": True, "prefix": False}.items() <= {s["key"]: s["required"] for s in good.settings}.items()
    assert "cannot be imported" in broken.error
    assert missing.error.startswith("no plugin 'nothing' is installed")
    assert "pumpkit_csv" not in sys.modules
