"""Every case is proven by a mutant: a broken sink that fails the case, and no other but for a list in its file.

A mutant is a file in `mutants/`, named after its case, with the module of a plugin: the reference sink with one fault,
which the docstring tells. `ALSO_FAILS` names the other cases that notice the fault too.
"""

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest

from pumpkit.testing.bench import Bench
from pumpkit.testing.case import run
from pumpkit.testing.cases import CASES
from tests.conformance.conftest import MUTANTS
from tests.conformance.destinations import ShelfDestination

BY_CASE = {path.stem: path for path in MUTANTS}


def outcome(case: str, plugin: str, folder: Path) -> tuple[str, str]:
    """Run one case on a plugin; return what came of it."""
    folder.mkdir()
    result = run(CASES[case], Bench(plugin, ShelfDestination, folder))
    return result.outcome, result.reason


def test_every_case_has_a_mutant() -> None:
    """No case without a mutant, no mutant without a case."""
    assert set(BY_CASE) == set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_a_mutant_fails_its_case(case: str, installed: Callable[[Path], str], tmp_path: Path) -> None:
    """The fault is found, and said in words."""
    plugin = installed(BY_CASE[case])
    came, reason = outcome(case, plugin, tmp_path / "bench")
    assert came == "failed", f"the mutant survives: {came} {reason}"
    assert reason


@pytest.mark.slow
@pytest.mark.parametrize("mutant", CASES)
def test_a_mutant_fails_no_other_case(mutant: str, installed: Callable[[Path], str], tmp_path: Path) -> None:
    """A fault is told by its own case, and by those that the mutant's file names."""
    plugin = installed(BY_CASE[mutant])
    module = importlib.import_module(f"conformance_{mutant}")
    failed = {case for case in CASES if outcome(case, plugin, tmp_path / case)[0] == "failed"}
    assert failed == {mutant, *getattr(module, "ALSO_FAILS", ())}
