"""The bytes of Redis's memory that a record takes while it waits: in frames, and in the list of a Go program."""

from functools import partial

from benchmarks.redis.server import Server
from benchmarks.rounds import Measures, Samples, Size, interleaved, ratio, spread
from benchmarks.table import Aim, Report, Table, around

TITLE = "Memory of a record that waits"

LIST = "a Go program's list"
FRAMES = {"frames of 2,000 records": 2_000, "frames of 100 records": 100}
BYTES = "bytes"


def measure(size: Size, server: Server) -> Samples:
    """Measure bytes for a record."""
    count = size.of(50_000, least=4_000)
    ways = {name: partial(_frames, server, records, count) for name, records in FRAMES.items()}
    return interleaved(min(3, size.rounds), {LIST: partial(_list, server, count)} | ways)


def _list(server: Server, count: int) -> Measures:
    server.empty()
    before = server.memory()
    server.fill_list(count)
    return {BYTES: (server.memory() - before) / count}


def _frames(server: Server, size: int, count: int) -> Measures:
    server.empty()
    server.fill_log(1, size)  # what is there but once
    before = server.memory()
    server.fill_log(count // size, size)
    return {BYTES: (server.memory() - before) / (count // size * size)}


def report(samples: Samples) -> Report:
    """Compare frames and lists."""
    rows = []
    for name in (LIST, *FRAMES):
        rows.append([name, around(spread(samples[name][BYTES])), around(ratio(samples, BYTES, name, LIST))])
    aims = [Aim(f"memory, {name}, against the list,", ratio(samples, BYTES, name, LIST), 0.17) for name in FRAMES]
    about = "Memory that the server uses more of than before, for a record; in three rounds at most."
    return Report(about, [Table(["", "bytes a record", "times list"], rows)], aims)
