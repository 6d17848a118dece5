"""Records as BSON documents, each judged on its own: what cannot be one harms no other.

Of a batch that the driver encodes itself, one bad record would stop all, and no error would say which one it is. So
they are encoded before, all at once, and each by itself where one of them cannot be encoded.
"""

import re
import struct
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import bson
from bson.errors import BSONError

from pumpkit import Record, Records

#: The largest document that a server takes, in bytes: https://www.mongodb.com/docs/manual/reference/limits/
MAX_DOCUMENT = 16 << 20

#: The deepest nesting that a server takes, by the same page.
MAX_DEPTH = 100

#: A document that is nested deeper has more bytes, since a level takes a type, a name, a length and an end; and it has
#: at least one of these two types for each level.
_DEEP_BYTES = 7 * MAX_DEPTH
_MAP, _LIST = b"\x03", b"\x04"

#: In `{"": [...]}` the first element comes after two lengths, a type, an empty name and its end.
_LIST_BEGINS = 4 + 1 + 1 + 4
_length = struct.Struct("<i").unpack_from

#: What may still be done to a record before it becomes a document. Raises ValueError if it is none.
Prepare = Callable[[Record], None]


@attrs.frozen
class Part:
    """The documents of a batch that go to one collection; `places[i]` is the place of `documents[i]` in the batch."""

    collection: str
    places: Sequence[int]
    documents: list[bytes]


@attrs.frozen
class Encoder:
    """Makes documents of records: `name` gives the collection of one, or is the name of all.

    `max_bytes` bounds one document; `prepare` is asked for each record, perhaps twice.
    """

    name: str | Callable[[Record], str]
    max_bytes: int = MAX_DOCUMENT
    prepare: Prepare | None = None

    def encode(self, records: Records, ids: list[str]) -> tuple[list[Part], dict[int, str]]:
        """Return the documents, by collection, and why some records are none, by place. Records get their `_id`."""
        if isinstance(self.name, str):
            documents = self._quickly(records, ids)
            if documents is not None:
                return [Part(self.name, range(len(documents)), documents)], {}
        return self._carefully(records, ids)

    def _quickly(self, records: Records, ids: list[str]) -> list[bytes] | None:
        """Return the documents of a batch in which no record needs a closer look, None for any other batch."""
        for record, id_ in zip(records, ids, strict=True):
            if self.prepare is not None:
                self.prepare(record)
            if record.setdefault("_id", id_) != id_:
                return None
        try:
            documents = _encode_together(records)
        except Exception:
            return None
        longest = max(map(len, documents), default=0)
        if longest > self.max_bytes or (longest > _DEEP_BYTES and any(map(_may_be_deep, documents))):
            return None
        return documents

    def _carefully(self, records: Records, ids: list[str]) -> tuple[list[Part], dict[int, str]]:
        found: dict[str, tuple[list[int], list[bytes]]] = {}
        rejected: dict[int, str] = {}
        for place, (record, id_) in enumerate(zip(records, ids, strict=True)):
            try:
                name = self.name if isinstance(self.name, str) else self.name(record)
                document = self._document(record, id_)
            except ValueError as reason:
                rejected[place] = str(reason)
                continue
            if name not in found:
                found[name] = [], []
            places, documents = found[name]
            places.append(place)
            documents.append(document)
        return [Part(name, places, documents) for name, (places, documents) in found.items()], rejected

    def _document(self, record: Record, id_: str) -> bytes:
        """Return a document. Raises ValueError, whatever is wrong."""
        if self.prepare is not None:
            self.prepare(record)
        if record.get("_id", id_) != id_:
            _rename_id(record)
        record["_id"] = id_
        try:
            document = bson.encode(record)
        except Exception as error:
            raise ValueError(_explain(error, record)) from None
        if len(document) > self.max_bytes:
            raise ValueError(f"the document has {len(document)} bytes; {self.max_bytes} are the most")
        if _may_be_deep(document) and _is_deep(record):
            raise ValueError(_TOO_DEEP)
        return document


def _encode_together(records: Records) -> list[bytes]:
    """Return records as documents, encoded as one list and cut out of it, which takes half the time of a call for each.

    The server puts `_id` first. Raises whatever the encoder raises, if one of them cannot be encoded.
    """
    whole = bson.encode({"": records})
    documents = []
    at = _LIST_BEGINS
    for place in range(len(records)):
        at += len(str(place)) + 2  # its type, and its place as a name
        end = at + _length(whole, at)[0]
        documents.append(whole[at:end])
        at = end
    return documents


def _rename_id(record: Record) -> None:
    """Give the field `_id` of a record a name that is free, since the record id is its `_id`."""
    name = "_id_"
    while name in record:
        name += "_"
    record[name] = record.pop("_id")


def _may_be_deep(document: bytes) -> bool:
    """Return whether a document has as many maps and lists as one that is nested too deep."""
    return len(document) > _DEEP_BYTES and document.count(_MAP) + document.count(_LIST) >= MAX_DEPTH


# Why a record is no document ------------------------------------------------------------------------------------

_TOO_DEEP = f"it is nested deeper than {MAX_DEPTH} levels"


def _explain(error: Exception, record: Record) -> str:
    """Return what is wrong with a record that the encoder refuses: where it is, and not the value.

    The encoder raises a class of its own only for some; the others are those of Python.
    """
    match error:
        case UnicodeEncodeError():
            return f"{_where(record, _has_surrogate)} holds half a surrogate pair, which is no UTF-8"
        case OverflowError():
            return f"{_where(record, _is_too_long)} is a number of more than 64 bits"
        case RecursionError():
            return _TOO_DEEP
        case BSONError() if "NULL" in str(error):
            return f"{_where(record, _has_nul)}: a name of a field has NUL in it"
        case BSONError() | TypeError() | ValueError():
            text = str(error).removeprefix("Invalid document: ")
            return f"it cannot be BSON: {re.split('[:,]', text)[0][:200]}"
    raise error


def _is_deep(value: Any, levels: int = MAX_DEPTH) -> bool:
    """Return whether maps and lists go deeper than so many levels."""
    if levels == 0:
        return True
    children = value.values() if isinstance(value, dict) else value
    return any(_is_deep(child, levels - 1) for child in children if isinstance(child, dict | list))


def _where(record: Record, bad: Callable[[Any, Any], bool]) -> str:
    """Return where a bad field is, as `field 'a.b'`."""
    return f"field '{_path(record, bad)[:80] or '?'}'"


def _path(value: Any, bad: Callable[[Any, Any], bool], above: str = "") -> str:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in items:
        path = f"{above}.{name}" if above else str(name)
        if bad(name, child):
            return path.encode("ascii", "backslashreplace").decode().replace("\0", "\\0")
        found = _path(child, bad, path)
        if found:
            return found
    return ""


def _has_surrogate(name: Any, value: Any) -> bool:
    return any(isinstance(text, str) and any("\ud800" <= c <= "\udfff" for c in text) for text in (name, value))


def _has_nul(name: Any, value: Any) -> bool:
    return isinstance(name, str) and "\0" in name


def _is_too_long(name: Any, value: Any) -> bool:
    return isinstance(value, int) and not -(1 << 63) <= value < 1 << 63
