"""The collections of one sink: each is looked at, and made ready, before it is first written to."""

import contextlib
import json
import logging
from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
from pymongo import ASCENDING
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import CollectionInvalid, ExecutionTimeout, OperationFailure, PyMongoError

from pumpkit import ConfigError
from pumpkit_mongo.originals import SettingsOfOriginals
from pumpkit_mongo.settings import Capped
from pumpkit_mongo.verdicts import UnknownFailure, verdict

log = logging.getLogger(__name__)

_UNAUTHORIZED, _NAMESPACE_EXISTS = 13, 48


@attrs.define(eq=False)
class Collections:
    """What was made ready in this process."""

    database: Database[dict[str, Any]]
    settings: SettingsOfOriginals
    place: str
    _ready: dict[str, Collection[dict[str, Any]]] = attrs.field(factory=dict, init=False)

    #: So many are remembered as ready; those of a template with dates come to an end.
    most: ClassVar[int] = 10_000

    def get(self, name: str) -> Collection[dict[str, Any]]:
        """Return a collection. Raises a verdict."""
        found = self._ready.get(name)
        if found is None:
            try:
                self._make_ready(name)
            except PyMongoError as error:
                raise verdict(error, f"{self.place}, collection {name}") from None
            if len(self._ready) >= self.most:
                self._ready.clear()
            found = self._ready[name] = self.database[name]
        return found

    def _make_ready(self, name: str) -> None:
        cap, there = self.settings.cap(), self._look(name)
        if there is None and cap.max_bytes:
            self._make_capped(name, cap)
        elif there is not None:
            self._check(name, there, cap)
        if self.settings.makes_indexes():
            self._make_indexes(name)

    def _look(self, name: str) -> Mapping[str, Any] | None:
        """Return what a collection is like, None if it is not there; nothing is known of it where that is forbidden."""
        try:
            return next(iter(self.database.list_collections(filter={"name": name})), None)
        except OperationFailure as error:
            if error.code != _UNAUTHORIZED:
                raise
            log.warning("%s: the user may not look at collection %s, so it is taken for a plain one", self.place, name)
            return {}

    def _check(self, name: str, there: Mapping[str, Any], cap: Capped) -> None:
        options = there.get("options", {})
        if "timeseries" in options and not self.settings.allow_duplicates:
            raise ConfigError(
                f"{self.place}: {name} is a time-series collection, which keeps no unique id, so that a record which is"
                " sent again is there twice: name another collection, or set `allow-duplicates: true`"
            )
        if there.get("type") == "view":
            raise ConfigError(f"{self.place}: {name} is a view, which takes no records")
        if cap.max_bytes and there and not options.get("capped"):
            raise ConfigError(
                f"{self.place}: {name} is there and is not capped: name another collection, or take the cap out"
            )
        if cap.max_bytes and options:
            self._compare(name, cap, options)

    def _compare(self, name: str, cap: Capped, options: Mapping[str, Any]) -> None:
        """Tell of another cap than that of the settings; the server makes a size a multiple of 256."""
        for option, wanted, step in (("size", cap.max_bytes, 256), ("max", cap.max_records, 1)):
            found = options.get(option, 0)
            if found not in (wanted, -(-wanted // step) * step):
                log.warning("%s: %s is capped with %s %s, and not %s", self.place, name, option, found, wanted)

    def _make_capped(self, name: str, cap: Capped) -> None:
        more: Any = {"max": cap.max_records} if cap.max_records else {}
        with contextlib.suppress(CollectionInvalid):  # another process was faster
            try:
                self.database.create_collection(name, capped=True, size=int(cap.max_bytes), **more)
            except OperationFailure as error:
                if error.code != _NAMESPACE_EXISTS:
                    raise

    def _make_indexes(self, name: str) -> None:
        """Make those that are asked for, that of `upsert-by`, and that of expiry, where they are missing."""
        settings = self.settings
        for index in settings.indexes:
            chosen: dict[str, Any] = {word: True for word in ("unique", "sparse") if getattr(index, word)}
            self._make_index(name, index.pairs(), chosen | ({"name": index.name} if index.name else {}))
        if settings.upsert_by:
            self._make_index(name, [(field, ASCENDING) for field in settings.upsert_by], {"unique": True})
        if settings.expires():
            self._make_index(name, [(settings.expire_field, ASCENDING)], {"expireAfterSeconds": 0})

    def _make_index(self, name: str, pairs: list[tuple[str, Any]], options: dict[str, Any]) -> None:
        try:
            self.database[name].create_index(pairs, **options)
        except PyMongoError as error:
            fields = ", ".join(field for field, _ in pairs)
            if isinstance(error, ExecutionTimeout):  # each try would begin anew
                raise ConfigError(
                    f"{self.place}, collection {name}: making the index over {fields} takes longer than there is time:"
                    f" make it yourself ({_command(name, pairs, options)}), or set `create-indexes: false`"
                ) from None
            found = verdict(error, f"{self.place}, collection {name}, index over {fields}")
            # What is no matter of time is one of settings or of documents: no record of a batch is the cause.
            raise (ConfigError(str(found)) if isinstance(found, UnknownFailure) else found) from None


def _command(name: str, pairs: list[tuple[str, Any]], options: dict[str, Any]) -> str:
    """Return what makes an index in MongoDB's shell."""
    arguments = ", ".join(json.dumps(each) for each in (dict(pairs), options) if each)
    return f"db.getCollection({json.dumps(name)}).createIndex({arguments})"
