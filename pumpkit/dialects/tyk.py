"""What Tyk Gateway writes into its Redis lists and Tyk Pump reads: one record for each request, in msgpack v2.

A map under Go's names with structs inside, the times as arrays of seconds and nanoseconds. Bodies of requests and
responses are base64 text; `decode_raw` makes text of them, or bytes where they are not UTF-8, and leaves what is no
base64 as it is.
"""

import binascii
from collections.abc import Mapping
from typing import Any

from pumpkit.dialects import names
from pumpkit.dialects.structs import ANY, FLAG, FLOAT, INT, TEXT, TIME, Struct, list_of, map_of
from pumpkit.dialects.wire import packer, unpack_map, writing

_COUNTRY = Struct(names.COUNTRY)
_CITY = Struct(names.CITY, geoname_id=INT, names=map_of(TEXT))
_LOCATION = Struct(names.LOCATION, latitude=FLOAT, longitude=FLOAT)
_GEO = Struct(names.GEO, country=_COUNTRY.kind, city=_CITY.kind, location=_LOCATION.kind)
_NETWORK = Struct(names.NETWORK, **dict.fromkeys(names.NETWORK.values(), INT))
_LATENCY = Struct(names.LATENCY, **dict.fromkeys(names.LATENCY.values(), INT))
_GRAPHQL_ERROR = Struct(names.GRAPHQL_ERROR, path=list_of(ANY))
_GRAPHQL = Struct(
    names.GRAPHQL,
    root_fields=list_of(TEXT),
    types=map_of(list_of(TEXT)),
    errors=list_of(_GRAPHQL_ERROR.kind),
    operation_type=INT,
    has_errors=FLAG,
    is_graphql=FLAG,
)
_MCP = Struct(names.MCP, is_mcp=FLAG)
STRUCT = Struct(
    names.TYK,
    content_length=INT,
    day=INT,
    month=INT,
    year=INT,
    hour=INT,
    response_code=INT,
    timestamp=TIME,
    request_time=INT,
    geo=_GEO.kind,
    network=_NETWORK.kind,
    latency=_LATENCY.kind,
    tags=list_of(TEXT),
    track_path=FLAG,
    expire_at=TIME,
    graphql_stats=_GRAPHQL.kind,
    mcp_stats=_MCP.kind,
)

_BODIES = ("raw_request", "raw_response")


def decode(item: bytes, *, decode_raw: bool = False) -> dict[str, Any]:
    """Return the record of an item. Raises BadItem for bytes that are none."""
    record = unpack_map(item, STRUCT.read)
    return with_plain_bodies(record) if decode_raw else record


def with_plain_bodies(record: dict[str, Any]) -> dict[str, Any]:
    """Take the base64 off the bodies of a record, which is changed."""
    for name in _BODIES:
        body = record.get(name)
        if body:
            record[name] = _plain(body)
    return record


def _plain(body: str) -> str | bytes:
    try:
        raw = binascii.a2b_base64(body.replace("\r", "").replace("\n", ""), strict_mode=True)
    except ValueError:
        return body
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def with_base64_bodies(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a record whose bodies are text: bytes, which only `decode_raw` makes, become base64 again."""
    binary = {name: record[name] for name in _BODIES if type(record.get(name)) is bytes}
    return {**record, **{name: binascii.b2a_base64(body, newline=False).decode() for name, body in binary.items()}}


def encode(record: Mapping[str, Any]) -> bytes:
    """Return a record as Tyk Gateway writes it; fields that Go does not know are left out. Raises Unpackable."""
    with writing():
        item: bytes = packer().pack(STRUCT.write(with_base64_bodies(record)))
        return item
