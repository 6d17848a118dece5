"""The state of reporters as Prometheus metrics, for an application that serves its own `/metrics`.

Values are read when they are asked for, from `Reporter.stats`, so they cost a record nothing; and each process tells of
its own reporters, the child of a fork too.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

import pumpkit
from pumpkit.contrib.checks import check_reporter
from pumpkit.reporter import Reporter, ReporterStats

#: Causes of drops, which are told of from the beginning: `rate()` misses a series' first value.
_CAUSES = ("full", "unpackable", "too-large", "unsent")

_Values = Callable[[ReporterStats], float]

#: The gauges, by name: what they say, and where it comes from.
_GAUGES: dict[str, tuple[str, _Values]] = {
    "pumpkit_reporter_queued_records": ("Records that are not in a frame yet.", lambda stats: stats.queued),
    "pumpkit_reporter_pending_records": ("Records in memory, queued ones included.", lambda stats: stats.pending),
    "pumpkit_reporter_spilled_records": ("Records in the spill file, not sent on yet.", lambda stats: stats.spilled),
    "pumpkit_reporter_pending_frames": ("Frames that are not confirmed.", lambda stats: stats.frames),
    "pumpkit_reporter_pending_bytes": ("Bytes of these frames.", lambda stats: stats.frame_bytes),
}


class ReporterCollector(Collector):
    """Collects the metrics of reporters, in the process that is scraped.

    reporters: which ones, each once; none, or None, for that of the process. Those with one `source` are added up.
    registry: where to register; None for nowhere.

    One collector for a registry: another would have the same names, which raises ValueError. What is no reporter raises
    TypeError.
    """

    def __init__(self, *reporters: Reporter | None, registry: CollectorRegistry | None = REGISTRY) -> None:
        for reporter in reporters:
            check_reporter(reporter, "stats")
        every = [pumpkit.get_reporter() if reporter is None else reporter for reporter in reporters or [None]]
        self._reporters = list({id(reporter): reporter for reporter in every}.values())
        if registry is not None:
            registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """Return the metrics without values: a registry asks for their names."""
        return _metrics({})

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of now."""
        by_source: dict[str, list[ReporterStats]] = {}
        for reporter in self._reporters:
            by_source.setdefault(reporter.source, []).append(reporter.stats())
        return _metrics(by_source)


def _metrics(by_source: dict[str, list[ReporterStats]]) -> Iterator[Metric]:
    records = CounterMetricFamily(
        "pumpkit_reporter_records", "Records by what became of them.", labels=["source", "outcome"]
    )
    dropped = CounterMetricFamily("pumpkit_reporter_dropped", "Records dropped.", labels=["source", "cause"])
    resent = _counter("pumpkit_reporter_resent_records", "Records that the buffer had confirmed and forgotten.")
    sent_bytes = _counter("pumpkit_reporter_sent_bytes", "Bytes of frames that the buffer has confirmed.")
    up = _gauge("pumpkit_reporter_buffer_up", "Whether the buffer took the frames that it was last handed.")
    append = _gauge("pumpkit_reporter_append_seconds", "How long the last append to the buffer took.")
    gauges = {name: _gauge(name, about) for name, (about, _) in _GAUGES.items()}
    for source, several in by_source.items():
        # What was forgotten is confirmed again, so `confirmed` alone may go back, which no counter may.
        records.add_metric([source, "confirmed"], _sum(several, lambda stats: stats.confirmed + stats.resent))
        records.add_metric([source, "sampled"], _sum(several, lambda stats: stats.sampled))
        causes = dict.fromkeys([*_CAUSES, *(cause for stats in several for cause in stats.drops)])
        for cause in causes:
            dropped.add_metric([source, cause], sum(stats.drops.get(cause, 0) for stats in several))
        resent.add_metric([source], _sum(several, lambda stats: stats.resent))
        sent_bytes.add_metric([source], _sum(several, lambda stats: stats.sent_bytes))
        up.add_metric([source], all(stats.trouble is None for stats in several))
        seconds = [stats.append_seconds for stats in several if stats.append_seconds is not None]
        if seconds:
            append.add_metric([source], max(seconds))
        for name, (_, value) in _GAUGES.items():
            gauges[name].add_metric([source], _sum(several, value))
    yield from (records, dropped, resent, sent_bytes, up, append, *gauges.values())


def _sum(several: Sequence[ReporterStats], value: _Values) -> float:
    return sum(value(stats) for stats in several)


def _counter(name: str, about: str) -> CounterMetricFamily:
    return CounterMetricFamily(name, about, labels=["source"])


def _gauge(name: str, about: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, about, labels=["source"])
