"""MongoDB sinks opened as a pump opens them, and their documents read with a plain client."""

from collections.abc import Callable
from typing import Any

from bson.codec_options import CodecOptions
from pymongo import monitoring

from pumpkit.config import Meta, PumpConfig
from pumpkit.errors import PartialWrite
from pumpkit.plugins import Sink
from tests.servers.mongo import MongoServer

PRODUCER = "0190f0b0c0de7000800000000000000a"

#: The database of every test.
DATABASE = "records"


class _Commands(monitoring.CommandListener):
    """Keeps every command that a client sends."""

    def __init__(self) -> None:
        self.commands: list[dict[str, Any]] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.commands.append(dict(event.command))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        pass


class MongoWorld:
    """A server, the sinks that write to it, and what is in it."""

    def __init__(self, server: MongoServer) -> None:
        self.server = server
        self.sinks: list[Sink] = []

    def url(self, port: int | None = None, options: str = "") -> str:
        """Return the URL of the database, with a heartbeat that finds a server which came back; `port` is a proxy's."""
        place, _, query = self.server.url.removeprefix("mongodb://").partition("?")
        words = ["heartbeatFrequencyMS=500", *filter(None, [query])]
        if port:
            place, words = f"127.0.0.1:{port}", ["heartbeatFrequencyMS=500", "directConnection=true"]
        if "@" in place and "authSource" not in query:
            words.append("authSource=admin")  # not the database that stands in this URL
        return f"mongodb://{place.partition('/')[0]}/{DATABASE}?{'&'.join(words)}{options}"

    def make(self, **meta: Any) -> Sink:
        """Make the sink of the pump `audit`, without `init`."""
        return self._make({"url": self.url(), **{name.replace("_", "-"): value for name, value in meta.items()}})

    def _make(self, meta: dict[str, Any]) -> Sink:
        sink = Sink.open(PumpConfig(name="audit", type="mongo"), Meta(meta))
        self.sinks.append(sink)
        return sink

    def open_as_is(self, **meta: Any) -> Sink:
        """Make a sink with settings under just these names, and let it connect."""
        sink = self._make(meta)
        sink.init()
        return sink

    def open(self, **meta: Any) -> Sink:
        """Make a sink, and let it connect."""
        sink = self.make(**meta)
        sink.init()
        return sink

    def write(self, sink: Sink, records: list[dict[Any, Any]], first: int = 0, timeout: float | None = 10.0) -> None:
        """Write records whose ids begin with sequence `first`. Raises the sink's verdict."""
        sink.write([dict(record) for record in records], ids(first, len(records)), timeout, False)

    def rejected(self, sink: Sink, records: list[dict[Any, Any]], first: int = 0) -> dict[int, str]:
        """Write records; return which were rejected, and why."""
        try:
            self.write(sink, records, first)
        except PartialWrite as verdict:
            return verdict.rejected | {index: "to be sent again" for index in verdict.retry}
        return {}

    def documents(self, collection: str = "audit") -> dict[int, dict[str, Any]]:
        """Return what is there, by sequence, without `_id`."""
        with self.server.client() as client:
            found = list(client[DATABASE].get_collection(collection, CodecOptions(tz_aware=True)).find())
        by_sequence = {sequence(document.pop("_id")): document for document in found}
        assert len(by_sequence) == len(found), "an id is there twice"
        return dict(sorted(by_sequence.items()))

    def collections(self) -> list[str]:
        """Return the names of the collections."""
        with self.server.client() as client:
            return sorted(client[DATABASE].list_collection_names())

    def plugin(self, sink: Sink) -> object:
        """Return what the plugin made of the settings."""
        return sink._hook.init.get_hookimpls()[0].plugin

    def commands(self, act: Callable[[], None]) -> list[dict[str, Any]]:
        """Return the commands that clients made in `act` sent."""
        seen = _Commands()
        before = list(monitoring._LISTENERS.command_listeners)
        monitoring.register(seen)
        try:
            act()
        finally:
            monitoring._LISTENERS.command_listeners[:] = before
        return seen.commands

    def close(self) -> None:
        """Close all sinks."""
        for sink in self.sinks:
            sink.close()


def ids(first: int, count: int) -> list[str]:
    """Return record ids in a row."""
    return [f"{PRODUCER}-{n}" for n in range(first, first + count)]


def sequence(id_: str) -> int:
    """Return the number in a record id."""
    return int(str(id_).rpartition("-")[2])


def numbers(first: int, count: int) -> list[dict[str, Any]]:
    """Return records in a row."""
    return [{"n": n, "text": f"record {n}"} for n in range(first, first + count)]
