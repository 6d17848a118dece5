"""The cases by group. Importing this package registers all of them, in the order of a report."""

from pumpkit.testing.case import CASES
from pumpkit.testing.cases import contract, delivery, environment, packaging, time, verdicts

__all__ = ["CASES", "contract", "delivery", "environment", "packaging", "time", "verdicts"]
