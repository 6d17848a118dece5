"""The way of records into Redis: a live reporter, and a client that is told of each record by itself.

The reporter's figures are those of a process that does nothing else: from the first `record()` until all are stored.
The plain ways pack a record with msgpack and send it, waiting for every answer or for that of 500 at a time.
"""

import itertools
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgpack

from benchmarks.apart import apart
from benchmarks.authz import records
from benchmarks.redis.server import CPU, LIST, RATE, Server, connect, rates
from benchmarks.rounds import Measures, Samples, Size, interleaved, ratio, spread
from benchmarks.table import Report, Table, around
from pumpkit import Reporter

TITLE = "Into Redis"

FRAMES, GO_LIST = "reporter, frames", "reporter, a Go program's list"
RPUSH, XADD = "one RPUSH a record", "one XADD a record"
RPUSHES, XADDS = f"{RPUSH}, 500 in a pipeline", f"{XADD}, 500 in a pipeline"
PIPELINE = 500

#: By contender, what it does, and how many records in full.
_Way = Callable[[str, int], Measures]


def measure(size: Size, server: Server) -> Samples:
    """Measure microseconds of processor time for a record, and records per second."""
    ways: dict[str, tuple[_Way, int]] = {
        FRAMES: (_report, 100_000),
        GO_LIST: (_report_to_list, 50_000),
        RPUSHES: (partial(_each, "RPUSH", PIPELINE), 20_000),
        XADDS: (partial(_each, "XADD", PIPELINE), 20_000),
        RPUSH: (partial(_each, "RPUSH", 1), 5_000),
        XADD: (partial(_each, "XADD", 1), 5_000),
    }
    return interleaved(
        size.rounds,
        {name: partial(_run, server, way, size.of(count, least=500)) for name, (way, count) in ways.items()},
    )


def _run(server: Server, way: _Way, count: int) -> Measures:
    server.empty()
    measures: Measures = apart(way, server.url, count)
    return measures


def _some(count: int) -> Iterator[dict[str, Any]]:
    return itertools.islice(itertools.cycle(records(1_000)), count)


def _report(url: str, count: int) -> Measures:
    some = _some(count)
    with Reporter(url, overflow="block", block_timeout=60) as reporter:
        reporter.record(next(some))  # starts its thread and makes the buffer
        reporter.flush(30)
        cpu, wall = time.process_time(), time.monotonic()
        for record in some:
            reporter.record(record)
        result = reporter.flush(60)
        cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    if result.sent != count or result.dropped:
        raise RuntimeError(f"not every record was stored: {result}")
    return rates(count - 1, cpu, wall)


def _report_to_list(url: str, count: int) -> Measures:
    return _report(url.replace("redis://", "redis-list://") + "?dialect=iam", count)


def _each(command: str, together: int, url: str, count: int) -> Measures:
    some, client = _some(count), connect(url)
    client.ping()
    words = ("RPUSH", LIST) if command == "RPUSH" else ("XADD", "stream", "*", "r")
    cpu, wall = time.process_time(), time.monotonic()
    while several := list(itertools.islice(some, together)):
        if together == 1:
            client.execute_command(*words, msgpack.packb(several[0], datetime=True))
            continue
        pipe = client.pipeline(transaction=False)
        for record in several:
            pipe.execute_command(*words, msgpack.packb(record, datetime=True))
        pipe.execute()
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    client.close()
    return rates(count, cpu, wall)


def report(samples: Samples) -> Report:
    """Compare all with the reporter."""
    rows = []
    for name, measures in samples.items():
        figures = [around(spread(measures[CPU])), around(spread(measures[RATE]))]
        rows.append([name, *figures, around(ratio(samples, RATE, FRAMES, name))])
    about = "From the first record until all are stored, the processor time of the whole producing process."
    return Report(about, [Table(["", "processor, µs a record", "records/s", "frames, times records/s"], rows)])
