"""Every benchmark runs, with very little work, and prints its table. No speed is asserted."""

import re

import pytest

from benchmarks import sinks
from benchmarks.catalogue import BENCHMARKS
from benchmarks.reporter.ways import WAYS
from benchmarks.rounds import Size
from benchmarks.sinks import elasticsearch, mongo
from tests.conftest import missing
from tests.servers.fixtures import need_elasticsearch, need_mongo
from tests.servers.redis import KINDS, find

#: By benchmark, how many aims it has, and tables if there are several.
AIMS = {"reporter": 10, "log": 0, "drain": 2, "latency": 1, "redis": 7, "sinks": 12}
TABLES = {"reporter": 4, "redis": 7, "sinks": 7}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "reporter" else name for name in BENCHMARKS]
)
def test_a_benchmark_prints_its_table_and_its_aims(run_benchmarks, name):
    """One round of a tiny part of the work ends well, and says what was measured, how, and on what."""
    if name in ("redis", "reporter") and not any(map(find, KINDS)):
        missing("a Redis server", f"it comes from {', '.join(KINDS.values())}")
    if name == "reporter" and not all(way.installed for way in WAYS.values()):
        pytest.skip("what the reporter is compared with is not installed; `make bench` does it")
    if name == "sinks":
        need_mongo()
        need_elasticsearch()
    done = run_benchmarks(name, "--rounds", "1", "--scale", "0.01")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"## {BENCHMARKS[name].TITLE}\n")
    assert len(re.findall(r"^\| -", done.stdout, re.MULTILINE)) == TABLES.get(name, 1)
    assert len(re.findall(r"^\| .*\d", done.stdout, re.MULTILINE)) >= 2
    assert len(re.findall(r"^- (?:\*\*not )?met", done.stdout, re.MULTILINE)) == AIMS[name]
    assert "Medians over 1 interleaved rounds, each of 0.01 of the full work" in done.stdout
    assert re.search(r"^- interpreter: CPython \d\.\d+\.\d+, built by ", done.stdout, re.MULTILINE)


def test_unknown_names_are_refused(run_benchmarks):
    """A name that is none is answered with those that are, and nothing is measured."""
    done = run_benchmarks("drain", "drian")
    assert done.returncode == 2
    assert "no benchmark is called drian; there are reporter, log, drain, latency, redis, sinks" in done.stderr
    assert not done.stdout


def test_a_database_that_is_not_installed_is_left_out(monkeypatch):
    """Its chapter says so, and how to get it; the others are measured."""
    monkeypatch.setattr(mongo, "find", lambda: None)
    monkeypatch.setattr(elasticsearch, "missing_for", lambda major: "Java 21")
    samples = sinks.measure(Size(1, 0.01))
    assert samples == {}
    said = str(sinks.report(samples))
    assert said.count("Left out: ") == 2
    assert "`python -m tests.servers.install`" in said
