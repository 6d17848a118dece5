"""The reference sink passes every case, without a gap."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pumpkit.testing import SinkConformance
from tests.conformance.conftest import HERE
from tests.conformance.destinations import ShelfDestination


class TestReference(SinkConformance):
    """The mutants differ from this sink by one fault each."""

    plugin = "reference-sink"
    destination = ShelfDestination

    @pytest.fixture(autouse=True)
    def _plugin(self, installed: Callable[[Path], str]) -> None:
        installed(HERE / "reference_sink.py")
