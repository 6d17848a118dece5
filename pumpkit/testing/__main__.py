"""`python -m pumpkit.testing JOB`: run cases of one sink, and tell of each by a line of JSON on stdout.

JOB is JSON: `plugin`, `destination` (`FILE.py:CLASS`, `MODULE:CLASS` or ""), `cases`. The lines are `{"began": CASE}`,
then `{"result": [CASE, OUTCOME, REASON]}`; or one `{"problem": WORDS}` where the destination cannot be had. What
plugins print goes to stderr.
"""

import importlib
import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import attrs

from pumpkit.testing.bench import Bench
from pumpkit.testing.case import Failed, run
from pumpkit.testing.cases import CASES
from pumpkit.testing.destination import Destination


class Problem(Exception):
    """The destination that was named cannot be had."""


class NoDestination(Destination):
    """What cases get that are run without a destination."""

    def __init__(self, folder: Path) -> None:
        raise Failed("the case uses a destination: give --destination")


def find_destination(name: str) -> type[Destination]:
    """Return the class that `FILE.py:CLASS` or `MODULE:CLASS` names. Raises Problem."""
    if not name:
        return NoDestination
    place, colon, class_name = name.rpartition(":")
    if not (colon and place and class_name):
        raise Problem(f"{name!r} names no class; write FILE.py:CLASS or MODULE:CLASS")
    try:
        module = _load(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except Exception as error:
        raise Problem(f"{place} cannot be imported: {type(error).__name__}: {error}") from error
    found = getattr(module, class_name, None)
    if not (isinstance(found, type) and issubclass(found, Destination)):
        raise Problem(f"{place} has no subclass of pumpkit.testing.Destination named {class_name}")
    return found


def _load(path: Path) -> Any:
    path = path.resolve()
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    sys.path.append(str(path.parent))  # its neighbours are its to import
    return importlib.import_module(path.stem)


def main(job: dict[str, Any]) -> None:
    """Run the cases of a job."""
    stdout = os.dup(1)
    os.dup2(2, 1)
    with open(stdout, "w", buffering=1) as out:
        try:
            destination = find_destination(job["destination"])
        except Problem as problem:
            print(json.dumps({"problem": str(problem)}), file=out)
            return
        for name in job["cases"]:
            print(json.dumps({"began": name}), file=out)
            with tempfile.TemporaryDirectory(prefix="pumpkit-conformance-", ignore_cleanup_errors=True) as folder:
                result = run(CASES[name], Bench(job["plugin"], destination, Path(folder)), destination.gaps)
            print(json.dumps({"result": attrs.astuple(result)}), file=out)
        os._exit(0)  # threads that a sink left behind hold up nobody


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
