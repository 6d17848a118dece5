"""What iam-authz-server writes into its Redis list and iam-pump reads: authorization decisions in msgpack v5.

A map of eight fields under Go's names; the time stamp is a 64-bit integer in Unix seconds, never shortened, and the
expiry a msgpack timestamp.
"""

from collections.abc import Mapping
from typing import Any

import msgpack

from pumpkit.dialects import names
from pumpkit.dialects.structs import INT, TEXT, TIME, Struct
from pumpkit.dialects.times import to_unix
from pumpkit.dialects.wire import packer, unpack_map, writing

_STRUCT = Struct(names.IAM, timestamp=INT, expire_at=TIME)
_HEAD = b"\x88\xa9TimeStamp\xd3"
_pack = packer().pack
_TEXTS = [(_pack(go), name) for go, name in names.IAM.items() if name not in ("timestamp", "expire_at")]
_TAIL = _pack("ExpireAt")


def decode(item: bytes) -> dict[str, Any]:
    """Return the record of an item. Raises BadItem for bytes that are none."""
    return unpack_map(item, _STRUCT.read)


def encode(record: Mapping[str, Any]) -> bytes:
    """Return a record as iam-authz-server writes it; other fields than the eight are left out. Raises Unpackable."""
    with writing():
        stamp = INT.write(record.get("timestamp")).to_bytes(8, "big", signed=True)
        parts = [_HEAD, stamp]
        for key, name in _TEXTS:
            value = record.get(name)
            parts += key, _pack("" if value is None else TEXT.write(value))
        return b"".join([*parts, _TAIL, _pack(msgpack.Timestamp(*to_unix(record.get("expire_at"))))])
