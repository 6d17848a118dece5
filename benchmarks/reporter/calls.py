"""What a call costs the thread that makes it, and a record the whole process, for every way to hand one over.

A single call is timed as it is made in life: the thread has just decided an authorization request, and after every
fifty it sleeps 2 ms, as a service waits for others. The clock takes about as long as the cheapest calls, and what it
takes is taken off; so there is a second figure, of runs of a hundred calls back to back, through an attribute of an
object as applications call them, with one reading of the clock at either end and net of an empty loop. The processor
time is that of the process from the first of many records, which come as fast as the way takes them, until all are
delivered.
"""

import itertools
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.apart import apart
from benchmarks.authz import decide, records, requests
from benchmarks.redis.server import running
from benchmarks.reporter import ways
from benchmarks.reporter.ways import DEQUE, LOGGING, LOGS, RECORD, RPUSH, SPANS, WAYS, Live
from benchmarks.rounds import Measures, Samples, Size, interleaved, percentile, ratio, spread
from benchmarks.table import Aim, Report, Table, around
from tests.servers.redis import KINDS, find

TITLE = "What a call costs its caller"

THREADS = (1, 4)
MARKS = {"p50": 50.0, "p99": 99.0, "p99.9": 99.9, "max": 100.0}
IN_RUN, CPU = "in a run", "cpu_us"

#: Calls in one reading of the clock, and such runs.
_RUN, _RUNS = 100, 50

#: Seconds from the first record of a way, which starts threads and opens files, until something is measured.
_WARM = 0.3


def measure(size: Size, names: tuple[str, ...] = tuple(WAYS)) -> Samples:
    """Measure nanoseconds of a call, by threads and percentile, and microseconds of processor time for a record."""
    has_redis = any(map(find, KINDS))
    present = [name for name in names if WAYS[name].installed and (has_redis or name != RPUSH)]
    with running() if RPUSH in present else nullcontext() as server:
        url = server.url if server else ""
        return interleaved(size.rounds, {name: partial(apart, _run, name, url, size) for name in present})


def _run(name: str, redis_url: str, size: Size) -> Measures:
    calls = size.of(5_000, least=200)
    measures = _cost(name, redis_url, size.of(WAYS[name].records, least=200))
    for threads in THREADS:
        taken, in_run = _times(name, redis_url, threads, calls, size)
        for mark, percent in MARKS.items():
            measures[f"{mark}, {_threads(threads)}"] = percentile(taken, percent)
        if in_run:
            measures[IN_RUN] = statistics.median(in_run)
    return measures


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count > 1 else ''}"


@contextmanager
def _opened(name: str, redis_url: str, count: int) -> Iterator[Live]:
    """Open a way that will be handed so many records after a first one. Raises RuntimeError unless it delivers all."""
    with TemporaryDirectory() as folder:
        with WAYS[name].open(Path(folder), redis_url) as live:
            live.call(live.item(records(1)[0]))
            time.sleep(_WARM)
            yield live
        if live.delivered != count + 1:
            raise RuntimeError(f"{name}: {live.delivered} of {count + 1} records were delivered")


def _cost(name: str, redis_url: str, count: int) -> Measures:
    with _opened(name, redis_url, count) as live:
        items = [live.item(record) for record in records(1_000)]
        call = live.call
        began = time.process_time()
        for item in itertools.islice(itertools.cycle(items), count):
            call(item)
    return {CPU: 1e6 * (time.process_time() - began) / count}


def _times(name: str, redis_url: str, threads: int, calls: int, size: Size) -> tuple[list[float], list[float]]:
    """Return the nanoseconds of single calls, and with one thread the mean of each run of calls."""
    asked = requests(1_000)
    taken: list[int] = []
    empty: list[int] = []
    in_run: list[float] = []
    runs = size.of(_RUNS, least=5) if threads == 1 else 0
    each = calls // threads
    with _opened(name, redis_url, each * threads + runs * _RUN) as live:
        workers = [threading.Thread(target=_call, args=(live, asked, each, taken, empty)) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if runs:
            in_run = _call_in_runs(live, asked, runs)
    timer = statistics.median(empty)
    return [one - timer for one in taken], in_run


def _call(live: Live, asked: list[bytes], calls: int, taken: list[int], empty: list[int]) -> None:
    """Add what each call took, in nanoseconds, and what the clock takes by itself, likewise after some work."""
    clock, call, to_item = time.perf_counter_ns, live.call, live.item
    mine, timer = [], []
    for number in range(calls):
        request = asked[number % len(asked)]
        decide(request)
        began = clock()
        timer.append(clock() - began)
        item = to_item(decide(request)[1])
        began = clock()
        call(item)
        mine.append(clock() - began)
        if number % 50 == 49:
            time.sleep(0.002)
    taken += mine
    empty += timer


def _call_in_runs(live: Live, asked: list[bytes], runs: int) -> list[float]:
    """Return the nanoseconds of a call in each run, net of the loop around it."""
    clock = time.perf_counter_ns
    taken = []
    for number in range(runs):
        items = [live.item(decide(request)[1]) for request in asked[number % 10 * _RUN :][:_RUN]]
        began = clock()
        for _ in items:
            pass
        loop = clock() - began
        began = clock()
        for item in items:
            live.call(item)
        taken.append((clock() - began - loop) / _RUN)
        time.sleep(0.002)
    return taken


def report(samples: Samples) -> Report:
    """Compare all with `record()`."""
    rows = []
    for threads in THREADS:
        p50 = f"p50, {_threads(threads)}"
        for name in samples:
            figures = [around(spread(samples[name][f"{mark}, {_threads(threads)}"])) for mark in MARKS]
            rows.append([f"{name}, {_threads(threads)}", *figures, around(ratio(samples, p50, name, RECORD))])
    single = Table(["", *(f"{mark}, ns" for mark in MARKS), f"p50, times {RECORD}"], rows)
    in_runs = Table(
        ["", "a call in a run, ns", f"times {RECORD}", "processor, µs a record"],
        [
            [
                name,
                around(spread(samples[name][IN_RUN])),
                around(ratio(samples, IN_RUN, name, RECORD)),
                around(spread(samples[name][CPU])),
            ]
            for name in samples
        ],
    )
    about = (
        "Nanoseconds of single calls, net of the timer, beside real work and with what stands behind each way at work;"
        " then of a call in runs of a hundred, and the processor time of the whole process for a record until it is"
        " delivered."
    )
    return Report(about, [single, in_runs], _aims(samples), _left_out(samples))


def _aims(samples: Samples) -> list[Aim]:
    one = f"p50, {_threads(1)}"
    times = f"takes, in multiples of {RECORD}"
    aims = [
        Aim(f"{name} {times} (p50, one thread),", ratio(samples, one, name, RECORD), 100, at_least=True)
        for name in (LOGGING, LOGS)
        if name in samples
    ]
    if SPANS in samples:
        aims.append(Aim(f"{SPANS} {times} (in a run),", ratio(samples, IN_RUN, SPANS, RECORD), 4, at_least=True))
    if DEQUE in samples:
        share = ratio(samples, IN_RUN, RECORD, DEQUE)
        aims.append(Aim(f"{RECORD} takes, in multiples of {DEQUE} (in a run),", share, 8))
    slow = spread([ns / 1e3 for ns in samples[RECORD][f"p99.9, {_threads(1)}"]])
    return [*aims, Aim(f"p99.9 of {RECORD}, one thread,", slow, 10, " µs")]


def _left_out(samples: Samples) -> str:
    missing = [name for name in ways.WAYS if name not in samples]
    return f"Left out, because they are not installed: {'; '.join(missing)}." if missing else ""


def figures(samples: Samples) -> dict[str, dict[str, float]]:
    """Return medians over the rounds for the picture, by way and threads."""
    return {
        f"{name}, {_threads(threads)}": {mark: _median(one[f"{mark}, {_threads(threads)}"]) for mark in MARKS}
        for name, one in samples.items()
        for threads in THREADS
    }


def _median(values: Any) -> float:
    return spread(values).median
