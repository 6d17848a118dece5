"""What Go programs write and read: `iam` (iam-authz-server, iam-pump) and `tyk` (Tyk Gateway, Tyk Pump).

`decode` takes the bytes of one item of their lists and returns a record of wire values (`pumpkit.values`) under
snake_case names; `encode` makes of a record what an unmodified Go program reads.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal

Dialect = Literal["iam", "tyk"]
Encoding = Literal["msgpack", "protobuf"]

#: Returns the record of an item. Raises BadItem for bytes that are none.
Decode = Callable[[bytes], dict[str, Any]]

#: Returns the item of a record. Raises Unpackable for one that the dialect cannot hold.
Encode = Callable[[Mapping[str, Any]], bytes]

#: The lists that the Go programs use unless they are configured otherwise.
DEFAULT_KEYS: dict[Dialect, str] = {
    "iam": "analytics-iam-system-analytics",
    "tyk": "analytics-tyk-system-analytics",
}

#: Ends the name of a list of Tyk's with protobuf in it, after the suffixes that spread its load.
PROTOBUF_SUFFIX = "_protobuf"
SPREAD_SUFFIXES = ("", *(f"_{number}" for number in range(10)))


def decoder(dialect: Dialect, encoding: Encoding = "msgpack", *, decode_raw: bool = False) -> Decode:
    """Return what decodes items; `decode_raw` takes the base64 off the bodies in Tyk's records."""
    module = _module(dialect, encoding)
    return functools.partial(module.decode, decode_raw=True) if decode_raw and dialect == "tyk" else module.decode


def encoder(dialect: Dialect, encoding: Encoding = "msgpack") -> Encode:
    """Return what encodes records."""
    encode: Encode = _module(dialect, encoding).encode
    return encode


def _module(dialect: Dialect, encoding: Encoding) -> Any:
    match dialect, encoding:
        case "iam", "msgpack":
            from pumpkit.dialects import iam

            return iam
        case "tyk", "msgpack":
            from pumpkit.dialects import tyk

            return tyk
        case "tyk", "protobuf":
            from pumpkit.dialects import protobuf

            return protobuf
    raise ValueError(f"the dialect {dialect} has no encoding {encoding}")
