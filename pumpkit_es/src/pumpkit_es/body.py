"""Records to the lines of a bulk request, each judged before anything is sent.

| value | in the document |
|---|---|
| text, null, boolean | as they are |
| integer | as it is, up to 64 bits; a mapping decides what of that fits |
| float | the shortest that reads back as the same number; nan and inf are refused |
| datetime | RFC 3339 in UTC |
| bytes | base64 |
| list, map | arrays and objects, up to 250 levels |
| half a surrogate pair in text | its escape as text: `\\udcff` |

A field at the top of a record that is named like one of Elasticsearch's own (`_id`, `_index` ...), which no document
may have, stands in it with one more underscore at its end.
"""

import base64
import datetime
import math
import re
from collections.abc import Sequence
from typing import Any

import attrs
import orjson

from pumpkit import Record, Records
from pumpkit_es.index_names import IndexNames
from pumpkit_es.times import moment

#: Fields that Elasticsearch keeps for itself; `_doc_count` is a document's to set.
OWN_FIELDS = frozenset([
    "_data_stream_timestamp", "_field_names", "_id", "_ignored", "_ignored_source", "_index", "_nested_path",
    "_primary_term", "_routing", "_seq_no", "_source", "_version",
])  # fmt: skip

#: The longest id, in bytes.
LONGEST_ID = 512

#: Levels of lists and maps that are certain to be encoded.
DEEPEST = 250

_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
#: The types of values that a nan or inf can be, or be in.
_HOLD_NUMBERS = frozenset((float, dict, list, tuple))

#: So many values of a record are many; see `document`.
_MANY = 20

_SURROGATE = re.compile("[\ud800-\udfff]")
_dumps = orjson.dumps


@attrs.frozen
class Documents:
    """A batch, judged. `lines[i]`, an action and its document, is the record at `places[i]` of the batch.

    `refused` maps the other places to the reason.
    """

    lines: list[bytes]
    places: list[int]
    refused: dict[int, str]


@attrs.frozen
class Encoder:
    """How the settings want documents: see the keys of the same names in `pumpkit_es.settings`."""

    names: IndexNames
    routing: str = ""
    #: The field that gives `@timestamp`; empty for documents without.
    time_field: str = ""

    def encode(self, records: Records, ids: Sequence[str]) -> Documents:
        """Return the lines of a batch."""
        lines: list[bytes] = []
        refused: dict[int, str] = {}
        head = self._plain_head if self.names.fixed and not self.routing else self._head
        body = self._stamped if self.time_field else document
        for place, (record, id_) in enumerate(zip(records, self._ids(ids), strict=True)):
            try:
                lines.append(head(record, id_) + body(record))
            except ValueError as reason:
                refused[place] = str(reason)
        places = [place for place in range(len(ids)) if place not in refused] if refused else list(range(len(ids)))
        return Documents(lines, places, refused)

    def _ids(self, ids: Sequence[str]) -> Sequence[bytes | str]:
        """Return ids as JSON has them, without quotes; one that needs a closer look stays text."""
        together = "\n".join(ids)
        if together.isascii() and "".join(ids).isprintable() and '"' not in together and "\\" not in together:
            found: list[bytes] = together.encode().split(b"\n")
            if max(map(len, found), default=0) <= LONGEST_ID and all(found):
                return found
        return ids

    def _plain_head(self, record: Record, id_: bytes | str) -> bytes:
        """Return the action of a record that is for the one index, as a line."""
        return b'{"create":{"_id":"%b"}}\n' % id_ if isinstance(id_, bytes) else self._head(record, id_)

    def _head(self, record: Record, id_: bytes | str) -> bytes:
        """Return the action of a record, as a line."""
        index = "" if self.names.fixed else self.names.name(record)
        if index and isinstance(id_, bytes) and not self.routing:
            return b'{"create":{"_index":"%b","_id":"%b"}}\n' % (index.encode(), id_)
        action = {"_id": _checked(id_) if isinstance(id_, str) else id_.decode()}
        if index:
            action["_index"] = index
        if self.routing:
            action["routing"] = self._route(record)
        return _dumps({"create": action}, option=_OPTIONS)

    def _route(self, record: Record) -> str:
        value = record.get(self.routing)
        if isinstance(value, str | int) and value != "":
            return _SURROGATE.sub(_escape, str(value))
        raise ValueError(f"field {self.routing!r:.80} must be text or a whole number, for `routing`")

    def _stamped(self, record: Record) -> bytes:
        """Return a record as a line of JSON, with `@timestamp`; its own stays."""
        if "@timestamp" in record:
            return document(record)
        value = record.get(self.time_field)
        if value is None:
            raise ValueError(f"field {self.time_field!r:.80} is missing, and `@timestamp` needs it: see `time-field`")
        try:
            stamp = moment(value)
        except ValueError as error:
            raise ValueError(f"field {self.time_field!r:.80} is no time: {error}") from None
        return document({"@timestamp": stamp, **record})


def _checked(id_: str) -> str:
    """Return an id that can be one of a document. Raises ValueError."""
    try:
        size = len(id_.encode())
    except UnicodeEncodeError:
        raise ValueError("the id is no text that UTF-8 can hold") from None
    if not 0 < size <= LONGEST_ID:
        raise ValueError(f"the id has {size} bytes; Elasticsearch takes 1 to {LONGEST_ID}")
    return id_


def document(record: Record) -> bytes:
    """Return a record as a line of JSON. Raises ValueError that names the field which JSON cannot hold."""
    if not record.keys().isdisjoint(OWN_FIELDS):
        record = _renamed(record)
    try:
        line: bytes = _dumps(record, _other, _OPTIONS)
    except TypeError as error:
        return _slowly(record, error)
    # orjson writes nan and inf as null: where there may be one, see whether each null is one of the record's own. Of
    # few values the types are looked through sooner, of many the line.
    suspect = not _HOLD_NUMBERS.isdisjoint(map(type, record.values())) if len(record) < _MANY else line.count(b"null")
    if suspect and line.count(b"null") != [*record.values()].count(None):
        _check_numbers(record, "")
    return line


def _other(value: object) -> object:
    """Return what JSON can hold of a value that orjson does not know."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, tuple):  # an extension of msgpack: its code and its bytes
        return list(value)
    raise TypeError


def _renamed(record: Record) -> Record:
    renamed = {f"{field}_" if field in OWN_FIELDS else field: value for field, value in record.items()}
    if len(renamed) < len(record):
        both = next(field for field in record if f"{field}_" in record and field in OWN_FIELDS)
        raise ValueError(f"field {both!r} is Elasticsearch's own, and {both + '_'!r} is taken: see `rename-fields`")
    return renamed


def _slowly(record: Record, error: TypeError) -> bytes:
    """Encode a record that orjson refused: mended if that was for half a surrogate pair."""
    mended = _mended(record, "", 0)
    try:
        line: bytes = _dumps(mended, _other, _OPTIONS)
    except TypeError:
        raise ValueError(f"cannot be encoded: {error}") from None
    return line


def _mended(value: Any, path: str, depth: int) -> Any:
    """Return a value with lone surrogates as escapes. Raises ValueError for what JSON cannot hold."""
    if depth > DEEPEST:
        raise ValueError(f"field {_shown(path)} is nested deeper than {DEEPEST} levels")
    match value:
        case str():
            return _SURROGATE.sub(_escape, value)
        case dict():
            made = {_key(key, path): _mended(inner, f"{path}.{key}", depth + 1) for key, inner in value.items()}
            if len(made) < len(value):
                raise ValueError(f"two fields in {_place(path)} have names that are written alike")
            return made
        case list() | tuple():
            return [_mended(inner, f"{path}[{index}]", depth + 1) for index, inner in enumerate(value)]
        case bool() | None | bytes() | datetime.datetime():
            return value
        case int():
            if not -(1 << 63) <= value < 1 << 64:
                raise ValueError(f"field {_shown(path)} is an integer of more than 64 bits")
            return value
        case float():
            _check_float(value, path)
            return value
    raise ValueError(f"field {_shown(path)}: a value of type {type(value).__qualname__} is nothing that JSON has")


def _key(key: object, path: str) -> str:
    if type(key) is not str:
        raise ValueError(f"the name of a field must be text, not {key!r:.80}, in {_place(path)}")
    return _SURROGATE.sub(_escape, key)


def _check_numbers(value: Any, path: str) -> None:
    """Raise ValueError for nan and inf at any depth."""
    match value:
        case float():
            _check_float(value, path)
        case dict():
            for key, inner in value.items():
                if type(inner) in _HOLD_NUMBERS:
                    _check_numbers(inner, f"{path}.{key}")
        case list() | tuple():
            for index, inner in enumerate(value):
                if type(inner) in _HOLD_NUMBERS:
                    _check_numbers(inner, f"{path}[{index}]")


def _check_float(value: float, path: str) -> None:
    if not math.isfinite(value):
        raise ValueError(f"field {_shown(path)} is {value!r}, a number that JSON does not have")


def _place(path: str) -> str:
    return _shown(path) if path else "the record"


def _shown(path: str) -> str:
    path = path.removeprefix(".")
    return repr(path if len(path) <= 120 else f"{path[:80]}...{path[-30:]}")


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
