"""The chapter on testing a sink names every case of the conformance kit and every ability of a destination."""

import sys
from pathlib import Path

import pytest

from pumpkit.testing.cases import CASES
from pumpkit.testing.destination import ABILITIES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/how-to/test-a-sink.md").read_text()


def test_every_case_is_in_the_chapter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chapter has the table, and the table has every case with what it asks."""
    monkeypatch.syspath_prepend(str(ROOT / "docs/_ext"))
    monkeypatch.delitem(sys.modules, "kit_table", raising=False)
    from kit_table import conformance_cases

    assert ":::{conformance-cases}" in PAGE
    table = "\n".join(conformance_cases())
    assert [name for name, case in CASES.items() if f"`{name}` | {case.about}" not in table] == []


def test_every_ability_is_in_the_chapter() -> None:
    """An author finds each method that a destination can have."""
    assert [ability for ability in ABILITIES if f"`{ability}`" not in PAGE] == []
