"""Turning what applications report into wire values: one packer, its conversions, and what it refuses.

On the wire a record is a map with `str` keys, at every depth, whose values are None, bool, 64-bit integers, float,
str, bytes, list, map or an aware datetime (the msgpack timestamp extension, UTC). This module imports neither attrs
nor dataclasses: it knows both kinds of class by the marks they leave.
"""

import datetime
import decimal
import enum
import itertools
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

#: The types of wire values but list and map.
SCALARS = frozenset({type(None), bool, int, float, str, bytes, datetime.datetime})


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
#:
#: Without its C part, as in a second interpreter of a process, msgpack is limited by Python's stack instead; then what
#: nests too deep is refused where it is read.
_ONLY_PYTHON = msgpack.Packer.__module__ == "msgpack.fallback"
SHELL = 1 if _ONLY_PYTHON else _deepest() - MAX_DEPTH - 1  # one for the list of records
SHELL_BYTES = b"\x91" * SHELL


def as_map(record: object) -> dict[str, Any]:
    """Return a record's fields as a dict: any mapping, attrs class or dataclass. Raises Unpackable for others."""
    if isinstance(record, Mapping):
        return dict(record)
    fields = _fields(record)
    if fields is None:
        raise Unpackable(f"a record must be a mapping, an attrs class or a dataclass, not {_kind(record)}")
    return fields


def _fields(value: Any) -> dict[str, Any] | None:
    kind = type(value)
    names = getattr(kind, "__attrs_attrs__", None)
    if names is not None:
        return {field.name: getattr(value, field.name) for field in names}
    if hasattr(kind, "__dataclass_fields__"):
        import dataclasses  # imported already by whoever made the class

        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return None


def _default(value: object) -> object:
    """Convert one value that msgpack does not know; it converts what is inside of the answer in turn."""
    plain = _plain(value)
    _check(plain)
    return plain


def _plain(value: object) -> object:
    match value:
        case datetime.datetime():
            aware = value if value.tzinfo else value.replace(tzinfo=datetime.UTC)
            return msgpack.Timestamp.from_datetime(aware)
        case datetime.date() | datetime.time():
            return value.isoformat()
        case enum.Enum():
            return _plain(value.value)
        case None | float() | str() | bytes():
            return value  # of an Enum's member; msgpack itself knows the others
        case decimal.Decimal() | uuid.UUID():
            return str(value)
        case set() | frozenset() | list() | tuple():
            return list(value)
        case Mapping():
            return dict(value)
        case os.PathLike():
            return os.fsdecode(value)
        case int():
            if not -(1 << 63) <= value < 1 << 64:
                raise OverflowError("an integer beyond 64 bits")
            return value
    fields = _fields(value)
    if fields is None:
        raise TypeError(f"{_kind(value)} has no form on the wire")
    return fields


def _check(value: object) -> None:
    """Refuse what msgpack would pack and no reader takes: keys that are not `str`, foreign extension types."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if type(key) is not str and not isinstance(key, str):
                raise TypeError(f"a key must be str, not {_kind(key)}")
            if type(inner) not in SCALARS:
                _check(inner)
    elif isinstance(value, (list, tuple)):
        if isinstance(value, msgpack.ExtType):
            raise TypeError(f"{_kind(value)} has no form on the wire")
        for inner in value:
            if type(inner) not in SCALARS:
                _check(inner)


def _is_flat(maps: list[dict[str, Any]]) -> bool:
    """Whether these maps hold scalars only, under keys that are `str`: most do."""
    for record in maps:
        for key, value in record.items():
            if type(value) not in SCALARS or type(key) is not str:
                return False
    return True


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
        self._packer = _packer()
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
            return self._cut(blob, len(maps))
        return Packed([(blob, len(maps))] if maps else [], [])

    def _cut(self, blob: bytes, count: int) -> Packed:
        """Cut packed maps into runs of at most the largest record, leaving out those that are larger by themselves."""
        self._packer = _packer()  # the old one keeps a buffer of this size
        packed = Packed([], [])
        unpacker = msgpack.Unpacker(max_buffer_size=len(blob))
        unpacker.feed(blob)
        cuts = boundaries(unpacker, count)
        begin = 0
        for index, (start, end) in enumerate(itertools.pairwise(cuts)):
            if end - cuts[begin] <= self.max_record:
                continue
            if index > begin:
                packed.runs.append((blob[cuts[begin] : start], index - begin))
            begin = index
            if end - start > self.max_record:
                packed.rejected.append(self._too_large(end - start))
                begin = index + 1
        if count > begin:
            packed.runs.append((blob[cuts[begin] :], count - begin))
        return packed

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
            blob = self._pack_flat(fields)
            if any(type(value) not in SCALARS for value in fields.values()):
                self._pack_maps([fields])  # in the shell, which costs more than a flat record
        except Unpackable:
            raise
        except Exception as error:  # a user's property or __iter__ may raise anything
            raise Unpackable(self._explain(fields, error)) from error
        if len(blob) > self.max_record:
            raise self._too_large(len(blob))
        return blob

    def _pack_whole(self, value: object) -> bytes:
        try:
            packed: bytes = self._packer.pack(value)
        except BaseException:
            self._packer.reset()
            raise
        return packed

    def _pack_flat(self, fields: dict[Any, Any]) -> bytes:
        packed = self._pack_whole(fields)
        _check(fields)
        return packed

    def _pack_maps(self, maps: list[dict[str, Any]]) -> bytes:
        if _is_flat(maps):  # nothing can be too deep, and nothing is left to check
            return self._pack_whole(maps)[len(array_header(len(maps))) :]
        self._core[0] = maps
        try:
            packed = self._pack_whole(self._shell)
        finally:
            self._core[0] = None
        _check(maps)
        return packed[SHELL + len(array_header(len(maps))) :]

    def _too_large(self, size: int) -> Unpackable:
        return Unpackable(f"packs to {size} bytes, over {self.max_record}", "too-large")

    def _explain(self, fields: dict[Any, Any], error: Exception) -> str:
        """Say which field it was."""
        for name, value in fields.items():
            if not isinstance(name, str):
                return f"the name of a field must be str, not {_kind(name)}"
            try:
                self._pack_flat({name: value})
            except Exception as inner:
                return f"field {str(name)!r:.80} of type {_kind(value)}: {type(inner).__name__}: {inner!s:.300}"
        for name, value in fields.items():
            try:
                self._pack_maps([{name: value}])
            except Exception:  # only the shell makes it one too many
                return f"field {str(name)!r:.80} of type {_kind(value)} nests deeper than {MAX_DEPTH} levels"
        return f"{type(error).__name__}: {error!s:.300}"


def _packer() -> Any:
    return msgpack.Packer(datetime=True, default=_default, unicode_errors="surrogatepass")


def boundaries(unpacker: Any, count: int) -> list[int]:
    """Return where each of the next `count` values in an unpacker begins, and where the last one ends."""
    cuts = [unpacker.tell()]
    for _ in range(count):
        unpacker.skip()
        cuts.append(unpacker.tell())
    return cuts


def array_header(count: int) -> bytes:
    """Return the msgpack header of an array of `count` elements, as every packer writes it (the shortest form)."""
    if count < 16:
        return bytes([0x90 | count])
    if count < 1 << 16:
        return b"\xdc" + count.to_bytes(2, "big")
    return b"\xdd" + count.to_bytes(4, "big")


def pack_record(record: Mapping[Any, Any]) -> bytes:
    """Return the bytes of one record, as a dead letter keeps it: all that comes off the wire, of any size.

    Raises an exception of any kind if it cannot be packed, or not be read back.
    """
    blob: bytes = _packer().pack(record)
    unpack_record(blob)
    return blob


def unpack_record(blob: bytes) -> dict[str, Any]:
    """Return the record that `RecordPacker` packed, as a dead letter keeps it. Raises ValueError for anything else."""
    try:
        record = msgpack.unpackb(blob, timestamp=3, unicode_errors="surrogatepass")
    except Exception as error:  # msgpack raises many kinds
        raise ValueError(f"not a packed record: {type(error).__name__}: {error}") from error
    if type(record) is not dict:
        raise ValueError(f"a record must be a map, not {type(record).__name__}")
    return record
