"""Settings of the Elasticsearch pumps of iam-pump and Tyk Pump: with a meaning here, and without."""

from typing import Any, ClassVar

import attrs

from pumpkit import ByteSize, key
from pumpkit_es.settings import Settings


@attrs.define(eq=False)
class BulkConfig:
    """How the originals cut batches."""

    workers: int | None = key(None, about="Has no meaning; see the pump's `workers`.")
    flush_interval: int | None = key(None, about="Has no meaning; see `purge-delay`.")
    bulk_actions: int | None = key(None, about="Has no meaning; see the pump's `batch-records`.")
    bulk_size: int | None = key(None, about="Bytes of one request, as `max-bytes`; 0 and -1 leave it as it is.")


#: Settings without a meaning here, and what to know instead.
_IDLE = {
    "version": "the server says its version",
    "extended_stats": "every field is written; see the pump's `detail-fields` and `fields`",
    "generate_id": "the record id is always the document's",
    "decode_base64": "fields are written as they are",
    "disable_bulk": "records always go in bulk requests",
    "use_ssl": "`https://` in `hosts` says so",
}


@attrs.define(eq=False)
class SettingsOfOriginals(Settings):
    """The settings, with those names of the originals that are not just another name of one."""

    gone_keys: ClassVar[dict[str, str]] = {
        "document_type": "Elasticsearch has no types of documents any more; take it out",
        "mcp_index_name": "give such records a pump of their own, with `filters` and `index`",
    }

    rolling_index: bool = key(
        False,
        about="Append a date to `index`: the same as `-{timestamp:%Y.%m.%d}` with the field of `time-field`. It is the "
        "date of the record, not that of the clock.",
    )
    ssl_insecure_skip_verify: bool = key(False, about="The opposite of `verify`.")
    bulk_config: BulkConfig = key(factory=BulkConfig, about="How the originals cut batches.")
    version: Any = key(None, about="Has no meaning: the server says its version.")
    extended_stats: bool | None = key(None, about="Has no meaning: every field is written.")
    generate_id: bool | None = key(None, about="Has no meaning: the record id is always the document's.")
    decode_base64: bool | None = key(None, about="Has no meaning: fields are written as they are.")
    disable_bulk: bool | None = key(None, about="Has no meaning: records always go in bulk requests.")
    use_ssl: bool | None = key(None, about="Has no meaning: `https://` in `hosts` says so.")

    def index_template(self) -> str:
        """Return `index` with what `rolling-index` adds."""
        return f"{self.index}-{{{self.time_field}:%Y.%m.%d}}" if self.rolling_index else self.index

    def request_bytes(self) -> int:
        """Return the most bytes of one request, of `bulk-config` where it says."""
        asked = self.bulk_config.bulk_size or 0
        return ByteSize(asked) if asked > 0 else self.max_bytes

    def verifies(self) -> bool:
        """Return whether the server's certificate is checked."""
        return self.verify and not self.ssl_insecure_skip_verify

    def idle(self) -> list[str]:
        """Return what to say of settings that are there and have no meaning."""
        said = [f"{name} ({told})" for name, told in _IDLE.items() if getattr(self, name) is not None]
        bulk = self.bulk_config
        return said + [
            f"bulk_config.{name} (see {instead})"
            for name, instead in (
                ("workers", "the pump's `workers`"),
                ("flush_interval", "`purge-delay`"),
                ("bulk_actions", "the pump's `batch-records`"),
            )
            if getattr(bulk, name) is not None
        ]
