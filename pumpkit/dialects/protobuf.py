"""The protobuf variant of Tyk's records: a reader and a writer of the wire format for just these messages.

Field names and values are those of the msgpack dialect. As nothing is written for a zero value, and a sub-message may
be missing as well, a record that is read always has every field. A field that is not known here stays in the record
as `field_N`: an integer, or bytes. `latency.gateway`, the path of a GraphQL error and `collection_name` have no field
in the message.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from pumpkit.dialects.structs import FLAG, FLOAT, INT, TEXT
from pumpkit.dialects.times import from_unix, to_unix
from pumpkit.dialects.tyk import with_base64_bodies, with_plain_bodies
from pumpkit.dialects.wire import writing
from pumpkit.errors import BadItem

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_UINT64 = (1 << 64) - 1


# The wire ---------------------------------------------------------------------------------------------------


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the integer at a place, of at most 10 bytes, and the place after it."""
    value = shift = 0
    for end in range(at, min(at + 10, len(data))):
        byte = data[end]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _UINT64, end + 1
        shift += 7
    raise ValueError(f"an integer at byte {at} has no end")


def _fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Yield number, wire type and value of every field of a message."""
    at, size = 0, len(data)
    while at < size:
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise ValueError(f"a field with the number {number}")
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield number, kind, value
            continue
        if kind == _LENGTH:
            length, at = _varint(data, at)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"field {number} has the wire type {kind}")
        if length > size - at:
            raise ValueError(f"field {number} ends after the message")
        yield number, kind, data[at : at + length]
        at += length


def _write_varint(value: int) -> bytes:
    value &= _UINT64
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _tagged(number: int, wire: int, payload: bytes) -> bytes:
    length = _write_varint(len(payload)) if wire == _LENGTH else b""
    return _write_varint(number << 3 | wire) + length + payload


# What fields hold -------------------------------------------------------------------------------------------


class _Type(NamedTuple):
    """What a field holds. `read` merges a value into what was there before; `write` returns what to write, if any."""

    wire: int
    zero: Callable[[], Any]
    read: Callable[[Any, Any], Any]
    write: Callable[[Any], list[bytes]]


def _integer(bits: int, *, signed: bool = True) -> _Type:
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)

    def read(_: Any, value: int) -> int:
        value &= (1 << bits) - 1
        return value if value <= high else value - (1 << bits)

    def write(value: Any) -> list[bytes]:
        number: int = INT.write(value)
        if not low <= number <= high:
            raise ValueError(f"{number} is beyond {bits} bits")
        return [_write_varint(number)] if number else []

    return _Type(_VARINT, int, read, write)


def _read_text(_: Any, data: bytes) -> str:
    return data.decode(errors="surrogateescape")


def _text_bytes(value: Any) -> bytes:
    text: str = TEXT.write(value)
    return text.encode(errors="surrogateescape")


def _write_text(value: Any) -> list[bytes]:
    data = _text_bytes(value)
    return [data] if data else []


def _read_double(_: Any, data: bytes) -> float:
    number: float = struct.unpack("<d", data)[0]
    return number


def _write_double(value: Any) -> list[bytes]:
    data = struct.pack("<d", FLOAT.write(value))
    return [data] if any(data) else []


_INT64, _INT32, _UINT32 = _integer(64), _integer(32), _integer(32, signed=False)
_TEXT = _Type(_LENGTH, str, _read_text, _write_text)
_FLAG = _Type(_VARINT, bool, lambda _, value: value != 0, lambda value: [b"\x01"] if FLAG.write(value) else [])
_DOUBLE = _Type(_FIXED64, float, _read_double, _write_double)


def _repeated(read: Callable[[bytes], Any], write: Callable[[Any], bytes]) -> _Type:
    def read_one(before: list[Any], data: bytes) -> list[Any]:
        before.append(read(data))
        return before

    return _Type(_LENGTH, list, read_one, lambda values: [write(one) for one in values or ()])


_TEXTS = _repeated(lambda data: _read_text(None, data), _text_bytes)


class _Message:
    """A message: the names and types of its fields, by number."""

    def __init__(self, fields: Mapping[int, tuple[str, _Type]]) -> None:
        self.fields = fields

    def zero(self) -> dict[str, Any]:
        """Return the message that no bytes make."""
        return {name: of.zero() for name, of in self.fields.values()}

    def read(self, before: dict[str, Any], data: bytes) -> dict[str, Any]:
        """Merge the fields of a message into what came before. Raises ValueError."""
        for number, wire, value in _fields(data):
            if number not in self.fields:
                _keep(before, f"field_{number}", value)
                continue
            name, of = self.fields[number]
            if wire != of.wire:
                raise ValueError(f"{name}: has the wire type {wire}")
            before[name] = of.read(before[name], value)
        return before

    def write(self, record: Mapping[str, Any]) -> bytes:
        """Return the bytes of a message, without fields that it does not know. Raises TypeError."""
        parts = []
        for number, (name, of) in self.fields.items():
            try:
                parts += [_tagged(number, of.wire, payload) for payload in of.write(record.get(name))]
            except (TypeError, ValueError, AttributeError) as error:
                raise TypeError(f"{name}: {error}") from None
        return b"".join(parts)


def _message(fields: Mapping[int, tuple[str, _Type]], *, always: bool = True) -> _Type:
    """Return the type of a field that holds a message; `always`: Tyk Pump fails if it is missing."""
    message = _Message(fields)

    def write(value: Any) -> list[bytes]:
        data = message.write(value or {})
        return [data] if data or always else []

    return _Type(_LENGTH, message.zero, message.read, write)


def _map(of: _Type) -> _Type:
    entry = _Message({1: ("key", _TEXT), 2: ("value", of)})

    def read(before: dict[str, Any], data: bytes) -> dict[str, Any]:
        fields = entry.read(entry.zero(), data)
        before[fields["key"]] = fields["value"]
        return before

    def write(value: Any) -> list[bytes]:
        return [entry.write({"key": key, "value": inner}) for key, inner in (value or {}).items()]

    return _Type(_LENGTH, dict, read, write)


def _keep(record: dict[str, Any], name: str, value: int | bytes) -> None:
    """Keep an unknown field, which may be there more than once."""
    if name not in record:
        record[name] = value
    elif type(record[name]) is list:
        record[name].append(value)
    else:
        record[name] = [record[name], value]


# The messages -----------------------------------------------------------------------------------------------

_STAMP = _Message({1: ("seconds", _INT64), 2: ("nanos", _INT32)})


def _read_time(_: Any, data: bytes) -> Any:
    stamp = _STAMP.read(_STAMP.zero(), data)
    return from_unix(stamp["seconds"], stamp["nanos"])


def _write_time(value: Any) -> list[bytes]:
    seconds, nanos = to_unix(value)
    return [_STAMP.write({"seconds": seconds, "nanos": nanos})]


def _read_list(before: list[str], data: bytes) -> list[str]:
    texts: list[str] = _LIST.read({"fields": before}, data)["fields"]
    return texts


_TIME = _Type(_LENGTH, lambda: None, _read_time, _write_time)
_LIST = _Message({1: ("fields", _TEXTS)})
_LATENCY = _message({1: ("total", _INT64), 2: ("upstream", _INT64)})
_NETWORK = _message(
    {
        1: ("open_connections", _INT64),
        2: ("closed_connections", _INT64),
        3: ("bytes_in", _INT64),
        4: ("bytes_out", _INT64),
    }
)
_GEO = _message(
    {
        1: ("country", _message({1: ("iso_code", _TEXT)})),
        2: ("city", _message({1: ("names", _map(_TEXT)), 2: ("geoname_id", _UINT32)})),
        3: ("location", _message({1: ("latitude", _DOUBLE), 2: ("longitude", _DOUBLE), 3: ("time_zone", _TEXT)})),
    }
)
_GRAPHQL = _message(
    {
        1: ("is_graphql", _FLAG),
        2: ("types", _map(_Type(_LENGTH, list, _read_list, lambda texts: [_LIST.write({"fields": texts})]))),
        3: ("operation_type", _INT32),
        4: ("variables", _TEXT),
        5: ("root_fields", _TEXTS),
        6: ("has_errors", _FLAG),
        7: (
            "errors",
            _repeated(
                lambda data: {"message": _read_text(None, data), "path": []},
                lambda error: _text_bytes(error.get("message")),
            ),
        ),
    },
    always=False,
)
_MCP = _message(
    {1: ("is_mcp", _FLAG), 2: ("jsonrpc_method", _TEXT), 3: ("primitive_type", _TEXT), 4: ("primitive_name", _TEXT)},
    always=False,
)
_RECORD = _Message(
    {
        1: ("host", _TEXT),
        2: ("method", _TEXT),
        3: ("path", _TEXT),
        4: ("raw_path", _TEXT),
        5: ("content_length", _INT64),
        6: ("user_agent", _TEXT),
        7: ("day", _INT32),
        8: ("month", _INT32),
        9: ("year", _INT32),
        10: ("hour", _INT32),
        11: ("response_code", _INT32),
        12: ("api_key", _TEXT),
        13: ("timestamp", _TIME),
        14: ("api_version", _TEXT),
        15: ("api_name", _TEXT),
        16: ("api_id", _TEXT),
        17: ("org_id", _TEXT),
        18: ("request_time", _INT64),
        19: ("latency", _LATENCY),
        20: ("raw_request", _TEXT),
        21: ("raw_response", _TEXT),
        22: ("ip_address", _TEXT),
        23: ("geo", _GEO),
        24: ("network", _NETWORK),
        25: ("tags", _TEXTS),
        26: ("alias", _TEXT),
        27: ("track_path", _FLAG),
        28: ("expire_at", _TIME),
        29: ("oauth_id", _TEXT),
        30: ("time_zone", _TEXT),
        31: ("api_schema", _TEXT),
        32: ("graphql_stats", _GRAPHQL),
        33: ("mcp_stats", _MCP),
        34: ("original_path", _TEXT),
        35: ("listen_path", _TEXT),
    }
)


def decode(item: bytes, *, decode_raw: bool = False) -> dict[str, Any]:
    """Return the record of an item. Raises BadItem for bytes that are none; no bytes at all are none either."""
    if not item:
        raise BadItem("ValueError: no bytes")
    try:
        record = _RECORD.read(_RECORD.zero(), item)
    except (ValueError, TypeError) as error:
        raise BadItem(f"{type(error).__name__}: {error}"[:500]) from None
    return with_plain_bodies(record) if decode_raw else record


def encode(record: Mapping[str, Any]) -> bytes:
    """Return a record as Tyk Gateway writes it with this encoding; its times are UTC unless `time_zone` says.

    Fields that the message does not know are left out. Raises Unpackable.
    """
    with writing():
        return _RECORD.write({"time_zone": "UTC", **with_base64_bodies(record)})
