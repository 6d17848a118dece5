"""Real servers behind a pump, as tests of whole programs see them: alike for each kind."""

from collections import Counter
from typing import Any, ClassVar, Protocol

from pumpkit.hookspecs import Record


class Store(Protocol):
    """A server, and what a pump wrote there."""

    type: ClassVar[str]
    server: Any

    def meta(self, port: int | None = None) -> dict[str, Any]:
        """Return settings that lead a sink there; `port` is that of a proxy."""

    def arrived(self) -> Counter[int]:
        """Return how often each `n` is there."""


class MongoStore:
    """A collection on a server that speaks MongoDB's protocol."""

    type: ClassVar[str] = "mongo"

    def __init__(self, server: Any) -> None:
        self.server = server

    def meta(self, port: int | None = None) -> dict[str, Any]:
        # The heartbeat finds a server that came back within half a second, not within ten.
        url = f"mongodb://127.0.0.1:{port or self.server.port}/pumpkit?heartbeatFrequencyMS=500&directConnection=true"
        return {"url": url, "collection": "audit"}

    def arrived(self) -> Counter[int]:
        with self.server.client() as client:
            found: list[Record] = list(client["pumpkit"]["audit"].find({}, {"n": 1}))
        return Counter(record["n"] for record in found)


class ElasticStore:
    """An index on an Elasticsearch server."""

    type: ClassVar[str] = "elasticsearch"

    def __init__(self, server: Any) -> None:
        self.server = server

    def meta(self, port: int | None = None) -> dict[str, Any]:
        return {"hosts": f"http://127.0.0.1:{port or self.server.port}", "index": "audit"}

    def arrived(self) -> Counter[int]:
        return Counter(document["n"] for document in self.server.documents("audit"))
