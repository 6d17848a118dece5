"""The health endpoint: what probes, Prometheus and `pumpkit status` ask of a runner. Read-only, from its table.

    /livez         200 while the supervising loop turns
    /healthz       200, or 503 with the required pumps that do not work (the path is `health-check-path`; also /readyz)
    /status.json   all that `pumpkit status` shows
    /metrics       the same for Prometheus; labels only from the configuration, and hosts and sources of producers

No record and no setting is ever shown.
"""

import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from pumpkit.config.types import split_address
from pumpkit.status import InputStatus, ProcessStatus, PumpStatus, State, Status

#: The states a pump of the configuration can be in, for `pumpkit_pump_state`.
STATES: tuple[State, ...] = (
    "starting", "running", "standby", "waiting", "failed", "crashed", "paused", "stopping", "stopped",
)  # fmt: skip

#: The same of an input.
INPUT_STATES = tuple(state for state in STATES if state != "paused")

Reply = tuple[int, str, bytes]  # status code, content type, body


class HealthServer:
    """Serves a runner's table over HTTP, in threads of its own."""

    def __init__(self, address: str, path: str, table: Callable[[], Status], alive: Callable[[], bool]) -> None:
        """Listen at `address` (`host:port`). Raises OSError if that cannot be had."""
        self._table = table
        self._alive = alive
        self._pages: dict[str, Callable[[], Reply]] = {
            "/livez": self._livez,
            "/readyz": self._healthz,
            "/" + path.strip("/"): self._healthz,
            "/status.json": self._status,
            "/metrics": self._metrics,
        }
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Collector(table))
        pages = self._pages

        class Handler(BaseHTTPRequestHandler):
            server_version = "pumpkit"
            timeout = 10  # seconds for a request to come in

            def do_GET(self) -> None:
                page = pages.get(self.path.partition("?")[0])
                code, kind, body = page() if page else (404, "text/plain", b"not found\n")
                self.send_response(code)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        host, port = split_address(address)

        class Server(ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
            daemon_threads = True

        self._server = Server((host, port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.1], name="health", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """The address it listens at, with the real port where 0 was asked for."""
        host, port = self._server.server_address[:2]
        return f"[{host!s}]:{port}" if ":" in str(host) else f"{host!s}:{port}"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _livez(self) -> Reply:
        alive = self._alive()
        return _json(200 if alive else 503, {"status": "ok" if alive else "the supervising loop hangs"})

    def _healthz(self) -> Reply:
        table = self._table()
        pumps, inputs = _failing(table.pumps), _failing(table.inputs)
        if not pumps and not inputs:
            return _json(200, {"status": "ok"})
        return _json(503, {"status": "failing", "pumps": pumps} | ({"inputs": inputs} if inputs else {}))

    def _status(self) -> Reply:
        return _json(200, self._table().to_json())

    def _metrics(self) -> Reply:
        return 200, CONTENT_TYPE_LATEST, generate_latest(self._registry)


def _failing(rows: Mapping[str, ProcessStatus]) -> dict[str, Any]:
    """Return the required ones that do not work."""
    return {
        name: {"state": row.state, "reason": reason, "since": row.since}
        for name, row in dict(rows).items()
        if row.required and (reason := row.failing())
    }


def _json(code: int, document: dict[str, Any]) -> Reply:
    return code, "application/json", json.dumps(document).encode() + b"\n"


class _Collector(Collector):
    """The table as metrics, made anew for every scrape."""

    def __init__(self, table: Callable[[], Status]) -> None:
        self._table = table

    def collect(self) -> Iterator[Metric]:
        status = self._table()
        rows = [pump for pump in dict(status.pumps).values() if pump.state not in ("elsewhere", "orphan")]
        records = CounterMetricFamily(
            "pumpkit_records", "Records a pump has passed, by what became of them.", labels=["pump", "outcome"]
        )
        redelivered = _counter(
            "pumpkit_redelivered", "Records that may have been handed out before an unclean stop: an upper bound."
        )
        lag = _gauge("pumpkit_lag_records", "Records in the buffer that a pump has not passed yet.")
        oldest = _gauge("pumpkit_oldest_seconds", "Age of the oldest record that a pump has not passed.")
        letters = _gauge("pumpkit_dead_letters", "Dead letters kept.")
        for pump in rows:
            if (cursor := pump.cursor) is None or not pump.is_first:
                continue
            for outcome in ("delivered", "filtered", "dead", "skipped"):
                records.add_metric([pump.name, outcome], getattr(cursor, outcome))
            redelivered.add_metric([pump.name], cursor.redelivered)
            lag.add_metric([pump.name], cursor.lag)
            oldest.add_metric([pump.name], pump.oldest_seconds())
            letters.add_metric([pump.name], cursor.dead_letters)
        yield from (records, redelivered, lag, oldest, letters)
        yield from _process_metrics(rows)
        yield from _input_metrics(list(dict(status.inputs).values()))
        if status.buffer is not None:
            yield GaugeMetricFamily("pumpkit_buffer_bytes", "Size of the buffer.", status.buffer.size_bytes)
            yield GaugeMetricFamily("pumpkit_buffer_max_bytes", "Its size cap.", status.buffer.max_bytes)
            yield CounterMetricFamily("pumpkit_stored_records", "Records ever stored.", status.buffer.stored)
            yield CounterMetricFamily("pumpkit_lost_records", "Records known to be lost.", status.buffer.lost)
            dropped = CounterMetricFamily(
                "pumpkit_dropped", "Records that reporters dropped.", labels=["host", "source", "cause"]
            )
            sums: Counter[tuple[str, str, str]] = Counter()  # a host may be called "other"
            for pair in status.buffer.drops_by_host:
                sums.update({(pair.host, pair.source, cause): count for cause, count in pair.drops.items()})
            for labels, count in sums.items():
                dropped.add_metric(labels, count)
            yield dropped


def _process_metrics(rows: list[PumpStatus]) -> Iterator[Metric]:
    """Make what is known of every worker: sums over those of one pump."""
    writes = SummaryMetricFamily("pumpkit_write_seconds", "Accepted writes and the time they took.", labels=["pump"])
    state = GaugeMetricFamily("pumpkit_pump_state", "Workers of a pump in a state.", labels=["pump", "state"])
    restarts = _counter("pumpkit_restarts", "Workers started again after one had ended.")
    for name in dict.fromkeys(row.pump for row in rows):
        workers = [row for row in rows if row.pump == name]
        writes.add_metric([name], sum(row.writes for row in workers), sum(row.write_seconds for row in workers))
        restarts.add_metric([name], sum(row.restarts for row in workers))
        for one in STATES:
            state.add_metric([name, one], sum(row.state == one for row in workers))
    yield from (writes, state, restarts)


def _input_metrics(inputs: list[InputStatus]) -> Iterator[Metric]:
    records = _counter("pumpkit_input_records", "Records moved into the log since the runner's start.", "input")
    bad = _counter("pumpkit_input_bad_records", "Of these, items that are no records.", "input")
    waiting = _gauge("pumpkit_input_waiting_records", "Items in the lists of an input.", "input")
    state = GaugeMetricFamily("pumpkit_input_state", "1 for the state an input is in.", labels=["input", "state"])
    restarts = _counter("pumpkit_input_restarts", "Processes of an input started again after one had ended.", "input")
    for one in inputs:
        records.add_metric([one.name], one.records)
        bad.add_metric([one.name], one.bad)
        if one.waiting is not None:
            waiting.add_metric([one.name], one.waiting)
        restarts.add_metric([one.name], one.restarts)
        for name in INPUT_STATES:
            state.add_metric([one.name, name], one.state == name)
    yield from (records, bad, waiting, state, restarts)


def _counter(name: str, text: str, label: str = "pump") -> CounterMetricFamily:
    return CounterMetricFamily(name, text, labels=[label])


def _gauge(name: str, text: str, label: str = "pump") -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=[label])
