"""Elasticsearch sinks opened as a pump opens them, and their documents read by plain HTTP."""

from typing import Any

from pumpkit.config import Meta, PumpConfig
from pumpkit.errors import PartialWrite
from pumpkit.plugins import Sink
from tests.servers.elasticsearch import ElasticServer

PRODUCER = "0190f0b0c0de7000800000000000000a"

#: What `answer` gives: the records of a write that were rejected, and those to be sent again.
Parts = tuple[dict[int, str], list[int]]


class EsWorld:
    """A server, the sinks that write to it, and what is in it."""

    def __init__(self, server: ElasticServer | None = None) -> None:
        self.server = server
        self.sinks: list[Sink] = []

    def make(self, **meta: Any) -> Sink:
        """Make the sink of the pump `search`, without `init`; `meta` may name other hosts or another index."""
        hosts = {"hosts": self.server.url} if self.server else {}
        sink = Sink.open(PumpConfig(name="search", type="elasticsearch"), Meta({**hosts, "index": "audit", **meta}))
        self.sinks.append(sink)
        return sink

    def open(self, **meta: Any) -> Sink:
        """Make a sink, and let it connect."""
        sink = self.make(**meta)
        sink.init()
        return sink

    def write(self, sink: Sink, records: list[dict[Any, Any]], first: int = 0, timeout: float | None = 10.0) -> None:
        """Write records whose ids begin with sequence `first`. Raises the sink's verdict."""
        sink.write([dict(record) for record in records], ids(first, len(records)), timeout, False)

    def answer(self, sink: Sink, records: list[dict[Any, Any]], first: int = 0) -> Parts:
        """Write records; return which were rejected, and which are to be sent again."""
        try:
            self.write(sink, records, first)
        except PartialWrite as verdict:
            return verdict.rejected, verdict.retry
        return {}, []

    def deliver(self, sink: Sink, records: list[dict[Any, Any]], first: int = 0) -> dict[int, str]:
        """Write records until none is to be sent again, as a pump does; return what was rejected, by sequence."""
        todo = dict(zip(ids(first, len(records)), records, strict=True))
        rejected: dict[int, str] = {}
        while todo:
            names = list(todo)
            try:
                sink.write([dict(todo[name]) for name in names], names, 10.0, False)
            except PartialWrite as verdict:
                rejected |= {sequence(names[index]): reason for index, reason in verdict.rejected.items()}
                todo = {names[index]: todo[names[index]] for index in verdict.retry}
            else:
                break
        return rejected

    def documents(self, index: str = "audit") -> dict[int, dict[str, Any]]:
        """Return what is there, by sequence; each id once in an index, but perhaps in several indices."""
        assert self.server is not None
        found = [(sequence(document["_id"]), document) for document in self.server.documents(index)]
        assert len(found) == len(dict(found)), "an id is there twice"
        return {
            number: {field: value for field, value in document.items() if field not in ("_id", "_index")}
            for number, document in sorted(found, key=lambda pair: pair[0])
        }

    def indices(self, pattern: str) -> list[str]:
        """Return the names of indices."""
        assert self.server is not None
        return sorted({str(document["_index"]) for document in self.server.documents(pattern)})

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the server for something that it does; return its answer."""
        assert self.server is not None
        status, answer = self.server.request(method, path, body)
        assert status in (200, 201), answer
        return answer

    def close(self) -> None:
        """Close all sinks."""
        for sink in self.sinks:
            sink.close()


def ids(first: int, count: int) -> list[str]:
    """Return record ids in a row."""
    return [f"{PRODUCER}-{n}" for n in range(first, first + count)]


def sequence(id_: str) -> int:
    """Return the number in a record id."""
    return int(id_.rpartition("-")[2])


def numbers(first: int, count: int) -> list[dict[str, Any]]:
    """Return records in a row."""
    return [{"n": n, "text": f"record {n}"} for n in range(first, first + count)]
