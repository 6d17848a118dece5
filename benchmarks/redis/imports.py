"""A long list of a Go program that is imported: how long others wait for Redis meanwhile, and the memory it takes.

Another client sends PING every millisecond. How long it waits is partly up to the machine, whose processors all are
busy; so the longest command of the server is shown beside it.
"""

import time
from contextlib import closing
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.apart import ready, together
from benchmarks.redis.into_csv import INPUTS
from benchmarks.redis.server import RATE, Server, connect
from benchmarks.rounds import Measures, Samples, Size, interleaved, percentile, spread
from benchmarks.table import Aim, Report, Table, around, number
from benchmarks.world import World

TITLE = "A long list"

RUN = "pumpkit run"
PERIOD = 0.001  # seconds between two PINGs

COUNT, PING, PING_99, COMMAND, RSS = "records", "ping_ms", "ping_p99_ms", "command_ms", "rss_mib"


def measure(size: Size, server: Server) -> Samples:
    """Measure milliseconds, MiB, and records per second."""
    count = size.of(1_000_000, least=5_000)
    return interleaved(min(3, size.rounds), {RUN: partial(_run, server, count)})


def _run(server: Server, count: int) -> Measures:
    server.empty()
    server.fill_list(count)
    measures: Measures
    measures, waits = together((_import, server.url, count), (_ping, server.url))
    return measures | {COUNT: count, PING: max(waits), PING_99: percentile(waits, 99)}


def _import(barrier: Barrier, url: str, count: int) -> Measures:
    server = Server(url)
    with TemporaryDirectory() as folder, closing(server.client):
        server.client.slowlog_reset()
        ready(barrier)
        with World(Path(folder), url, **INPUTS).runner() as runner:
            drained = server.drained(count)
            memory = runner.largest_memory()
            ready(barrier)
            runner.terminate()
            runner.ended()
        return {RATE: drained.per_second, RSS: memory / (1 << 20), COMMAND: server.longest_command()}


def _ping(barrier: Barrier, url: str) -> list[float]:
    """Return how many milliseconds each PING took, while the other process is at work."""
    waits = []
    with closing(connect(url)) as client:
        client.ping()
        ready(barrier)
        while not barrier.n_waiting:
            time.sleep(PERIOD)
            began = time.perf_counter()
            client.ping()
            waits.append(1e3 * (time.perf_counter() - began))
        ready(barrier)
    return waits


def report(samples: Samples) -> Report:
    """Show how long others waited, and memory."""
    measures = samples[RUN]
    heads = {
        PING: "longest PING, ms",
        PING_99: "PING p99, ms",
        COMMAND: "longest command, ms",
        RSS: "largest process, MiB",
        RATE: "records/s, to the CSV file",
    }
    row = [RUN, *(around(spread(measures[measure])) for measure in heads)]
    aims = [
        Aim("longest PING", spread(measures[PING]), 10, " ms"),
        Aim("memory of the largest process of pumpkit", spread(measures[RSS]), 100, " MiB"),
    ]
    count = number(measures[COUNT][0])
    about = f"A list of {count} records is moved into the log and from there into CSV; in three rounds at most."
    return Report(about, [Table(["", *heads.values()], [row])], aims)
