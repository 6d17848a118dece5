"""Settings of the MongoDB pumps of iam-pump and Tyk Pump: with a meaning here, and without."""

from typing import Any

import attrs

from pumpkit import ByteSize, key
from pumpkit_mongo.documents import MAX_DOCUMENT
from pumpkit_mongo.settings import Capped, Settings

#: The most bytes of one command where `max-bytes` does not say, and whatever it says: a server takes 48 MB.
COMMAND, MAX_COMMAND = 16 << 20, 40 << 20

#: Settings without a meaning here, and what to know instead.
_IDLE = {
    "driver": "there is one driver",
    "mongo_db_type": "the server says what it is",
    "mongo_session_consistency": "see `write-concern`, and readPreference in the URL",
    "mongo_batch_size": "see the pump's `batch-records`",
}


@attrs.define(eq=False)
class SettingsOfOriginals(Settings):
    """The settings, with those names of the originals that are not just another name of one."""

    collection_cap_enable: bool = key(False, about="Make collections capped: the same as `capped`.")
    collection_cap_max_size_bytes: ByteSize = key(
        ByteSize(0),
        about="The size of capped collections, for `collection_cap_enable`. 0: 5 GiB, as in the originals.",
        validator=attrs.validators.ge(0),
    )
    omit_index_creation: bool = key(False, about="The opposite of `create-indexes`.")
    mongo_direct_connection: bool = key(False, about="Speak to the one server of the URL, not to its replica set.")
    driver: Any = key(None, about="Has no meaning: there is one driver.")
    mongo_db_type: Any = key(None, about="Has no meaning: the server says what it is.")
    mongo_session_consistency: Any = key(None, about="Has no meaning; see `write-concern`.")
    mongo_batch_size: Any = key(None, about="Has no meaning; see the pump's `batch-records`.")

    def cap(self) -> Capped:
        """Return how collections are capped."""
        if self.collection_cap_enable and not self.capped.max_bytes:
            return Capped(max_bytes=self.collection_cap_max_size_bytes or ByteSize(5 << 30))
        return self.capped

    def makes_indexes(self) -> bool:
        """Return whether indexes are made."""
        return self.create_indexes and not self.omit_index_creation

    def expires(self) -> bool:
        """Return whether documents are removed at a time."""
        return self.expire_after is not None or self.expire_by_record

    def idle(self) -> list[str]:
        """Return what to say of settings that are there and have no meaning, or more than a server takes."""
        said = [f"{name} ({told})" for name, told in _IDLE.items() if getattr(self, name) is not None]
        most = {
            "max-bytes": (self.max_bytes, MAX_COMMAND),
            "max-document-bytes": (self.max_document_bytes, MAX_DOCUMENT),
        }
        return said + [f"{name} above {limit}, which is taken" for name, (size, limit) in most.items() if size > limit]

    def command_bytes(self) -> int:
        """Return the most bytes of one command."""
        return min(self.max_bytes or COMMAND, MAX_COMMAND)

    def document_bytes(self) -> int:
        """Return the most bytes of one document."""
        return min(self.max_document_bytes or MAX_DOCUMENT, MAX_DOCUMENT)
