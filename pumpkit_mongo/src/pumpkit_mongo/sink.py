"""The sink: its hooks. Its settings are in `settings.py` and `originals.py`."""

import datetime
import logging
from typing import Literal

import attrs

from pumpkit import PumpConfig, Record, Records, hookimpl
from pumpkit_mongo.collections import Collections
from pumpkit_mongo.connect import Client, connect, place
from pumpkit_mongo.documents import Encoder
from pumpkit_mongo.names import CollectionNames, moment
from pumpkit_mongo.originals import SettingsOfOriginals
from pumpkit_mongo.settings import DEFAULT_DATABASE
from pumpkit_mongo.writer import Writer

log = logging.getLogger(__name__)


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
        names = CollectionNames(self.collection or config.name, self.max_collections)
        client = connect(self, config.name)
        try:
            database = (
                client.get_database(self.database) if self.database else client.get_default_database(DEFAULT_DATABASE)
            )
            collections = Collections(database, self, place(self))
            if names.fixed:
                collections.get(names.fixed)
        except BaseException:
            client.close()
            raise
        self._client = client
        self._encoder = Encoder(names.name, self.max_document_bytes)
        self._writer = Writer(collections, self.max_bytes, self.upsert_by)

    @hookimpl
    def write_data(self, records: Records, ids: list[str], timeout: float | None) -> None:
        """Write what is not there yet. Raises PartialWrite, Unavailable or ConfigError."""
        if self._writer is None or self._encoder is None:
            raise RuntimeError("write_data before init, or after close")
        if self.expire_after is not None:
            for record in records:
                self._set_expiry(record, self.expire_after)
        documents, rejected = self._encoder.encode(records, ids)
        self._writer.write(documents, rejected, timeout)

    def _set_expiry(self, record: Record, seconds: float) -> None:
        """Give a record that has none the time to be removed at; one without a time of its own counts from now."""
        if record.get(self.expire_field) is None:
            try:
                began = moment(record.get(self.time_field))
            except ValueError:
                began = datetime.datetime.now(datetime.UTC)
            record[self.expire_field] = began + datetime.timedelta(seconds=seconds)

    @hookimpl
    def close(self) -> None:
        """Close connections."""
        client, self._client, self._writer, self._encoder = self._client, None, None, None
        if client is not None:
            client.close()
