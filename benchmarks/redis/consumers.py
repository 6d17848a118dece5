"""The way of records out of Redis into a Python process: a cursor over frames, and loops over single records.

All decode every record with msgpack. The cursor commits as a pump does, and what it has fetched is handed out again
if it dies; so is what the consumer group has read and not acknowledged. What LPOP has taken is gone with its process.
"""

import time
from collections.abc import Callable
from contextlib import closing
from functools import partial

import msgpack

from benchmarks.apart import apart
from benchmarks.redis.server import CPU, LIST, RATE, Server, connect, go_items, rates
from benchmarks.rounds import Measures, Samples, Size, interleaved, ratio, spread
from benchmarks.table import Report, Table, around
from pumpkit.batch import decode
from pumpkit.buffers import open_buffer
from pumpkit.buffers.base import Counts

TITLE = "Out of Redis"

FRAMES = {"frames of 2,000, fetch and commit": 2_000, "frames of 100, fetch and commit": 100}
LPOP, STREAM = "LPOP 1,000", "XREADGROUP 1,000, XACK"
AT_ONCE = 1_000  # `batch-records` by default, and what the loops take

_FIRST = next(iter(FRAMES))


def measure(size: Size, server: Server) -> Samples:
    """Measure microseconds of processor time for a record, and records per second."""
    ways: dict[str, Callable[[], Measures]] = {
        name: partial(_frames, server, frame, size.of(100_000, least=4_000)) for name, frame in FRAMES.items()
    }
    ways[LPOP] = partial(_list, server, size.of(50_000, least=2_000))
    ways[STREAM] = partial(_stream, server, size.of(20_000, least=2_000))
    return interleaved(size.rounds, ways)


def _frames(server: Server, size: int, count: int) -> Measures:
    server.empty()
    server.fill_log(count // size, size)
    measures: Measures = apart(_follow, server.url, count // size * size)
    return measures


def _follow(url: str, count: int) -> Measures:
    with closing(open_buffer(url)) as buffer, closing(buffer.cursor("audit")) as cursor:
        buffer_id, read = buffer.stats().buffer_id, 0
        decode([], 0, buffer_id)
        cpu, wall = time.process_time(), time.monotonic()
        while read < count:
            batch = decode(cursor.fetch(AT_ONCE, 4 << 20), 0, buffer_id)
            cursor.commit(batch.slots[-1].delivery.position, Counts(delivered=len(batch.live)))
            read += len(batch.live)
        return rates(count, time.process_time() - cpu, time.monotonic() - wall)


def _list(server: Server, count: int) -> Measures:
    server.empty()
    server.fill_list(count)
    measures: Measures = apart(_pop, server.url, count)
    return measures


def _pop(url: str, count: int) -> Measures:
    client, read = connect(url), 0
    client.ping()
    cpu, wall = time.process_time(), time.monotonic()
    while items := client.lpop(LIST, AT_ONCE):
        read += len([msgpack.unpackb(item, timestamp=3) for item in items])
    return _all(read, count, time.process_time() - cpu, time.monotonic() - wall)


def _stream(server: Server, count: int) -> Measures:
    server.empty()
    items = go_items()
    with server.client.pipeline(transaction=False) as pipe:
        for number in range(count):
            pipe.xadd("stream", {"r": items[number % len(items)]})
            if len(pipe) == AT_ONCE or number == count - 1:
                pipe.execute()
    server.client.xgroup_create("stream", "audit", "0")
    measures: Measures = apart(_read_group, server.url, count)
    return measures


def _read_group(url: str, count: int) -> Measures:
    client, read = connect(url), 0
    client.ping()
    cpu, wall = time.process_time(), time.monotonic()
    while found := client.execute_command(
        "XREADGROUP", "GROUP", "audit", "one", "COUNT", AT_ONCE, "STREAMS", "stream", ">"
    ):
        ids = []
        for id_, fields in found[0][1]:
            msgpack.unpackb(fields[b"r"], timestamp=3)
            ids.append(id_)
        read += client.xack("stream", "audit", *ids)
    return _all(read, count, time.process_time() - cpu, time.monotonic() - wall)


def _all(read: int, count: int, cpu: float, wall: float) -> Measures:
    if read != count:
        raise RuntimeError(f"{read} of {count} records came")
    return rates(count, cpu, wall)


def report(samples: Samples) -> Report:
    """Compare all with frames of full size."""
    rows = []
    for name, measures in samples.items():
        figures = [around(spread(measures[CPU])), around(spread(measures[RATE]))]
        rows.append([name, *figures, around(ratio(samples, RATE, _FIRST, name))])
    about = "Fetching, decoding and acknowledging, nothing else; the processor time of the reading process."
    return Report(about, [Table(["", "processor, µs a record", "records/s", "frames of 2,000, times records/s"], rows)])
