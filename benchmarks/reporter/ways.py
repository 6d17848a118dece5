"""The ways to hand a record over, each with what stands behind it at work.

A way is a context manager. It yields a `Live`, whose `call` takes one record; on leaving, everything is delivered, and
`delivered` says how much that is. Queues are large enough for all that is handed over here, so none may drop anything.
"""

import importlib
import importlib.util
import json
import logging
import logging.handlers
import queue
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import msgpack
import redis

from benchmarks.reporter.null import null_server, over_http, over_tcp
from pumpkit import Reporter

#: Records that may wait in a queue.
ROOM = 1 << 20

#: The list that records are pushed to.
_LIST = "decisions"


def _itself(record: dict[str, Any]) -> Any:
    return record


@attrs.define
class Live:
    """A way that is open. `item` makes what `call` takes of a record, beforehand."""

    call: Callable[[Any], object]
    item: Callable[[dict[str, Any]], Any] = _itself
    #: How many records have come to their end, once the way is closed.
    delivered: int = 0


class Way(NamedTuple):
    """What opens it, in a folder and with the URL of a Redis server; which package it needs; records in full."""

    open: Callable[[Path, str], AbstractContextManager[Live]]
    needs: str | None = None
    records: int = 20_000

    @property
    def installed(self) -> bool:
        """Whether its package is there."""
        try:
            return self.needs is None or importlib.util.find_spec(self.needs) is not None
        except ModuleNotFoundError:  # a package that it would be part of
            return False


@contextmanager
def _deque(folder: Path, redis_url: str) -> Iterator[Live]:
    records: deque[Any] = deque()
    live = Live(records.append)
    yield live
    live.delivered = len(records)


@contextmanager
def _reporter(folder: Path, redis_url: str, copy: bool = False) -> Iterator[Live]:
    with Reporter(f"sqlite:///{folder}/buffer.db", records_buffer_size=ROOM, copy=copy) as reporter:
        live = Live(reporter.record)
        yield live
        live.delivered = reporter.flush(60).sent


class _Exporter:
    """Takes what OpenTelemetry exports, spans or logs, and does nothing with it."""

    def __init__(self, success: Any) -> None:
        self.exported = 0
        self._success = success

    def export(self, batch: Sequence[Any]) -> Any:
        self.exported += len(batch)
        return self._success

    def shutdown(self) -> None:
        pass

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


@contextmanager
def _otel_spans(folder: Path, redis_url: str) -> Iterator[Live]:
    sdk, export = _package("opentelemetry.sdk.trace"), _package("opentelemetry.sdk.trace.export")
    trace = _package("opentelemetry.trace")
    exporter = _Exporter(export.SpanExportResult.SUCCESS)
    processor = export.BatchSpanProcessor(exporter, max_queue_size=ROOM)
    context = trace.SpanContext(1, 1, is_remote=False, trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED))
    resource = _package("opentelemetry.sdk.resources").Resource({})
    live = Live(processor.on_end, lambda record: sdk.ReadableSpan("decision", context, resource=resource))
    yield live
    processor.shutdown()
    live.delivered = exporter.exported


@contextmanager
def _otel_logs(folder: Path, redis_url: str) -> Iterator[Live]:
    sdk, export = _package("opentelemetry.sdk._logs"), _package("opentelemetry.sdk._logs.export")
    info = _package("opentelemetry._logs").SeverityNumber.INFO
    exporter = _Exporter(export.LogRecordExportResult.SUCCESS)
    provider = sdk.LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(export.BatchLogRecordProcessor(exporter, max_queue_size=ROOM))
    logger = provider.get_logger("audit")
    live = Live(
        lambda attributes: logger.emit(severity_number=info, body="decision", attributes=attributes),
        lambda record: record | {"expire_at": record["expire_at"].timestamp()},  # it takes no times
    )
    yield live
    provider.shutdown()
    live.delivered = exporter.exported


@contextmanager
def _logging(folder: Path, redis_url: str) -> Iterator[Live]:
    lines: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    logger = logging.Logger("audit")
    logger.addHandler(logging.handlers.QueueHandler(lines))
    file = logging.FileHandler(folder / "audit.jsonl")
    file.setFormatter(_JsonLine())
    listener = logging.handlers.QueueListener(lines, file)
    listener.start()
    live = Live(lambda record: logger.info("decision", extra={"fields": record}))
    try:
        yield live
    finally:
        listener.stop()
        file.close()
    live.delivered = _lines(folder / "audit.jsonl")


class _JsonLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(record.fields, default=str)  # type: ignore[attr-defined]  # by `extra`


@contextmanager
def _loguru(folder: Path, redis_url: str) -> Iterator[Live]:
    logger = _package("loguru").logger
    logger.remove()
    logger.add(folder / "audit.jsonl", enqueue=True, serialize=True)
    live = Live(lambda record: logger.bind(**record).info("decision"))
    yield live
    logger.remove()
    live.delivered = _lines(folder / "audit.jsonl")


@contextmanager
def _fluent(folder: Path, redis_url: str) -> Iterator[Live]:
    with null_server(over_tcp) as server:
        sender = _package("fluent.asyncsender").FluentSender(
            "audit", "127.0.0.1", server.port, queue_maxsize=ROOM, msgpack_kwargs={"datetime": True}
        )
        live = Live(lambda record: sender.emit("decision", record))
        yield live
        sender.close()
        live.delivered = server.records()


@contextmanager
def _segment(folder: Path, redis_url: str) -> Iterator[Live]:
    with null_server(over_http) as server:
        client = _package("segment.analytics.client").Client(
            "key", host=f"http://127.0.0.1:{server.port}", max_queue_size=ROOM
        )
        live = Live(lambda record: client.track(record["username"], "decision", record))
        yield live
        client.shutdown()
        live.delivered = server.records()


@contextmanager
def _posthog(folder: Path, redis_url: str) -> Iterator[Live]:
    with null_server(over_http) as server:
        client = _package("posthog").Posthog("key", host=f"http://127.0.0.1:{server.port}", max_queue_size=ROOM)
        live = Live(lambda record: client.capture("decision", distinct_id=record["username"], properties=record))
        yield live
        client.shutdown()
        live.delivered = server.records()


@contextmanager
def _rpush(folder: Path, redis_url: str) -> Iterator[Live]:
    with closing(redis.Redis.from_url(redis_url)) as client:
        client.flushall()
        live = Live(lambda record: client.rpush(_LIST, msgpack.packb(record, datetime=True)))
        yield live
        live.delivered = int(client.llen(_LIST))


def _package(name: str) -> Any:
    """Import what only `make bench` installs, once it is needed."""
    return importlib.import_module(name)


def _lines(file: Path) -> int:
    return file.read_bytes().count(b"\n")


RECORD, COPY, DEQUE = "record()", "record(), copy=True", "bare deque.append"
SPANS, LOGS = "OpenTelemetry, on_end of a span", "OpenTelemetry, logs"
LOGGING, LOGURU = "logging, QueueHandler", "loguru, enqueue=True"
FLUENT, SEGMENT, POSTHOG, RPUSH = "fluent-logger, asyncsender", "segment", "posthog", "redis, RPUSH"

WAYS: dict[str, Way] = {
    DEQUE: Way(_deque),
    RECORD: Way(_reporter),
    COPY: Way(partial(_reporter, copy=True)),
    SPANS: Way(_otel_spans, "opentelemetry.sdk"),
    FLUENT: Way(_fluent, "fluent", 5_000),
    LOGS: Way(_otel_logs, "opentelemetry.sdk", 10_000),
    LOGGING: Way(_logging, None, 10_000),
    SEGMENT: Way(_segment, "segment", 2_000),
    POSTHOG: Way(_posthog, "posthog", 2_000),
    RPUSH: Way(_rpush, None, 5_000),
    LOGURU: Way(_loguru, "loguru", 2_000),
}
