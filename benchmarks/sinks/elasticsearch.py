"""Into Elasticsearch: the worker beside `helpers.bulk`, and the body of a bulk request beside `json.dumps`."""

import datetime
import json
import time
from collections.abc import Callable
from functools import partial

from elasticsearch import Elasticsearch, helpers

from benchmarks.apart import apart
from benchmarks.drain import Used
from benchmarks.rounds import Measures, Samples, Size, interleaved, ratio, spread
from benchmarks.sinks import drains
from benchmarks.sinks.documents import BATCH, SHAPES, with_ids
from benchmarks.sinks.drains import Store
from benchmarks.table import Aim, Report, Table, around
from benchmarks.world import PUMP
from pumpkit import Records
from pumpkit_es.body import Encoder
from pumpkit_es.index_names import IndexNames
from tests.servers.elasticsearch import ElasticServer, installed_major, missing_for

TITLE = "Into Elasticsearch"
MISSING = "Elasticsearch, or Java for it"

SINK, DUMPS = "body, sink", "body, json.dumps"
BODY = "body_us"


def fresh(server: ElasticServer) -> Store:
    """Return how to write to the one index, new, mapped by the template that the pump puts in place."""
    server.request("DELETE", f"/{PUMP}")
    pump = {"type": "elasticsearch", "meta": {"hosts": server.url, "index": PUMP}}
    return Store(server.url, pump, bulk, encode, partial(server.count, PUMP))


def bulk(url: str, shape: str, count: int) -> Used:
    """Write with `helpers.bulk` alone."""
    actions = [{"_op_type": "create", "_id": id_, "_source": record} for id_, record in with_ids(shape, count)]
    with Elasticsearch(url) as client:
        client.info()
        cpu, wall = time.process_time(), time.monotonic()
        helpers.bulk(client, actions, index=PUMP, chunk_size=BATCH, stats_only=True)
        return Used(time.process_time() - cpu, time.monotonic() - wall)


def encode(records: Records, ids: list[str]) -> bytes:
    """Make the body of a request as the sink does."""
    return b"".join(Encoder(IndexNames(PUMP, 1)).encode(records, ids).lines)


def dumps(records: Records, ids: list[str]) -> bytes:
    """Make the body of a request with `json.dumps` for each line of it, as the client of Elasticsearch does."""
    lines = [
        f"{json.dumps({'create': {'_id': id_}})}\n{json.dumps(record, default=datetime.datetime.isoformat)}\n"
        for record, id_ in zip(records, ids, strict=True)
    ]
    return "".join(lines).encode()


def measure(size: Size) -> Samples:
    """Measure as `drains` does, and microseconds for a record in a body; nothing, where there is no server."""
    if missing_for(installed_major()):
        return {}
    server = ElasticServer()
    try:
        place = partial(fresh, server.start())
        drains.measure(Size(1, min(0.2, size.scale)), place)  # the server compiles, and has the template
        samples = drains.measure(size, place)
    finally:
        server.stop()
    ways = {SINK: encode, DUMPS: dumps}
    count = BATCH * size.of(15)
    return samples | interleaved(
        size.rounds,
        {drains.name(shape, name): partial(_body, way, shape, count) for shape in SHAPES for name, way in ways.items()},
    )


def _body(way: Callable[[Records, list[str]], bytes], shape: str, count: int) -> Measures:
    measures: Measures = apart(_timed, way, shape, count)
    return measures


def _timed(way: Callable[[Records, list[str]], bytes], shape: str, count: int) -> Measures:
    ids, records = map(list, zip(*with_ids(shape, count), strict=True))
    cpu = time.process_time()
    for first in range(0, count, BATCH):
        way(records[first : first + BATCH], ids[first : first + BATCH])
    return {BODY: 1e6 * (time.process_time() - cpu) / count}


def report(samples: Samples) -> Report:
    """Compare with `helpers.bulk`, and bodies with those of `json.dumps`."""
    about = "The raw loop is `helpers.bulk` with `create`; both write into an index of the same mapping."
    whole = drains.report(samples, about)
    rows, aims = [], []
    for shape in SHAPES:
        sink, dumps = drains.name(shape, SINK), drains.name(shape, DUMPS)
        faster = ratio(samples, BODY, dumps, sink)
        rows.append([shape, *(around(spread(samples[way][BODY])) for way in (dumps, sink)), around(faster)])
        aims.append(Aim(f"body of a bulk request, {shape}, times faster than json.dumps,", faster, 5, at_least=True))
    table = Table(["body of a bulk request", "json.dumps, µs a record", "sink, µs a record", "times faster"], rows)
    return Report(whole.about, [*whole.tables, table], [*whole.aims, *aims])
