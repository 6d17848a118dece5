"""The MongoDB sink passes the conformance kit, on a server that asks for a user, over a network that fails."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from bson.codec_options import CodecOptions

from pumpkit.hookspecs import Record
from pumpkit.testing import Arrived, Destination, SinkConformance
from tests.conftest import missing
from tests.servers.mongo import ROOT, MongoServer, find
from tests.servers.proxy import Proxy


class MongoDestination(Destination):
    """One collection. How values read is written down here once more, not taken from the sink."""

    cannot: ClassVar[dict[str, str]] = {
        "read_in_order": "documents have no order but that of a field",
        "busy": "MongoDB refuses without saying for how long",
    }

    def __init__(self, folder: Path, server: MongoServer) -> None:
        super().__init__(folder)
        server.clean()
        self.server = server
        self.proxy = Proxy(server.port)
        self.database = f"records-{folder.name}"

    def meta(self) -> dict[str, Any]:
        return {
            "url": f"mongodb://127.0.0.1:{self.proxy.port}/{self.database}?directConnection=true&heartbeatFrequencyMS=500"
            "&serverSelectionTimeoutMS=3000",
            "collection": "audit",
            "username": ROOT[0],
            "password": ROOT[1],
            "auth-source": "admin",
        }

    def read(self) -> Sequence[Arrived]:
        with self.server.client() as client:
            found = client[self.database].get_collection("audit", CodecOptions(tz_aware=True)).find()
            return [Arrived(document.pop("_id"), document) for document in found]

    def expected(self, record: Record) -> Record:
        """Times have milliseconds, and the id of the record takes the place of its own `_id`."""
        return {"_id_" if name == "_id" else name: _stored(value) for name, value in record.items()}

    def poison(self) -> Record:
        return {"number": -1, "big": 1 << 63}

    def stop(self) -> None:
        self.proxy.mode = "refuse"

    def start(self) -> None:
        self.proxy.heal()

    def hang(self) -> None:
        self.proxy.mode = "blackhole"

    def unhang(self) -> None:
        self.proxy.heal()

    def bad_login(self) -> dict[str, Any]:
        return self.meta() | {"password": "wr0ng-word"}

    def close(self) -> None:
        self.proxy.stop()


def _stored(value: Any) -> Any:
    match value:
        case dict():
            return {name: _stored(inner) for name, inner in value.items()}
        case list():
            return [_stored(inner) for inner in value]
        case datetime():
            utc = value.astimezone(UTC)
            return utc - timedelta(microseconds=utc.microsecond % 1000)
        case _:
            return value


@pytest.fixture(scope="module")
def server() -> Iterator[MongoServer]:
    """One server for all cases."""
    if find() is None:
        missing("a server that speaks MongoDB's protocol", "python -m tests.servers.install gets it")
    server = MongoServer(auth=True)
    try:
        yield server.start()
    finally:
        server.stop()


class TestMongo(SinkConformance):
    """Every case, without a gap."""

    plugin = "mongo"

    @pytest.fixture
    def destination(self, server: MongoServer) -> Callable[[Path], Destination]:
        """What makes the destination."""
        return lambda folder: MongoDestination(folder, server)
