"""The report on a sink: what came of each case, by group, and a grade."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import attrs

import pumpkit
from pumpkit.testing.case import GROUPS, Result
from pumpkit.testing.cases import CASES

_WORDS = {
    "passed": "pass",
    "failed": "FAIL",
    "gap": "declared gap",
    "not-applicable": "not applicable",
    "not-run": "not run",
}


@attrs.frozen
class Report:
    """What came of the cases of one plugin, of which distribution in which version."""

    plugin: str
    distribution: str
    version: str
    results: Sequence[Result]

    @property
    def counts(self) -> dict[str, int]:
        """How many cases came to each outcome."""
        counted = Counter(result.outcome for result in self.results)
        return {outcome: counted[outcome] for outcome in ("passed", "failed", "gap", "not-applicable", "not-run")}

    @property
    def conforms(self) -> bool:
        """Whether every case was run and none fails that is not a declared gap."""
        return not (self.counts["failed"] or self.counts["not-run"])

    @property
    def grade(self) -> str:
        """The report in one line."""
        counts = self.counts
        if counts["failed"]:
            ran = len(self.results) - counts["not-run"]
            return f"does not conform: {counts['failed']} of {_cases(ran)} fail"
        if counts["not-run"]:
            return f"incomplete: {_cases(counts['not-run'])} {'was' if counts['not-run'] == 1 else 'were'} not run"
        if counts["gap"]:
            return f"conforms, with {counts['gap']} declared gap" + ("s" if counts["gap"] > 1 else "")
        return "conforms"

    def as_json(self) -> dict[str, Any]:
        """Return it as one object for scripts."""
        return {
            "plugin": self.plugin,
            "distribution": self.distribution,
            "version": self.version,
            "pumpkit": pumpkit.__version__,
            "counts": self.counts,
            "conforms": self.conforms,
            "grade": self.grade,
            "cases": [
                {"name": r.case, "group": CASES[r.case].group, "about": CASES[r.case].about}
                | {"outcome": r.outcome, "reason": r.reason}
                for r in self.results
            ],
        }

    def lines(self) -> list[str]:
        """Return it as text, its last line the grade."""
        lines = [f"{self.plugin}  {self.distribution} {self.version}, pumpkit {pumpkit.__version__}"]
        for group in GROUPS:
            of_group = [result for result in self.results if CASES[result.case].group == group]
            if of_group:
                lines += ["", group]
            for result in of_group:
                reason = f": {result.reason}" if result.reason else ""
                lines.append(f"  {_WORDS[result.outcome]}  {result.case}{reason}")
        return [*lines, "", self.grade]


def _cases(count: int) -> str:
    return "1 case" if count == 1 else f"{count} cases"
