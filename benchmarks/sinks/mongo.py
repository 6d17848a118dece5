"""Into MongoDB: the worker beside `insert_many`."""

import itertools
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pymongo

from benchmarks.drain import Used
from benchmarks.rounds import Samples, Size
from benchmarks.sinks import drains
from benchmarks.sinks.documents import BATCH, with_ids
from benchmarks.sinks.drains import Store
from benchmarks.table import Report
from benchmarks.world import PUMP
from pumpkit import Records
from pumpkit_mongo.documents import Encoder
from tests.servers.mongo import MongoServer, find

TITLE = "Into MongoDB"
MISSING = "a server that speaks MongoDB's protocol"


def fresh(server: MongoServer, numbers: Iterator[int]) -> Store:
    """Return how to write to a database of a server that nobody has written to: dropping one takes long."""
    name = f"benchmark_{next(numbers)}"
    url = server.url + name

    def count() -> int:
        with server.client() as client:
            return client[name][PUMP].count_documents({})

    return Store(url, {"type": "mongo", "meta": {"url": url}}, insert_many, encode, count)


def insert_many(url: str, shape: str, count: int) -> Used:
    """Write with `insert_many` alone, unordered, confirmed by the majority."""
    documents: list[dict[str, Any]] = [{"_id": id_, **record} for id_, record in with_ids(shape, count)]
    with pymongo.MongoClient[dict[str, Any]](url, w="majority") as client:
        client.admin.command("ping")
        collection = client.get_default_database()[PUMP]
        cpu, wall = time.process_time(), time.monotonic()
        for first in range(0, count, BATCH):
            collection.insert_many(documents[first : first + BATCH], ordered=False)
        return Used(time.process_time() - cpu, time.monotonic() - wall)


def encode(records: Records, ids: list[str]) -> object:
    """Make documents as the sink does."""
    return Encoder(PUMP).encode(records, ids)


def measure(size: Size) -> Samples:
    """Measure as `drains` does; nothing, where there is no server."""
    if find() is None:
        return {}
    server = MongoServer()
    try:
        return drains.measure(size, partial(fresh, server.start(), itertools.count()))
    finally:
        server.stop()


def report(samples: Samples) -> Report:
    """Compare with `insert_many`."""
    return drains.report(samples, "The raw loop is `insert_many`, unordered; both wait for `w: majority`.")
