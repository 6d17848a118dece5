"""The kit as a pytest class: one test per case."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pumpkit.testing.bench import Bench
from pumpkit.testing.case import Case, run
from pumpkit.testing.cases import CASES
from pumpkit.testing.destination import Destination


class SinkConformance:
    """Every conformance case as a test of one sink.

    A subclass names the plugin and its destination: a subclass of `Destination`, or a pytest fixture `destination` that
    returns what makes one of a folder, where it needs a server that is a fixture too.
    """

    #: The name of the plugin under test, as under `type` in pumpkit.yaml.
    plugin: ClassVar[str]

    #: What makes the destination.
    destination: Any

    #: Cases that the sink is known to fail, each with the reason: a declared gap.
    gaps: ClassVar[Mapping[str, str]] = {}

    #: Further settings of the pump, beside name, type and meta.
    settings: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture
    def bench(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
        """What a case works with."""
        made = getattr(type(self), "destination", None)
        make: Callable[[Path], Destination] = made if isinstance(made, type) else request.getfixturevalue("destination")
        bench = Bench(self.plugin, make, tmp_path, **self.settings)
        yield bench
        bench.close()


def _gaps_of_destination(suite: SinkConformance) -> Mapping[str, str]:
    """Return the gaps that a destination declares, where it is a class."""
    made = getattr(type(suite), "destination", None)
    return made.gaps if isinstance(made, type) and issubclass(made, Destination) else {}


def _test(case: Case) -> Callable[[Any, Bench], None]:
    def test(self: SinkConformance, bench: Bench) -> None:
        result = run(case, bench, {**_gaps_of_destination(self), **self.gaps})
        if result.outcome == "failed":
            pytest.fail(f"{case.name}: {result.reason}", pytrace=False)
        if result.outcome == "gap":
            pytest.xfail(result.reason)
        if result.outcome != "passed":
            pytest.skip(result.reason)

    test.__name__ = f"test_{case.name}"
    test.__doc__ = case.about
    return test


for _case in CASES.values():
    setattr(SinkConformance, f"test_{_case.name}", _test(_case))
