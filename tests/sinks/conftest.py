"""Sinks opened as a pump opens them, and what they wrote read as a user reads it."""

import csv
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pumpkit.config import Meta, PumpConfig
from pumpkit.errors import PartialWrite
from pumpkit.plugins import Sink

if TYPE_CHECKING:
    from tests.servers.elasticsearch import ElasticServer
    from tests.servers.mongo import MongoServer
    from tests.sinks.es_world import EsWorld
    from tests.sinks.mongo_world import MongoWorld


class CsvWorld:
    """A folder with one `csv-dir`, the sinks that write to it, and what is in it."""

    producer = "0190f0b0c0de7000800000000000000a"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.dir = folder / "out"
        self.sinks: list[Sink] = []
        self.copies = 0

    def open(self, **meta: Any) -> Sink:
        """Open the pump `audit`; `meta` may name another directory."""
        sink = Sink.open(PumpConfig(name="audit", type="csv"), Meta({"csv-dir": str(self.dir), **meta}))
        sink.init()
        self.sinks.append(sink)
        return sink

    def close(self, sink: Sink) -> None:
        """Close a sink as a worker does when it stops."""
        self.sinks.remove(sink)
        sink.close()

    def ids(self, first: int, count: int, producer: str = producer) -> list[str]:
        """Return record ids in a row."""
        return [f"{producer}-{n}" for n in range(first, first + count)]

    def write(self, sink: Sink, records: list[dict[Any, Any]], first: int = 0, late: bool = False) -> dict[int, str]:
        """Write records whose ids begin with sequence `first`; return what was rejected."""
        try:
            sink.write([dict(record) for record in records], self.ids(first, len(records)), 10.0, late)
        except PartialWrite as verdict:
            return verdict.rejected
        return {}

    def files(self) -> list[str]:
        """Return the names of the CSV files in order of their numbers."""
        return sorted((path.name for path in self.dir.glob("*.csv*")), key=lambda name: name.split("-")[-1])

    def tables(self) -> list[list[list[str]]]:
        """Return each file as the csv module reads it."""
        tables = []
        for name in self.files():
            with (self.dir / name).open(newline="", encoding="utf-8") as file:
                tables.append(list(csv.reader(file)))
        return tables

    def left_behind(self, torn: bytes = b"") -> None:
        """Go on in a copy of the directory as a kill now would leave it, with a torn write in the live file."""
        self.copies += 1
        copy = self.folder / f"copy-{self.copies}"
        shutil.copytree(self.dir, copy)
        self.dir = copy
        if torn:
            with (copy / self.files()[-1]).open("ab") as file:
                file.write(torn)

    def rows(self) -> list[list[str]]:
        """Return the rows of all files, without the headers."""
        return [row for table in self.tables() for row in table[1:]]


@pytest.fixture
def csv_world(tmp_path: Path) -> Iterator[CsvWorld]:
    """A world of CSV files; what is still open at the end is closed."""
    world = CsvWorld(tmp_path)
    yield world
    for sink in world.sinks:
        sink.close()


@pytest.fixture
def es_world(es_server: "ElasticServer") -> Iterator["EsWorld"]:
    """An empty Elasticsearch; sinks that are still open at the end are closed."""
    from tests.sinks.es_world import EsWorld

    world = EsWorld(es_server)
    yield world
    world.close()


@pytest.fixture
def mongo_world(mongo_server: "MongoServer") -> Iterator["MongoWorld"]:
    """An empty MongoDB; sinks that are still open at the end are closed."""
    from tests.sinks.mongo_world import MongoWorld

    world = MongoWorld(mongo_server)
    yield world
    world.close()


@pytest.fixture
def new_mongo_world(new_mongo: "Callable[..., MongoServer]") -> Iterator["Callable[..., MongoWorld]"]:
    """Start a server of one's own, with the words of `new_mongo`."""
    from tests.sinks.mongo_world import MongoWorld

    worlds: list[MongoWorld] = []

    def start(**how: Any) -> MongoWorld:
        worlds.append(MongoWorld(new_mongo(**how)))
        return worlds[-1]

    yield start
    for world in worlds:
        world.close()


def numbers(first: int, count: int) -> list[dict[str, Any]]:
    """Return records in a row."""
    return [{"n": n, "text": f"record {n}"} for n in range(first, first + count)]


def cells(first: int, count: int) -> list[list[str]]:
    """Return how they read."""
    return [[str(n), f"record {n}"] for n in range(first, first + count)]
