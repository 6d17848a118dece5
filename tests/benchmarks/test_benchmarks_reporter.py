"""The benchmark of the reporter: a part of it runs with very little work. No speed is asserted."""

from contextlib import nullcontext

import pytest

from benchmarks.authz import records
from benchmarks.redis.server import running
from benchmarks.reporter import calls, services, ways
from benchmarks.rounds import Size
from tests.conftest import missing
from tests.servers.redis import KINDS, find

TINY = Size(1, 0.01)


def test_calls_are_measured_by_way_threads_and_percentile():
    """Percentiles do not fall, and what is not measured is left out by name."""
    samples = calls.measure(TINY, (ways.RECORD,))
    assert list(samples) == [ways.RECORD]
    for marks in calls.figures(samples).values():
        assert list(marks) == ["p50", "p99", "p99.9", "max"]
        assert list(marks.values()) == sorted(marks.values())
    report = calls.report(samples)
    assert [len(table.rows) for table in report.tables] == [2, 1]
    assert "Left out, because they are not installed: bare deque.append; record(), copy=True; " in report.notes
    assert ways.LOGGING in report.notes


@pytest.mark.parametrize("name", ways.WAYS)
def test_every_way_delivers_what_it_is_handed(tmp_path, name):
    """What stands behind it has taken every record once it is closed."""
    if not ways.WAYS[name].installed:
        pytest.skip(f"{ways.WAYS[name].needs} is not installed; `make bench` does it")
    if name == ways.RPUSH and not any(map(find, KINDS)):
        missing("a Redis server", f"it comes from {', '.join(KINDS.values())}")
    with running() if name == ways.RPUSH else nullcontext() as server:
        with ways.WAYS[name].open(tmp_path, server.url if server else "") as live:
            for record in records(20):
                live.call(live.item(record))
        assert live.delivered == 20


def test_a_service_is_measured_with_reporting_on_and_off():
    """Its records are all stored, and the report compares it with itself."""
    name = services.THREADED
    samples = services.measure(TINY, (name,))
    assert list(samples) == [f"{name}, {reporting}" for reporting in (services.OFF, services.ON, services.AGAIN)]
    assert samples[f"{name}, {services.ON}"][services.THREAD][0] > 0
    assert samples[f"{name}, {services.OFF}"][services.THREAD] == [0.0]
    report = services.report(samples)
    assert [len(table.rows) for table in report.tables] == [1, 1]
    assert [aim.limit for aim in report.aims] == [1.02, 3]


@pytest.mark.parametrize("needs", ["a_package_that_is_missing", "a_package_that_is_missing.part", "email.missing_part"])
def test_a_way_whose_package_is_missing_is_left_out(monkeypatch, needs):
    """It is not measured, and nothing of it is imported; a part may be missing of a package that is there."""
    monkeypatch.setitem(ways.WAYS, ways.LOGURU, ways.WAYS[ways.LOGURU]._replace(needs=needs))
    assert list(calls.measure(TINY, (ways.LOGURU, ways.DEQUE))) == [ways.DEQUE]
