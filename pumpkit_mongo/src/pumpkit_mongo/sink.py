"""The sink: its hooks. Its settings are in `settings.py` and `originals.py`."""

import logging
from typing import Literal

import attrs
import pymongo

from pumpkit import ConfigError, PumpConfig, Records, hookimpl
from pumpkit_mongo.collections import Collections
from pumpkit_mongo.connect import Client, connect, database, place
from pumpkit_mongo.documents import Encoder
from pumpkit_mongo.expiry import Expiry
from pumpkit_mongo.names import CollectionNames
from pumpkit_mongo.originals import SettingsOfOriginals
from pumpkit_mongo.upserts import Upserts
from pumpkit_mongo.writer import Writer

log = logging.getLogger(__name__)

#: Seconds that `init` may take, below those that the pump gives it: indexes of a large collection take their time.
PATIENCE = 25.0

#: Seconds that closing may take: the driver tells the server that its sessions end, and looks for one that is away.
GOODBYE = 2.0


@attrs.define(eq=False)
class MongoSink(SettingsOfOriginals):
    """Writes records as documents, each once under its id."""

    _client: Client | None = attrs.field(default=None, init=False, repr=False)
    _writer: Writer | None = attrs.field(default=None, init=False, repr=False)
    _encoder: Encoder | None = attrs.field(default=None, init=False, repr=False)

    @property
    def duplicates(self) -> Literal["never", "possible"]:
        """Only a collection with a unique id knows a record again."""
        return "possible" if self.allow_duplicates else "never"

    @hookimpl
    def init(self, config: PumpConfig) -> None:
        """Connect, and make the collection ready if its name is known already."""
        self.close()
        if idle := self.idle():
            log.warning("settings of the original that have no meaning here: %s", "; ".join(idle))
        try:
            names = CollectionNames(self.collection or config.name, self.max_collections)
        except ValueError as error:  # of the pump's name; `collection` was checked before
            raise ConfigError(f"set `collection`, for the pump's name is none for a collection: {error}") from None
        with pymongo.timeout(PATIENCE):
            client = connect(self, config.name)
            try:
                collections = Collections(database(client, self), self, place(self))
                if names.fixed:
                    collections.get(names.fixed)
            except BaseException:
                client.close()
                raise
        expiry = Expiry(self.expire_field, self.time_field, self.expire_after) if self.expires() else None
        self._client = client
        self._encoder = Encoder(names.fixed or names.name, self.document_bytes(), expiry)
        self._writer = Writer(collections, self.command_bytes(), Upserts(self.upsert_by) if self.upsert_by else None)

    @hookimpl
    def write_data(self, records: Records, ids: list[str], timeout: float | None) -> None:
        """Write what is not there yet. Raises PartialWrite, Unavailable or ConfigError."""
        if self._writer is None or self._encoder is None:
            raise RuntimeError("write_data before init, or after close")
        parts, rejected = self._encoder.encode(records, ids)
        self._writer.write(parts, records, rejected, timeout)

    @hookimpl
    def close(self) -> None:
        """Close connections."""
        client, self._client, self._writer, self._encoder = self._client, None, None, None
        if client is not None:
            with pymongo.timeout(GOODBYE):
                client.close()
