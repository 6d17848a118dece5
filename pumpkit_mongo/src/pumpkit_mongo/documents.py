"""Records as BSON documents, each encoded on its own: what cannot be one harms no other.

Of a batch the driver encodes itself, one bad record would stop all, and no error would say which one it is.
"""

import re
from collections.abc import Callable
from typing import Any

import attrs
import bson
from bson.codec_options import CodecOptions
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument

from pumpkit import Record

#: The largest document that a server takes, in bytes: https://www.mongodb.com/docs/manual/reference/limits/
MAX_DOCUMENT = 16 << 20

#: The deepest nesting that a server takes, by the same page.
MAX_DEPTH = 100

#: No `_id` is made up; a datetime without a zone does not come from the log.
OPTIONS: CodecOptions[Any] = CodecOptions(tz_aware=True)


@attrs.frozen
class Document:
    """One record, encoded: its index in the batch, its collection, and its bytes."""

    index: int
    collection: str
    raw: bytes

    @property
    def for_driver(self) -> RawBSONDocument:
        """The document as the driver sends it, without looking into it."""
        return RawBSONDocument(self.raw)


class Encoder:
    """Encodes records; `max_bytes` bounds one document, and may be below what a server takes."""

    def __init__(self, name: Callable[[Record], str], max_bytes: int = MAX_DOCUMENT) -> None:
        self._name = name
        self._max_bytes = min(max_bytes, MAX_DOCUMENT)

    def encode(self, records: list[Record], ids: list[str]) -> tuple[list[Document], dict[int, str]]:
        """Return the documents, and why some records are none, by index."""
        documents: list[Document] = []
        rejected: dict[int, str] = {}
        for index, (record, id_) in enumerate(zip(records, ids, strict=True)):
            try:
                documents.append(Document(index, self._name(record), self._encode(record, id_)))
            except ValueError as error:
                rejected[index] = str(error)
        return documents, rejected

    def _encode(self, record: Record, id_: str) -> bytes:
        """Return a document. Raises ValueError, whatever is wrong."""
        if "_id" in record:
            record = {"_id_" if field == "_id" else field: value for field, value in record.items()}
        try:
            raw = bson.encode({"_id": id_, **record}, codec_options=OPTIONS)
        except UnicodeEncodeError:
            raise ValueError(
                f"{_place(record, _has_surrogate)} holds half a surrogate pair, which is no UTF-8"
            ) from None
        except OverflowError:
            raise ValueError(f"{_place(record, _is_too_long)} is a number of more than 64 bits") from None
        except RecursionError:
            raise ValueError(f"is nested deeper than {MAX_DEPTH} levels") from None
        except (BSONError, TypeError, ValueError) as error:
            raise ValueError(_words(error)) from None
        if len(raw) > self._max_bytes:
            raise ValueError(f"is a document of {len(raw)} bytes; {self._max_bytes} are the most")
        if _is_deep(record, MAX_DEPTH):
            raise ValueError(f"is nested deeper than {MAX_DEPTH} levels")
        return raw


def _words(error: Exception) -> str:
    """Return what the encoder says, without the values that it shows."""
    text = str(error).removeprefix("Invalid document: ")
    if "NULL" in text:
        return "has a name of a field with NUL in it"
    return f"cannot be BSON: {re.split('[:,]', text)[0][:200]}"


def _is_deep(value: Any, levels: int) -> bool:
    """Return whether maps and lists go deeper than so many levels."""
    if isinstance(value, dict):
        children: Any = value.values()
    elif isinstance(value, list):
        children = value
    else:
        return False
    if levels <= 0:
        return True
    return any(_is_deep(child, levels - 1) for child in children if isinstance(child, dict | list))


def _place(value: Any, bad: Callable[[Any], bool], path: str = "") -> str:
    """Return where a bad value is, as `field 'a.b'`; only asked once an encoder has failed."""
    return f"field {_path(value, bad, path) or '?'!r:.80}"


def _path(value: Any, bad: Callable[[Any], bool], path: str) -> str:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in items:
        below = f"{path}.{name}" if path else str(name)
        if bad(name) or bad(child):
            return below.encode(errors="backslashreplace").decode()
        found = _path(child, bad, below)
        if found:
            return found
    return ""


def _has_surrogate(value: Any) -> bool:
    return isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value)


def _is_too_long(value: Any) -> bool:
    return isinstance(value, int) and not -(1 << 63) <= value < 1 << 63
