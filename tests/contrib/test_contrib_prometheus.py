"""The state of reporters as Prometheus sees it: exposed as text, and read by the client's own parser."""

import os
import re
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.openmetrics import exposition
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

import pumpkit
from pumpkit import Reporter
from pumpkit.contrib.prometheus import ReporterCollector

Values = dict[tuple[str, ...], float]


def read(text: str, parser: Callable[[str], Any] = parse) -> Values:
    """Return every sample by its name and the values of its labels, sorted by their names."""
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in parser(text)
        for sample in family.samples
    }


def scrape(*reporters: Reporter | None) -> Values:
    """Return what a scrape of these reporters shows."""
    registry = CollectorRegistry(auto_describe=True)
    ReporterCollector(*reporters, registry=registry)
    return read(generate_latest(registry).decode())


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return the URL of a new buffer."""
    return f"sqlite:///{tmp_path}/buffer.db"


def test_what_became_of_records(url):
    """Confirmed, dropped by cause, and bytes; all in agreement with `stats`."""
    with Reporter(url, source="shop") as reporter:
        for n in range(5):
            reporter.record({"n": n})
        reporter.record({"n": object()})
        reporter.flush()
        seen, stats = scrape(reporter), reporter.stats()
    assert seen["pumpkit_reporter_records_total", "confirmed", "shop"] == 5
    assert seen["pumpkit_reporter_records_total", "sampled", "shop"] == 0
    assert seen["pumpkit_reporter_dropped_total", "unpackable", "shop"] == 1
    assert seen["pumpkit_reporter_dropped_total", "full", "shop"] == 0
    assert seen["pumpkit_reporter_sent_bytes_total", "shop"] == stats.sent_bytes > 0
    assert seen["pumpkit_reporter_append_seconds", "shop"] > 0
    assert seen["pumpkit_reporter_buffer_up", "shop"] == 1
    assert seen["pumpkit_reporter_pending_records", "shop"] == 0


def test_a_buffer_that_is_away(tmp_path, url):
    """The gauge falls, records wait, and there is no time of an append before the first."""
    (tmp_path / "missing").write_text("a file where a folder should be")
    with Reporter(f"sqlite:///{tmp_path}/missing/buffer.db", source="shop", exit_timeout=0.0) as reporter:
        assert ("pumpkit_reporter_append_seconds", "shop") not in scrape(reporter)
        reporter.record({"n": 1})
        reporter.flush(0.2)
        seen = scrape(reporter)
    assert seen["pumpkit_reporter_buffer_up", "shop"] == 0
    assert seen["pumpkit_reporter_pending_records", "shop"] == 1
    assert seen["pumpkit_reporter_pending_frames", "shop"] == 1
    assert seen["pumpkit_reporter_pending_bytes", "shop"] > 0


def test_a_reporter_that_is_named_twice():
    """Its records are counted once, also where it is that of the process."""
    with pumpkit.captured():
        reporter = pumpkit.configure(source="shop")
        reporter.record({"n": 1})
        seen = scrape(reporter, None, reporter)
    assert seen["pumpkit_reporter_records_total", "confirmed", "shop"] == 1


def test_several_reporters(tmp_path, url):
    """Each source has its series; reporters of one source are added up, so no series is there twice."""
    with (
        Reporter(url, source="shop") as one,
        Reporter(url, source="shop") as two,
        Reporter(url, source="audit") as three,
    ):
        for reporter, records in ((one, 1), (two, 2), (three, 4)):
            for n in range(records):
                reporter.record({"n": n})
            reporter.flush()
        seen = scrape(one, two, three)
    assert seen["pumpkit_reporter_records_total", "confirmed", "shop"] == 3
    assert seen["pumpkit_reporter_records_total", "confirmed", "audit"] == 4


def test_the_reporter_of_the_process():
    """Without arguments it is that one, as it is at the time of the scrape."""
    registry = CollectorRegistry(auto_describe=True)
    ReporterCollector(registry=registry)
    with pumpkit.captured():
        pumpkit.configure(source="later")
        pumpkit.record({"n": 1})
        assert read(generate_latest(registry).decode())["pumpkit_reporter_records_total", "confirmed", "later"] == 1


def test_a_counter_does_not_go_back(url):
    """What the buffer has forgotten is pending again, and counted as resent; `confirmed` counts confirmations."""

    class Forgetful(Reporter):
        def stats(self):
            return super().stats()._replace(confirmed=3, resent=2, pending=2)

    seen = scrape(Forgetful(url))
    assert seen["pumpkit_reporter_records_total", "confirmed", ""] == 5
    assert seen["pumpkit_reporter_resent_records_total", ""] == 2


def test_names_are_those_that_prometheus_wants(url):
    """Units and `_total` are in their places: the strict parser of OpenMetrics takes it, and sees the same."""
    registry = CollectorRegistry(auto_describe=True)
    with Reporter(url, source='with "quotes" \\ and ü') as reporter:
        ReporterCollector(reporter, registry=registry)
        reporter.record({"n": 1})
        reporter.flush()
        strict = read(exposition.generate_latest(registry).decode(), parse_openmetrics)
        assert strict == read(generate_latest(registry).decode())
    assert ("pumpkit_reporter_records_total", "confirmed", reporter.source) in strict


def test_one_collector_for_a_registry():
    """Names are known when it is registered, so a second one is refused; nothing is collected for that."""
    registry = CollectorRegistry()
    ReporterCollector(registry=registry)
    with pytest.raises(ValueError, match="pumpkit_reporter_records"):
        ReporterCollector(registry=registry)
    ReporterCollector(registry=None)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_tells_of_its_own(url):
    """Its counts begin at 0."""
    with Reporter(url, source="shop") as reporter:
        registry = CollectorRegistry(auto_describe=True)
        ReporterCollector(reporter, registry=registry)
        reporter.record({"n": 1})
        reporter.record({"n": 2})
        reporter.flush()
        end, beginning = os.pipe()
        pid = os.fork()
        if pid == 0:
            reporter.record({"n": 3})
            reporter.flush()
            os.write(beginning, generate_latest(registry))
            os._exit(0)
        os.close(beginning)
        with os.fdopen(end) as pipe:
            child = read(pipe.read())
        assert os.waitpid(pid, 0)[1] == 0
        parent = read(generate_latest(registry).decode())
    key = ("pumpkit_reporter_records_total", "confirmed", "shop")
    assert (parent[key], child[key]) == (2, 1)


def test_scrapes_while_records_come(url):
    """Over HTTP, from the client's own server, while threads record: every scrape parses, no counter goes back."""
    registry = CollectorRegistry(auto_describe=True)
    with Reporter(url, source="shop", flush_interval=0.01) as reporter:
        ReporterCollector(reporter, registry=registry)
        server, serving = start_http_server(0, "127.0.0.1", registry)
        try:
            work = [threading.Thread(target=lambda: [reporter.record({"n": n}) for n in range(3000)]) for _ in range(2)]
            for thread in work:
                thread.start()
            confirmed = []
            while not confirmed or confirmed[-1] < 6000:
                with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/metrics", timeout=30) as answer:
                    seen = read(answer.read().decode())
                confirmed.append(seen["pumpkit_reporter_records_total", "confirmed", "shop"])
            for thread in work:
                thread.join()
        finally:
            server.shutdown()
            server.server_close()
            serving.join()
    assert confirmed == sorted(confirmed)


def test_every_metric_is_in_the_reference():
    """The page of the reference names these metrics with their labels, and no others."""
    page = (Path(__file__).parents[2] / "docs/reference/contrib.md").read_text()
    families = ReporterCollector(registry=None).describe()
    shown = {family.name + "_total" * (family.type == "counter"): ", ".join(family._labelnames) for family in families}
    documented = dict(re.findall(r"`(pumpkit_reporter_\w+)\{([\w, ]+)\}`", page))
    assert documented == shown
