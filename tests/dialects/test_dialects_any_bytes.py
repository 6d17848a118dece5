"""Whatever stands in a list: a record of wire values, or the one error that makes a dead letter of it."""

import datetime
import struct

import msgpack
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pumpkit.dialects import decoder, encoder, iam, protobuf, tyk
from pumpkit.dialects.names import CITY, GEO, GRAPHQL, IAM, LATENCY, LOCATION, MCP, NETWORK, TYK
from pumpkit.errors import BadItem, Unpackable
from pumpkit.values import RecordPacker, unpack_record

DECODERS = {
    "iam": decoder("iam"),
    "tyk": decoder("tyk"),
    "tyk-raw": decoder("tyk", decode_raw=True),
    "protobuf": decoder("tyk", "protobuf"),
    "protobuf-raw": decoder("tyk", "protobuf", decode_raw=True),
}
NAMES = sorted({*IAM, *TYK, *GEO, *CITY, *LOCATION, *NETWORK, *LATENCY, *GRAPHQL, *MCP, "api_id", "New", "timestamp"})

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 63), (1 << 64) - 1),
    st.floats(allow_nan=False),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.builds(msgpack.Timestamp, st.integers(-(1 << 63), (1 << 63) - 1), st.integers(0, 999_999_999)),
    st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=3)),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*NAMES, b"Host"]), inner, max_size=4),
    max_leaves=8,
)
MAPS = st.dictionaries(st.sampled_from([*NAMES, b"Host", b"\xff"]), VALUES, max_size=8)


def judge(name: str, item: bytes) -> None:
    """Assert what this file promises of one item."""
    try:
        record = DECODERS[name](item)
    except BadItem as error:
        reason = str(error)
    else:
        reason, packed = "fine", RecordPacker().pack([record])
        assert packed.rejected == []
        [(blob, _)] = packed.runs
        assert unpack_record(blob) == record
    assert 0 < len(reason) <= 500


@pytest.mark.parametrize("name", DECODERS)
@settings(max_examples=300, deadline=None)
@given(item=st.binary(max_size=200))
@example(item=b"")
@example(item=b"\xc0")
@example(item=b"\x80\x80")
@example(item=b"\x91" * 2_000)
@example(item=b"\x81\xa1a" + b"\x91" * 70 + b"\x01")
@example(item=b"\xdd\xff\xff\xff\xff")
def test_any_bytes(name, item):
    """No bytes raise anything else."""
    judge(name, item)


@pytest.mark.parametrize("name", ["iam", "tyk", "tyk-raw"])
@settings(max_examples=500, deadline=None)
@given(fields=MAPS)
def test_any_map(name, fields):
    """Nor do maps whose fields hold anything."""
    judge(name, msgpack.packb(fields))


@settings(max_examples=500, deadline=None)
@given(data=st.data())
def test_any_message(data):
    """Nor do messages whose fields are of any type, nested or not."""
    item = b""
    for _ in range(data.draw(st.integers(0, 6))):
        number, wire = data.draw(st.integers(1, 40)), data.draw(st.sampled_from([0, 1, 2, 2, 2, 5]))
        size = {1: 8, 5: 4}.get(wire)
        body = data.draw(st.binary(min_size=size or 0, max_size=size or 20))
        head = bytes([0x80 | (number << 3 | wire) & 0x7F, number >> 4])
        item += head + (bytes([len(body) & 0x7F]) if wire == 2 else b"") + body
    judge("protobuf", item)


TEXTS = st.text(max_size=8) | st.binary(max_size=8).map(lambda data: data.decode(errors="surrogateescape"))
INTS = st.integers(-(1 << 63), (1 << 63) - 1)
SMALL = st.integers(-(1 << 31), (1 << 31) - 1)
FAR = st.integers(-(1 << 62), 1 << 62).map(lambda seconds: iam.decode(one_time(seconds))["expire_at"])
TIMES = st.none() | st.datetimes(timezones=st.just(datetime.UTC), min_value=datetime.datetime(1, 1, 1, 0, 0, 1)) | FAR
FLOATS = st.floats(allow_nan=False)


def one_time(seconds: int) -> bytes:
    """Return an item with nothing but an expiry."""
    packed: bytes = msgpack.packb({"ExpireAt": msgpack.Timestamp(seconds)})
    return packed


def fields_of(names, **others):
    """Return a strategy of whole structs, whose fields are text unless said otherwise."""
    return st.fixed_dictionaries({name: others.get(name, TEXTS) for name in names.values()})


def each(names, strategy):
    """Return the same strategy for all fields."""
    return dict.fromkeys(names.values(), strategy)


TYK_RECORDS = fields_of(
    TYK,
    **dict.fromkeys(["content_length", "request_time"], INTS),
    **dict.fromkeys(["day", "month", "year", "hour", "response_code"], SMALL),
    timestamp=TIMES,
    expire_at=TIMES,
    track_path=st.booleans(),
    tags=st.lists(TEXTS, max_size=3),
    geo=st.fixed_dictionaries(
        {
            "country": st.fixed_dictionaries({"iso_code": TEXTS}),
            "city": st.fixed_dictionaries(
                {"geoname_id": st.integers(0, (1 << 32) - 1), "names": st.dictionaries(TEXTS, TEXTS, max_size=3)}
            ),
            "location": fields_of(LOCATION, latitude=FLOATS, longitude=FLOATS),
        }
    ),
    network=fields_of(NETWORK, **each(NETWORK, INTS)),
    latency=fields_of(LATENCY, **each(LATENCY, INTS)),
    graphql_stats=fields_of(
        GRAPHQL,
        root_fields=st.lists(TEXTS, max_size=2),
        types=st.dictionaries(TEXTS, st.lists(TEXTS, max_size=2), max_size=2),
        errors=st.lists(
            st.fixed_dictionaries({"message": TEXTS, "path": st.lists(TEXTS | INTS, max_size=2)}), max_size=2
        ),
        operation_type=SMALL,
        has_errors=st.booleans(),
        is_graphql=st.booleans(),
    ),
    mcp_stats=fields_of(MCP, is_mcp=st.booleans()),
)


@settings(max_examples=200, deadline=None)
@given(record=fields_of(IAM, timestamp=INTS, expire_at=TIMES))
def test_iam_round_trip(record):
    """A record is the same after a way through the bytes."""
    assert decoder("iam")(encoder("iam")(record)) == record


@settings(max_examples=200, deadline=None)
@given(record=TYK_RECORDS)
def test_tyk_round_trips(record):
    """In msgpack all of a record, in protobuf all that the message has room for."""
    assert tyk.decode(tyk.encode(record)) == record
    there = {name: value for name, value in record.items() if name != "collection_name"} | {"time_zone": "UTC"}
    there["latency"] = {name: value for name, value in record["latency"].items() if name != "gateway"}
    errors = [{"message": error["message"], "path": []} for error in record["graphql_stats"]["errors"]]
    there["graphql_stats"] = record["graphql_stats"] | {"errors": errors}
    far = [name for name in ("timestamp", "expire_at") if type(record[name]) is str]
    assert protobuf.decode(protobuf.encode(record)) == there, far


@settings(max_examples=200, deadline=None)
@given(record=st.dictionaries(st.sampled_from([*IAM.values(), *TYK.values()]), VALUES, max_size=6))
def test_writing_anything(record):
    """A record that a dialect cannot hold raises one error; what is written can be read."""
    for dialect, encoding in (("iam", "msgpack"), ("tyk", "msgpack"), ("tyk", "protobuf")):
        try:
            item = encoder(dialect, encoding)(record)
        except Unpackable:
            continue
        decoder(dialect, encoding)(item)


def test_doubles_keep_their_sign():
    """A negative zero is not left out as a zero."""
    record = protobuf.decode(protobuf.encode({"geo": {"location": {"latitude": -0.0}}}))
    assert struct.pack("<d", record["geo"]["location"]["latitude"]) == struct.pack("<d", -0.0)
