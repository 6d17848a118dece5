"""Sending the documents of a batch in commands of bounded size, and judging what the server answers."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import pymongo
from bson.raw_bson import RawBSONDocument
from pymongo import ReadPreference, ReplaceOne
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, PyMongoError

from pumpkit import PartialWrite, Records, Unavailable
from pumpkit_mongo.codes import DUPLICATE_KEY
from pumpkit_mongo.collections import Collections
from pumpkit_mongo.documents import Part
from pumpkit_mongo.upserts import Upserts
from pumpkit_mongo.verdicts import UnknownFailure, is_of_document, key_fields, of_code, reason, verdict

#: The most documents of one command, as the server says: a larger batch the driver would cut, and not say which part
#: of it was written when a later one fails.
MAX_DOCUMENTS = 100_000


@attrs.define
class Progress:
    """What is known of a batch while it is written: places rejected with a reason, and to be sent again.

    `earlier` are places of records, by that of the one that is written in their place.
    """

    rejected: dict[int, str]
    retry: list[int] = attrs.field(factory=list)
    earlier: dict[int, list[int]] = attrs.field(factory=dict)

    def all_to_retry(self) -> list[int]:
        """Return what is to be sent again, with what is undecided because the one in its place was not written."""
        undecided = (place for last in (*self.rejected, *self.retry) for place in self.earlier.get(last, ()))
        return sorted({*self.retry, *undecided})


@attrs.frozen
class Writer:
    """Writes documents, at most `max_bytes` in a command; by `upserts`, if there are, in the place of others."""

    collections: Collections
    max_bytes: int
    upserts: Upserts | None = None

    def write(self, parts: Sequence[Part], records: Records, rejected: dict[int, str], timeout: float | None) -> None:
        """Write all within a timeout in seconds. Raises a verdict, with `rejected` and what the server rejects."""
        progress = Progress(rejected)
        if self.upserts is not None:
            chosen = [self.upserts.last(part, records, rejected) for part in parts]
            parts = [part for part, _ in chosen]
            for _, earlier in chosen:
                progress.earlier |= earlier
        commands = [command for part in parts for command in self._commands(part)]
        with pymongo.timeout(timeout) if timeout else contextlib.nullcontext():
            for number, command in enumerate(commands):
                try:
                    self._run(command, records, progress)
                except Unavailable:
                    if not number:
                        raise
                    # What was written before is told, so that a batch which takes longer than its time gets on.
                    progress.retry += [place for left in commands[number:] for place in left.places]
                    break
        if progress.rejected or progress.retry:
            raise PartialWrite(progress.rejected, progress.all_to_retry())

    def _commands(self, part: Part) -> Iterator[Part]:
        """Cut a part into what goes into one command."""
        places, documents = part.places, part.documents
        if sum(map(len, documents)) <= self.max_bytes and len(documents) <= MAX_DOCUMENTS:
            yield part
            return
        begin = size = 0
        for at, document in enumerate(documents):
            if at > begin and (size + len(document) > self.max_bytes or at - begin == MAX_DOCUMENTS):
                yield Part(part.collection, places[begin:at], documents[begin:at])
                begin, size = at, 0
            size += len(document)
        yield Part(part.collection, places[begin:], documents[begin:])

    def _run(self, command: Part, records: Records, progress: Progress) -> None:
        if not command.places:  # every record of it was rejected
            return
        collection = self.collections.get(command.collection)
        try:
            if self.upserts is None:
                collection.insert_many([RawBSONDocument(document) for document in command.documents], ordered=False)
            else:
                requests = [self.upserts.replacement(records[place]) for place in command.places]
                collection.bulk_write(requests, ordered=False)
        except BulkWriteError as error:
            self._judge(error.details, collection, command, records, progress)
        except PyMongoError as error:
            raise verdict(error, self._place(collection.name)) from None  # the driver's own shows documents

    def _judge(
        self, details: Any, collection: Collection[Any], command: Part, records: Records, progress: Progress
    ) -> None:
        """Sort the documents of a command that went wrong in part. Raises a verdict on all of it."""
        place = self._place(collection.name)
        for item in details.get("writeConcernErrors", ()):
            # What was written is on too few servers: it is sent again, and confirmed then. A server waits for the write
            # concern of a command also where nothing in it is new.
            found = of_code(int(item.get("code", 0)), f"written, but not confirmed: {item.get('errmsg', '')}", place)
            raise Unavailable(str(found)) if isinstance(found, UnknownFailure) else found
        doubles: dict[int, str] = {}
        retry: list[int] = []
        rejected: dict[int, str] = {}
        for item in details.get("writeErrors", ()):
            code, number = int(item.get("code", 0)), command.places[int(item["index"])]
            if code == DUPLICATE_KEY and self.upserts is not None and self.upserts.keeps(key_fields(item)):
                # Another process was faster, and its document is found now. One that is not found will never be.
                answer = self._again(self.upserts.replacement(records[number]), collection)
                if answer is None:
                    continue
                item, code = answer, int(answer.get("code", 0))
            if code == DUPLICATE_KEY and self.upserts is None:
                if key_fields(item) != ["_id"]:
                    doubles[number] = reason(item)
            elif is_of_document(code):
                rejected[number] = reason(item)
            else:
                found = of_code(code, reason(item), place)
                if not isinstance(found, Unavailable):
                    raise found
                retry.append(number)
        for number in doubles.keys() - self._there(collection, records, list(doubles)):
            rejected[number] = doubles[number]
        progress.rejected |= rejected
        progress.retry += retry

    def _again(self, replacement: ReplaceOne[Any], collection: Collection[Any]) -> Mapping[str, Any] | None:
        """Replace once more; return None, or the entry of `writeErrors` that says why it fails this time too."""
        try:
            collection.bulk_write([replacement])
        except BulkWriteError as error:
            errors: list[Mapping[str, Any]] = error.details.get("writeErrors", [])
            if not errors:
                raise Unavailable(f"{self._place(collection.name)}: written, but not confirmed") from None
            return errors[0]
        except PyMongoError as error:
            raise verdict(error, self._place(collection.name)) from None
        return None

    def _there(self, collection: Collection[Any], records: Records, numbers: list[int]) -> set[int]:
        """Return which records are there under their ids, though another unique index was named, or none.

        One that was written before is a duplicate in every unique index, and a server may name any.
        """
        if not numbers:
            return set()
        by_id = {records[number]["_id"]: number for number in numbers}
        primary = collection.with_options(read_preference=ReadPreference.PRIMARY)
        try:
            found = list(primary.find({"_id": {"$in": list(by_id)}}, {"_id": 1}))
        except PyMongoError as error:
            raise verdict(error, self._place(collection.name)) from None
        return {by_id[document["_id"]] for document in found}

    def _place(self, name: str) -> str:
        return f"{self.collections.place}, collection {name}"
