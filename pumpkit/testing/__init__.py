"""For authors of sinks: a kit that proves a sink, in one class.

    from pumpkit.testing import Arrived, Destination, SinkConformance

    class MyDestination(Destination):
        def meta(self): return {"url": ...}
        def read(self): return [Arrived(row["_id"], row) for row in ...]

    class TestMySink(SinkConformance):
        plugin = "mysink"
        destination = MyDestination

The same cases without pytest: `pumpkit conformance mysink --destination tests/destination.py:MyDestination`. Names are
imported when they are first used; only `SinkConformance` needs pytest.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pumpkit.testing.destination import Arrived, Destination
    from pumpkit.testing.shelf import Shelf
    from pumpkit.testing.suite import SinkConformance

__all__ = ["Arrived", "Destination", "Shelf", "SinkConformance"]

_HOME = {
    "Arrived": "pumpkit.testing.destination",
    "Destination": "pumpkit.testing.destination",
    "Shelf": "pumpkit.testing.shelf",
    "SinkConformance": "pumpkit.testing.suite",
}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'pumpkit.testing' has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)
