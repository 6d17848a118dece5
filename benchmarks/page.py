"""The page about performance: what stands between its markers is made from the saved results.

    <!-- measured: NAME -->  ...  <!-- /measured -->

NAME is a benchmark, or `machine`.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from benchmarks import parts
from benchmarks.catalogue import BENCHMARKS
from benchmarks.picture import percentiles
from benchmarks.reporter import calls
from benchmarks.results import Result

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "explanation" / "performance.md"
PICTURE = DOCS / "_static" / "cost-of-a-call.svg"

_MARKED = re.compile(r"(<!-- measured: (\w+) -->\n).*?(<!-- /measured -->)", re.DOTALL)


def write(results: Mapping[str, Result]) -> None:
    """Write results into the page, and draw its picture."""
    PAGE.write_text(filled(PAGE.read_text(), results))
    PICTURE.write_text(picture(results["reporter"]))


def filled(page: str, results: Mapping[str, Result]) -> str:
    """Return the page with these results. Raises KeyError for a marker that names something else."""

    def section(found: re.Match[str]) -> str:
        begin, name, end = found.groups()
        text = machines(results) if name == "machine" else table(results[name])
        return f"{begin}\n{text}\n\n{end}"

    return _MARKED.sub(section, page)


def table(result: Result) -> str:
    """Return what a benchmark says of its numbers."""
    return f"{BENCHMARKS[result.name].report(result.samples)}\n\n{result.circumstances()}"


def machines(results: Mapping[str, Result]) -> str:
    """Return on what the results were measured: mostly all on the same."""
    measured: dict[str, list[str]] = {}
    for result in results.values():
        measured.setdefault(result.on(), []).append(result.name)
    if len(measured) == 1:
        return next(iter(measured))
    return "\n\n".join(f"For {', '.join(names)}:\n\n{on}" for on, names in measured.items())


def picture(result: Result) -> str:
    """Return the picture of what a call costs, of medians over the rounds."""
    return percentiles(calls.TITLE, calls.figures(parts.of("calls", result.samples)))
