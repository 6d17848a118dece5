"""Bytes made by the libraries that the Go programs use (`golden/`): read right, and written the same."""

import datetime
import json
from pathlib import Path

import msgpack
import pytest

from pumpkit.dialects import decoder, encoder

GOLDEN = {
    kind: {name: bytes.fromhex(text) for name, text in vectors.items()}
    for kind, vectors in json.loads((Path(__file__).parent / "golden" / "golden.json").read_text()).items()
}
IAM_NAMES = ["timestamp", "username", "effect", "conclusion", "request", "policies", "deciders", "expire_at"]
TYK_FULL = {
    "method": "GET",
    "host": "example.com",
    "path": "/a",
    "raw_path": "/a/é",
    "content_length": 70_000,
    "user_agent": "curl",
    "day": 2,
    "month": 1,
    "year": 2026,
    "hour": 3,
    "response_code": -1,
    "api_key": "k",
    "timestamp": datetime.datetime(2026, 1, 2, 3, 4, 5, 123_456, datetime.UTC),
    "api_version": "v1",
    "api_name": "n",
    "api_id": "id",
    "org_id": "org",
    "oauth_id": "oa",
    "request_time": 1 << 33,
    "raw_request": "R0VUIC8=",
    "raw_response": "/w==",
    "ip_address": "::1",
    "geo": {
        "country": {"iso_code": "DE"},
        "city": {"geoname_id": 1 << 31, "names": {"en": "Berlin"}},
        "location": {"latitude": 52.5, "longitude": -13.25, "time_zone": "Europe/Berlin"},
    },
    "network": {"open_connections": -129, "closed_connections": 2, "bytes_in": 1 << 40, "bytes_out": 4},
    "latency": {"total": 12, "upstream": 11, "gateway": 1},
    "tags": ["a", "b"],
    "alias": "al",
    "track_path": True,
    "expire_at": datetime.datetime(2126, 1, 2, 3, 4, 5, 678_901, datetime.UTC),
    "api_schema": "s",
    "original_path": "/o",
    "listen_path": "/l",
    "graphql_stats": {
        "variables": "{}",
        "root_fields": ["r"],
        "types": {"T": ["f"]},
        "errors": [{"message": "m", "path": ["p", 1]}],
        "operation_type": 2,
        "has_errors": True,
        "is_graphql": True,
    },
    "mcp_stats": {"is_mcp": True, "jsonrpc_method": "tools/call", "primitive_type": "tool", "primitive_name": "w"},
    "collection_name": "c",
}
#: What the message has no room for, or says in another way.
PROTOBUF_FULL = {
    **{name: value for name, value in TYK_FULL.items() if name != "collection_name"},
    "time_zone": "Local",
    "latency": {"total": 12, "upstream": 11},
    "expire_at": datetime.datetime(2125, 12, 31, 5, 4, 5, 678_901, datetime.UTC),
    "graphql_stats": TYK_FULL["graphql_stats"] | {"errors": [{"message": "m", "path": []}]},
}


@pytest.mark.parametrize(
    ("name", "values"),
    {
        "full": [
            1_700_000_000,
            "colin",
            "allow",
            "policies p1 allow access",
            '{"resource":"r"}',
            "[]",
            "[]",
            datetime.datetime(2126, 1, 2, 3, 4, 5, 678_901, datetime.UTC),
        ],
        "empty": [0, "u", "deny", "", "", "", "", datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)],
        "zero": [0, "", "", "", "", "", "", None],
        "negative": [
            -1,
            "\udcff\udcfe raw",
            "allow",
            "é中",
            "x",
            "",
            "",
            datetime.datetime(1969, 12, 31, 23, 59, 59, 1, datetime.UTC),
        ],
        "far": [1 << 40, "", "", "", "", "", "", datetime.datetime.max.replace(tzinfo=datetime.UTC)],
        "beyond": [1, "", "", "", "", "", "", "+10001-01-01T00:00:00Z"],
    }.items(),
)
def test_iam_records(name, values):
    """Eight fields under our names; zero times, far times, negative numbers and bytes that are not UTF-8 are kept."""
    item = GOLDEN["iam"][name]
    record = decoder("iam")(item)
    assert list(record.items()) == list(zip(IAM_NAMES, values, strict=True))
    again = encoder("iam")(record)
    assert decoder("iam")(again) == record
    # Only nanoseconds are lost.
    nanoseconds = {b"\xd7\xff\xa1\xdc\xd7\xc9": b"\xd7\xff\xa1\xdc\xd4\x21", b"\x3b\x9a\xc9\xff": b"\x3b\x9a\xc6\x18"}
    for ours, theirs in nanoseconds.items():
        item = item.replace(ours, theirs)
    assert again == item


@pytest.mark.parametrize("library", ["tyk", "tyk-v5"])
def test_tyk_records_keep_every_field(library):
    """Structs, lists and maps within, negative codes, and either encoding of times."""
    record = decoder("tyk")(GOLDEN[library]["full"])
    assert record == TYK_FULL
    assert list(record) == list(TYK_FULL)
    again = encoder("tyk")(record)
    item = GOLDEN["tyk"]["full"]
    for theirs, ours in ((123_456_789, 123_456_000), (678_901_234, 678_901_000)):
        item = item.replace(msgpack.packb(theirs), msgpack.packb(ours))
    assert again == item


@pytest.mark.parametrize("library", ["tyk", "tyk-v5"])
def test_tyk_zero_values(library):
    """A record without a value has every field: zero times are None, nil lists and maps are empty."""
    record = decoder("tyk")(GOLDEN[library]["zero"])
    assert list(record) == list(TYK_FULL)
    assert (record["timestamp"], record["expire_at"]) == (None, None)
    assert (record["tags"], record["geo"]["city"]["names"], record["graphql_stats"]["errors"]) == ([], {}, [])
    assert encoder("tyk")(record) == GOLDEN["tyk"]["zero"]
    assert encoder("tyk")({}) == GOLDEN["tyk"]["zero"]


def test_both_dialects_take_both_encodings_of_times():
    """An expiry as an array, as Tyk has it, in a record of iam."""
    fields = msgpack.unpackb(GOLDEN["iam"]["full"], timestamp=1, strict_map_key=False)
    item = msgpack.packb(fields | {"ExpireAt": [1_893_456_000, 5_000]})
    expected = datetime.datetime(2030, 1, 1, 0, 0, 0, 5, datetime.UTC)
    assert decoder("iam")(item)["expire_at"] == expected


def test_protobuf_records():
    """The same fields as in msgpack, but for those that the message does not have; written the same again."""
    record = decoder("tyk", "protobuf")(GOLDEN["protobuf"]["full"])
    assert record == PROTOBUF_FULL
    item = GOLDEN["protobuf"]["full"]
    for theirs, ours in ((b"\x10\x95\x9a\xef\x3a", b"\x10\x80\x94\xef\x3a"), (b"\xf2\xeb\xdc", b"\x88\xea\xdc")):
        assert theirs in item
        item = item.replace(theirs, ours)
    assert encoder("tyk", "protobuf")(record) == item


def test_protobuf_without_sub_messages():
    """A message may lack any of them; what we write has those that Tyk Pump fails without."""
    decode, encode = decoder("tyk", "protobuf"), encoder("tyk", "protobuf")
    record = decode(GOLDEN["protobuf"]["bare"])
    assert record["host"] == "without any sub-message"
    assert record["geo"]["location"] == {"latitude": 0.0, "longitude": 0.0, "time_zone": ""}
    assert (record["timestamp"], record["latency"]) == (None, {"total": 0, "upstream": 0})
    zero = decode(GOLDEN["protobuf"]["zero"])
    assert zero == record | {"host": "", "time_zone": "UTC"}
    assert encode(zero) == encode({}) == GOLDEN["protobuf"]["zero"]
    assert decode(encode(record)) == record
