"""The table of conformance cases; apart from the directives, so that a test can read it without Sphinx."""

from collections.abc import Iterator

from pumpkit.testing.case import GROUPS
from pumpkit.testing.cases import CASES


def conformance_cases() -> Iterator[str]:
    """Yield the lines of a table of the cases, as MyST."""
    yield from ("| case | what a sink has to do | needs |", "|---|---|---|")
    for case in sorted(CASES.values(), key=lambda case: GROUPS.index(case.group)):
        needs = "no destination" if case.alone else ", ".join(f"`{ability}`" for ability in case.needs)
        yield f"| {case.group}: `{case.name}` | {case.about.replace('|', '&#124;')} | {needs} |"
