"""Every hook has a test, and so has each argument: mutants of the host, which the tests of plugins have to kill.

One mutant per hook never calls it; one per argument passes something else. A hook that is added without a test lets its
mutants survive here.
"""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pumpkit.hookspecs import PluginSpecs, SinkSpecs

ROOT = Path(__file__).parents[2]
TESTS = "tests/core/test_plugins.py"

MUTANTS = [
    (name, argument)
    for specs in (PluginSpecs, SinkSpecs)
    for name, function in vars(specs).items()
    if not name.startswith("_")
    for argument in ("", *list(inspect.signature(function).parameters)[1:])
]

#: Runs pytest in a process in which one hook is called wrongly. pytest's own hooks have other names.
PROGRAM = """
import sys
import pluggy
import pytest

hook, argument, tests = sys.argv[1:]
call = pluggy.HookCaller.__call__


def call_wrongly(caller, **arguments):
    if caller.name == hook and not argument:
        return None if caller.spec.opts["firstresult"] else []
    if caller.name == hook:
        arguments[argument] = object()
    return call(caller, **arguments)


pluggy.HookCaller.__call__ = call_wrongly
sys.exit(pytest.main([tests, "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]))
"""


def run_tests(hook: str, argument: str) -> "subprocess.CompletedProcess[str]":
    """Run the tests of plugins on a mutant of the host."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-c", PROGRAM, hook, argument, TESTS]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


def test_nothing_fails_without_a_mutant() -> None:
    """The same run passes when no hook is called wrongly, so what fails below fails because of the mutant."""
    done = run_tests("none", "")
    assert done.returncode == pytest.ExitCode.OK, done.stdout


@pytest.mark.parametrize(("hook", "argument"), MUTANTS, ids=["-".join(filter(None, names)) for names in MUTANTS])
def test_a_hook_that_is_called_wrongly_is_noticed(hook: str, argument: str) -> None:
    """A host that does not call a hook, or passes another argument than the reference says, fails a test."""
    done = run_tests(hook, argument)
    what = f"another `{argument}` passed to `{hook}`" if argument else f"`{hook}` never called"
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, f"{what}: no test in {TESTS} fails\n{done.stdout[-2000:]}"
