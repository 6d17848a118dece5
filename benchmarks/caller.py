"""What a call costs the thread that makes it: `record()`, and the standard library's way to hand a record over.

Each way is live: a reporter with a SQLite buffer, a QueueListener with a file of JSON lines. Between two calls the
thread decides an authorization request, and after every fifty it sleeps 2 ms, as a service waits for others.
"""

import json
import logging
import logging.handlers
import queue
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.apart import apart
from benchmarks.authz import decide, requests
from benchmarks.rounds import Measures, Samples, Size, interleaved, percentile, ratio, spread
from benchmarks.table import Aim, Report, Table, around
from pumpkit import Reporter

TITLE = "What a call costs its caller"

RECORD, COPY, LOGGING = "record()", "record(), copy=True", "logging, QueueHandler"

#: Which way, and by how many threads at the same time.
CONTENDERS = ((RECORD, 1), (COPY, 1), (LOGGING, 1), (RECORD, 4), (LOGGING, 4))
PERCENTS = (50, 99, 99.9)

HandOver = Callable[[dict[str, Any]], None]


def measure(size: Size) -> Samples:
    """Time single calls; in nanoseconds, net of the timer."""
    calls = size.of(8_000, least=1_000)
    return interleaved(
        size.rounds,
        {_name(way, threads): partial(apart, _run, way, threads, calls) for way, threads in CONTENDERS},
    )


def _name(way: str, threads: int) -> str:
    return f"{way}, {threads} thread{'s' if threads > 1 else ''}"


def _run(way: str, threads: int, calls: int) -> Measures:
    asked = requests(1_000)
    taken: list[int] = []
    empty: list[int] = []
    with TemporaryDirectory() as folder, _WAYS[way](Path(folder)) as hand_over:
        hand_over(decide(asked[0])[1])  # starts threads and opens files
        time.sleep(0.5)
        arguments = (hand_over, asked, calls // threads, taken, empty)
        workers = [threading.Thread(target=_call, args=arguments) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    timer = statistics.median(empty)
    return {f"p{percent}": percentile(taken, percent) - timer for percent in PERCENTS}


def _call(hand_over: HandOver, asked: list[bytes], calls: int, taken: list[int], empty: list[int]) -> None:
    """Add what each call took, in nanoseconds, and what the clock takes by itself, likewise after some work."""
    clock = time.perf_counter_ns
    mine, timer = [], []
    for number in range(calls):
        request = asked[number % len(asked)]
        decide(request)
        began = clock()
        timer.append(clock() - began)
        _, record = decide(request)
        began = clock()
        hand_over(record)
        mine.append(clock() - began)
        if number % 50 == 49:
            time.sleep(0.002)
    taken += mine
    empty += timer


@contextmanager
def _reporter(folder: Path, copy: bool = False) -> Iterator[HandOver]:
    with Reporter(f"sqlite:///{folder}/buffer.db", copy=copy) as reporter:
        yield reporter.record
        result = reporter.flush(30)
    if result.pending or result.dropped:
        raise RuntimeError(f"not every record was stored: {result}")


@contextmanager
def _logging(folder: Path) -> Iterator[HandOver]:
    lines: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    logger = logging.Logger("audit")
    logger.addHandler(logging.handlers.QueueHandler(lines))
    file = logging.FileHandler(folder / "audit.jsonl")
    file.setFormatter(_JsonLine())
    listener = logging.handlers.QueueListener(lines, file)
    listener.start()
    try:
        yield lambda record: logger.info("decision", extra={"fields": record})
    finally:
        listener.stop()
        file.close()


class _JsonLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(record.fields, default=str)  # type: ignore[attr-defined]  # by `extra`


_WAYS: dict[str, Callable[[Path], AbstractContextManager[HandOver]]] = {
    RECORD: _reporter,
    COPY: partial(_reporter, copy=True),
    LOGGING: _logging,
}


def report(samples: Samples) -> Report:
    """Compare the ways, each with `record()` from as many threads."""
    rows = []
    for way, threads in CONTENDERS:
        name = _name(way, threads)
        figures = [around(spread(samples[name][f"p{percent}"])) for percent in PERCENTS]
        rows.append([name, *figures, around(ratio(samples, "p50", name, _name(RECORD, threads)))])
    table = Table(["", *(f"p{percent}, ns" for percent in PERCENTS), f"p50, times {RECORD}"], rows)
    ours, theirs = _name(RECORD, 1), _name(LOGGING, 1)
    return Report(
        "Nanoseconds per call, net of the timer, beside real work and with what stands behind each way at work.",
        [table],
        [
            Aim(
                f"{LOGGING} takes, in multiples of {RECORD} (p50, one thread),",
                ratio(samples, "p50", theirs, ours),
                100,
                at_least=True,
            ),
            Aim(f"p99.9 of {RECORD}, one thread,", spread([ns / 1e3 for ns in samples[ours]["p99.9"]]), 10, " µs"),
        ],
    )
