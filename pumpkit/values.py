"""Turning what applications report into wire values: one packer, its conversions, and what it refuses.

On the wire a record is a map with `str` keys whose values are None, bool, 64-bit integers, float, str, bytes,
list, map or an aware datetime (the msgpack timestamp extension, UTC). This module imports neither attrs nor
dataclasses: it knows both kinds of class by the marks they leave.
"""

import datetime
import decimal
import enum
import os
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgpack

from pumpkit.errors import Unpackable

#: How deep lists and maps may nest inside one record, the record itself being level 1.
MAX_DEPTH = 64

#: The largest packed record, in bytes.
MAX_RECORD = 1 << 20


def _deepest() -> int:
    """Return how deep msgpack itself packs and unpacks (511 or 1,024 levels, by version; there is no setting)."""
    pack = msgpack.Packer().pack

    def fits(depth: int) -> bool:
        value: list[Any] = []
        for _ in range(depth - 1):
            value = [value]
        try:
            msgpack.unpackb(pack(value))
        except ValueError:
            return False
        return True

    low, high = MAX_DEPTH, 1 << 12
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


#: Records are packed and unpacked inside a shell of this many one-element lists, which leaves MAX_DEPTH levels of
#: msgpack's own: so the limit holds for untrusted bytes and costs nothing per record.
SHELL = _deepest() - MAX_DEPTH - 1  # one for the list of records
SHELL_BYTES = b"\x91" * SHELL


def as_map(record: object) -> dict[str, Any]:
    """Return a record's fields as a dict: any mapping, attrs class or dataclass. Raises Unpackable for others."""
    if isinstance(record, Mapping):
        return dict(record)
    fields = _fields(record)
    if fields is None:
        raise Unpackable(f"a record must be a mapping, an attrs class or a dataclass, not {_kind(record)}")
    return fields


def _fields(value: object) -> dict[str, Any] | None:
    kind = type(value)
    names = getattr(kind, "__attrs_attrs__", None)
    if names is not None:
        return {field.name: getattr(value, field.name) for field in names}
    names = getattr(kind, "__dataclass_fields__", None)
    if names is not None:
        return {name: getattr(value, name) for name in names}
    return None


def _default(value: object) -> object:
    """Convert one value that msgpack does not know; it converts what this returns in turn."""
    match value:
        case datetime.datetime():
            aware = value if value.tzinfo else value.replace(tzinfo=datetime.UTC)
            return msgpack.Timestamp.from_datetime(aware)
        case datetime.date() | datetime.time():
            return value.isoformat()
        case enum.Enum():
            return value.value
        case decimal.Decimal() | uuid.UUID():
            return str(value)
        case set() | frozenset():
            return list(value)
        case Mapping():
            return dict(value)
        case os.PathLike():
            return os.fsdecode(value)
    fields = _fields(value)
    if fields is None:
        raise TypeError(_kind(value))
    return fields


def _kind(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


class Packed(NamedTuple):
    """Some records on the wire: `runs` are (maps back to back, how many); `rejected` says what was left out."""

    runs: list[tuple[bytes, int]]
    rejected: list[Unpackable]


class RecordPacker:
    """Packs records for one thread; not to be shared between threads."""

    def __init__(self, max_record: int = MAX_RECORD) -> None:
        self.max_record = max_record
        self._packer = msgpack.Packer(datetime=True, default=_default, unicode_errors="surrogatepass")
        self._core: list[Any] = [None]
        self._shell = self._core
        for _ in range(SHELL - 1):
            self._shell = [self._shell]

    def pack(self, records: list[Any]) -> Packed:
        """Pack records in order. Good ones cost one call of the packer for all; a bad one is left out and told."""
        try:
            maps = [record if type(record) is dict else as_map(record) for record in records]
            blob = self._pack_maps(maps)
        except Exception:  # one of them is bad: find out which
            return self._pack_each(records)
        if len(blob) > self.max_record:  # perhaps one of them is too large
            return self._pack_each(records)
        return Packed([(blob, len(maps))] if maps else [], [])

    def _pack_each(self, records: list[Any]) -> Packed:
        packed = Packed([], [])
        for record in records:
            try:
                packed.runs.append((self._pack_one(record), 1))
            except Unpackable as error:
                packed.rejected.append(error)
        return packed

    def _pack_one(self, record: object) -> bytes:
        fields: dict[Any, Any] = {}
        try:
            fields = as_map(record)
            blob = self._pack_maps([fields])
        except Unpackable:
            raise
        except Exception as error:  # a user's property or __iter__ may raise anything
            raise Unpackable(self._explain(fields, error)) from error
        if len(blob) > self.max_record:
            raise Unpackable(f"packs to {len(blob)} bytes, over {self.max_record}", "too-large")
        return blob

    def _pack_maps(self, maps: list[dict[str, Any]]) -> bytes:
        self._core[0] = maps
        try:
            packed: bytes = self._packer.pack(self._shell)
        except BaseException:
            self._packer.reset()
            raise
        finally:
            self._core[0] = None
        return packed[SHELL + len(array_header(len(maps))) :]

    def _explain(self, fields: dict[Any, Any], error: Exception) -> str:
        for name, value in fields.items():
            try:
                self._pack_maps([{name: value}])
            except Exception as inner:
                return f"field {name!r:.80} of type {_kind(value)}: {type(inner).__name__}: {inner}"
        return f"{type(error).__name__}: {error}"


def array_header(count: int) -> bytes:
    """Return the msgpack header of an array of `count` elements, as every packer writes it (the shortest form)."""
    if count < 16:
        return bytes([0x90 | count])
    if count < 1 << 16:
        return b"\xdc" + count.to_bytes(2, "big")
    return b"\xdd" + count.to_bytes(4, "big")
