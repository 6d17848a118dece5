"""The sink: its hooks. Its settings are in `settings.py` and `originals.py`."""

import logging
from typing import Any, Literal

import attrs
from elasticsearch import Elasticsearch

from pumpkit import PumpConfig, Records, hookimpl
from pumpkit_es import template
from pumpkit_es.body import Encoder
from pumpkit_es.bulk import Bulk
from pumpkit_es.connect import connect
from pumpkit_es.index_names import IndexNames
from pumpkit_es.originals import SettingsOfOriginals

log = logging.getLogger(__name__)


@attrs.define(eq=False)
class ElasticsearchSink(SettingsOfOriginals):
    """Writes records as documents, each once under its id."""

    _client: Elasticsearch | None = attrs.field(default=None, init=False, repr=False)
    _bulk: Bulk | None = attrs.field(default=None, init=False, repr=False)
    _encoder: Encoder = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        names = IndexNames(self.index_template(), self.max_indexes)
        self._encoder = Encoder(names, self.routing, self.time_field if self.data_stream else "")

    @property
    def duplicates(self) -> Literal["never", "possible"]:
        """A data stream knows ids only within the index that it writes to now: not across a rollover."""
        return "possible" if self.data_stream else "never"

    @hookimpl
    def init(self, config: PumpConfig) -> None:
        """Connect, see that it is an Elasticsearch of the right version, and put the index template in place."""
        self.close()
        idle = self.idle()
        if idle:
            log.warning("settings of the original that have no meaning here: %s", "; ".join(idle))
        connection = connect(self)
        client, names = connection.client, self._encoder.names
        try:
            template.install(client, connection.hosts, self.template, names, self.time_field, self.data_stream)
        except BaseException:
            client.close()
            raise
        options = self._options(connection.version)
        self._client = client
        self._bulk = Bulk(client, connection.hosts, names.fixed, options, self.request_bytes())

    def _options(self, version: tuple[int, int]) -> dict[str, Any]:
        """Return the parameters of every bulk request."""
        options: dict[str, Any] = {}
        if self.data_stream and version >= (8, 13):
            options["require_data_stream"] = "true"  # else a plain index is made where no template makes streams
        if self.pipeline:
            options["pipeline"] = self.pipeline
        if self.wait_for_active_shards is not None:
            options["wait_for_active_shards"] = self.wait_for_active_shards
        return options

    @hookimpl
    def write_data(self, records: Records, ids: list[str], timeout: float | None) -> None:
        """Write what is not there yet. Raises PartialWrite, Unavailable, ConfigError or TimeoutError."""
        if self._bulk is None:
            raise RuntimeError("write_data before init, or after close")
        self._bulk.write(self._encoder.encode(records, ids), timeout)

    @hookimpl
    def close(self) -> None:
        """Close connections."""
        client, self._client, self._bulk = self._client, None, None
        if client is not None:
            client.close()
