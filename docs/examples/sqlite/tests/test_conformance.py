"""The conformance kit, on this sink: each case is a test."""

from pumpkit.testing import SinkConformance

from destination import SqliteExampleDestination


class TestSqliteExampleSink(SinkConformance):
    """What the sink is known not to do would stand here, as `gaps = {"CASE": "the reason"}`."""

    plugin = "sqlite-example"
    destination = SqliteExampleDestination
