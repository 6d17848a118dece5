"""Writing a batch of documents, and judging what the server answers."""

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import bson
import pymongo
from bson.raw_bson import RawBSONDocument
from pymongo import ReadPreference, ReplaceOne
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, PyMongoError
from pymongo.read_concern import ReadConcern

from pumpkit import ConfigError, PartialWrite, Unavailable
from pumpkit_mongo.collections import Collections
from pumpkit_mongo.documents import OPTIONS, Document
from pumpkit_mongo.verdicts import DUPLICATE_KEY, UnknownFailure, key_fields, of_code, reason, verdict

#: The most documents of one command, as the server says: a larger batch the driver would cut, and not say which part
#: of it was written when a later one fails.
MAX_DOCUMENTS = 100_000


@attrs.define(eq=False)
class Writer:
    """Writes documents, at most `max_bytes` in a command; with `upsert_by` one document of all that agree in it."""

    collections: Collections
    max_bytes: int
    upsert_by: list[str] = attrs.field(factory=list)

    def write(self, documents: Sequence[Document], rejected: dict[int, str], timeout: float | None) -> None:
        """Write all within a timeout in seconds. Raises a verdict, with `rejected` and what the server rejects."""
        retry: list[int] = []
        if self.upsert_by:
            documents = self._agreeing(documents, rejected)
        with pymongo.timeout(timeout) if timeout else contextlib.nullcontext():
            for name, part in self._parts(documents):
                collection = self.collections.get(name)
                try:
                    self._send(collection, part)
                except BulkWriteError as error:
                    self._judge(error, collection, part, rejected, retry)
                except PyMongoError as error:
                    raise verdict(error, self._place(name)) from None  # the driver's own shows documents
        if rejected or retry:
            raise PartialWrite(rejected, retry)

    def _parts(self, documents: Sequence[Document]) -> Iterator[tuple[str, list[Document]]]:
        """Give what goes into one command: documents of one collection, within the bounds."""
        by_name = sorted(documents, key=lambda document: document.collection)
        for name, group in itertools.groupby(by_name, key=lambda document: document.collection):
            part: list[Document] = []
            size = 0
            for document in group:
                if part and (size + len(document.raw) > self.max_bytes or len(part) == MAX_DOCUMENTS):
                    yield name, part
                    part, size = [], 0
                part.append(document)
                size += len(document.raw)
            yield name, part

    def _send(self, collection: Collection[Any], part: list[Document]) -> None:
        if self.upsert_by:
            collection.bulk_write([self._replacement(document) for document in part], ordered=False)
        else:
            collection.insert_many([document.for_driver for document in part], ordered=False)

    def _judge(
        self,
        error: BulkWriteError,
        collection: Collection[Any],
        part: list[Document],
        rejected: dict[int, str],
        retry: list[int],
    ) -> None:
        """Sort the documents of a command that went wrong in part. Raises a verdict on all of it."""
        place = self._place(collection.name)
        for item in error.details.get("writeConcernErrors", ()):
            # What was written is on too few servers: it is sent again, and confirmed then. A server waits for the write
            # concern of a batch also where nothing in it is new.
            found = of_code(int(item.get("code", 0)), f"written, but not confirmed: {item.get('errmsg', '')}", place)
            raise Unavailable(str(found)) if isinstance(found, UnknownFailure) else found
        unclear: dict[int, Mapping[str, Any]] = {}
        for item in error.details.get("writeErrors", ()):
            code, number = int(item.get("code", 0)), int(item["index"])
            if code == DUPLICATE_KEY:
                keys = key_fields(item)
                if keys is not None and keys == self.upsert_by:  # another process was faster
                    retry.append(part[number].index)
                elif keys != ["_id"]:
                    unclear[number] = item
                continue
            found = of_code(code, reason(item), place)
            if isinstance(found, ConfigError):
                raise found
            if isinstance(found, Unavailable):
                retry.append(part[number].index)
            else:
                rejected[part[number].index] = reason(item)
        for number in unclear.keys() - self._there(collection, part, list(unclear)):
            rejected[part[number].index] = reason(unclear[number])

    def _there(self, collection: Collection[Any], part: list[Document], numbers: list[int]) -> set[int]:
        """Return which documents are there under their id, though another unique index was named, or none.

        One that was written before is a duplicate in every unique index, and a server may name any.
        """
        if not numbers or self.upsert_by:
            return set()
        by_id = {_id(part[number]): number for number in numbers}
        sure = collection.with_options(read_preference=ReadPreference.PRIMARY, read_concern=ReadConcern("majority"))
        try:
            found = list(sure.find({"_id": {"$in": list(by_id)}}, {"_id": 1}))
        except PyMongoError as error:
            raise verdict(error, self._place(collection.name)) from None
        return {by_id[document["_id"]] for document in found}

    def _agreeing(self, documents: Sequence[Document], rejected: dict[int, str]) -> list[Document]:
        """Return the last document of all that agree in `upsert_by`; the others it takes the place of."""
        last: dict[tuple[str, bytes], Document] = {}
        for document in documents:
            fields = bson.decode(document.raw, OPTIONS)
            lacking = [name for name in self.upsert_by if fields.get(name) is None]
            if lacking:
                rejected[document.index] = f"has no {', '.join(lacking)}, and `upsert-by` needs it"
                continue
            chosen = bson.encode({name: fields[name] for name in self.upsert_by}, codec_options=OPTIONS)
            last[document.collection, chosen] = document
        return list(last.values())

    def _replacement(self, document: Document) -> ReplaceOne[Any]:
        """Return what puts a document in the place of the one that agrees in `upsert_by`."""
        fields: dict[str, Any] = bson.decode(document.raw, OPTIONS)
        fields["record_id"] = fields.pop("_id")
        return ReplaceOne({name: fields[name] for name in self.upsert_by}, fields, upsert=True)

    def _place(self, name: str) -> str:
        return f"{self.collections.place}, collection {name}"


def _id(document: Document) -> str:
    return str(RawBSONDocument(document.raw)["_id"])
