"""The Elasticsearch sink passes the conformance kit, on a node that asks for a user, over a network that fails."""

import base64
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pumpkit.hookspecs import Record
from pumpkit.testing import Arrived, Destination, SinkConformance
from tests.conftest import missing
from tests.servers.elasticsearch import ROOT, ElasticServer, installed_major, missing_for
from tests.servers.proxy import Proxy
from tests.sinks.es_scripted import PRODUCT, Answer, ScriptedServer

pytestmark = pytest.mark.elasticsearch


class ElasticDestination(Destination):
    """One index. How values read is written down here once more, not taken from the sink."""

    cannot: ClassVar[dict[str, str]] = {
        "read_in_order": "documents have no order but that of a field",
    }

    def __init__(self, folder: Path, server: ElasticServer) -> None:
        super().__init__(folder)
        server.clean()
        self.server = server
        self.proxy = Proxy(server.port)
        self.index = f"audit-{folder.name.lower()}"
        self.shedding: ScriptedServer | None = None

    def meta(self) -> dict[str, Any]:
        return {
            "hosts": f"http://127.0.0.1:{self.proxy.port}",
            "index": self.index,
            "username": ROOT[0],
            "password": ROOT[1],
        }

    def read(self) -> Sequence[Arrived]:
        found = []
        for document in self.server.documents(self.index):
            id_ = document.pop("_id")
            del document["_index"]
            found.append(Arrived(id_, document))
        return found

    def expected(self, record: Record) -> Record:
        own = ("_id", "_index", "_source", "_routing", "_version")
        return {f"{name}_" if name in own else name: value for name, value in _plain(record).items()}

    def poison(self) -> Record:
        """Objects in objects, beyond what a mapping allows."""
        record: Record = {"number": -1}
        for _ in range(25):
            record = {"deep": record}
        return record

    def stop(self) -> None:
        self.proxy.mode = "refuse"

    def start(self) -> None:
        self.proxy.heal()

    def hang(self) -> None:
        self.proxy.mode = "blackhole"

    def unhang(self) -> None:
        self.proxy.heal()

    def busy(self, seconds: int) -> None:
        """As a proxy does that sheds load: Elasticsearch itself does not say for how long."""
        self.shedding = ScriptedServer(Answer(429, b"", {**PRODUCT, "Retry-After": str(seconds)}))
        self.proxy.mode = "refuse"
        self.proxy.target = self.shedding.port
        self.proxy.heal()

    def bad_login(self) -> dict[str, Any]:
        return self.meta() | {"password": "wr0ng-word"}

    def close(self) -> None:
        self.proxy.stop()
        if self.shedding is not None:
            self.shedding.stop()


def _plain(value: Any) -> Any:
    """Return a value as it is read back."""
    match value:
        case dict():
            return {_text(name): _plain(inner) for name, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
        case bytes():
            return base64.b64encode(value).decode()
        case datetime():
            text = value.astimezone(UTC).replace(tzinfo=None).isoformat()
            return f"{text}Z"
        case str():
            return _text(value)
        case _:
            return value


def _text(text: str) -> str:
    return "".join(f"\\u{ord(c):04x}" if "\ud800" <= c <= "\udfff" else c for c in text)


@pytest.fixture(scope="module")
def node() -> Iterator[ElasticServer]:
    """One node for all cases."""
    lacking = missing_for(installed_major())
    if lacking:
        missing(lacking, "python -m tests.servers.install gets it")
    server = ElasticServer(security=True)
    try:
        yield server.start()
    finally:
        server.stop()


class TestElasticsearch(SinkConformance):
    """Every case, without a gap."""

    plugin = "elasticsearch"

    @pytest.fixture
    def destination(self, node: ElasticServer) -> Callable[[Path], Destination]:
        """What makes the destination."""
        return lambda folder: ElasticDestination(folder, node)
