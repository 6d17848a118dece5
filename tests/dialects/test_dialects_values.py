"""Values that Go programs write seldom, or never: read as Go's decoders read them, or refused."""

import datetime

import msgpack
import pytest

from pumpkit.dialects import decoder, encoder
from pumpkit.dialects.names import snake_case
from pumpkit.errors import BadItem, Unpackable

iam, tyk, tyk_raw = decoder("iam"), decoder("tyk"), decoder("tyk", decode_raw=True)


def test_nil_is_zero_and_binary_is_text():
    """As in Go, for every type of field."""
    fields = {"Username": None, "Effect": b"allow", "TimeStamp": None, "Conclusion": b"\xff"}
    assert iam(msgpack.packb(fields)) == {"username": "", "effect": "allow", "timestamp": 0, "conclusion": "\udcff"}
    fields = {"TrackPath": None, "Tags": [None, b"a"], "Geo": {"Location": {"Latitude": 3, "Longitude": None}}}
    assert tyk(msgpack.packb(fields)) == {
        "track_path": False,
        "tags": ["", "a"],
        "geo": {"location": {"latitude": 3.0, "longitude": 0.0}},
    }


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"Username": 1}, "username: must be text, not int"),
        ({"TimeStamp": 1.5}, "timestamp: must be an integer, not float"),
        ({"TimeStamp": True}, "timestamp: must be an integer, not bool"),
        ({"ExpireAt": "2030-01-01T00:00:00Z"}, "expire_at: must be a time, not str"),
        ({"ExpireAt": [1]}, "expire_at: must be a time, not list"),
        ({1: 2}, "int is not allowed for map key"),
        ({"New": msgpack.ExtType(5, b"")}, "extension type 5"),
        ([], "must be a map, not list"),
        (None, "must be a map, not NoneType"),
    ],
)
def test_what_go_refuses(fields, reason):
    """The reason names the field and what is wrong with it."""
    with pytest.raises(BadItem, match=reason):
        iam(msgpack.packb(fields))


def test_a_field_within_is_named():
    """By its path."""
    with pytest.raises(BadItem, match="geo: city: names: must be a map, not list"):
        tyk(msgpack.packb({"Geo": {"City": {"Names": []}}}))
    with pytest.raises(Unpackable, match=r"geo: city: geoname_id: must be an integer, not str"):
        encoder("tyk")({"geo": {"city": {"geoname_id": "x"}}})


def test_more_than_one_value_is_no_record():
    """Bytes after the map would be lost."""
    with pytest.raises(BadItem):
        iam(b"\x80\x80")


def test_unknown_fields_stay():
    """Under the snake_case form of their names, at every depth, and never over another field."""
    fields = {
        "NewAPIField": {"Deep": [1, b"x"]},
        "timestamp": "not Go's",
        "TimeStamp": 7,
        "Username": "colin",
        b"Username": "twice",
        "Geo": {"Continent": "EU"},
    }
    assert iam(msgpack.packb(fields)) == {
        "new_api_field": {"Deep": [1, b"x"]},
        "timestamp_": "not Go's",
        "timestamp": 7,
        "username": "colin",
        "username_": "twice",
        "geo": {"Continent": "EU"},
    }
    assert tyk(msgpack.packb({"Geo": {"Continent": "EU"}})) == {"geo": {"continent": "EU"}}


@pytest.mark.parametrize(
    ("go", "ours"),
    {
        "APIID": "apiid",
        "HTTPStatus": "http_status",
        "OauthID": "oauth_id",
        "already_snake": "already_snake",
        "V2Field": "v2_field",
        "X": "x",
        "": "",
    }.items(),
)
def test_snake_case(go, ours):
    """An acronym is one word."""
    assert snake_case(go) == ours


def test_integers_beyond_63_bits_stay():
    """Sinks judge them."""
    assert tyk(msgpack.packb({"ContentLength": (1 << 64) - 1})) == {"content_length": (1 << 64) - 1}


@pytest.mark.parametrize(
    ("seconds", "nanoseconds", "expected"),
    [
        (-62_135_596_800, 0, None),
        (-62_135_596_800, 1_000, datetime.datetime(1, 1, 1, 0, 0, 0, 1, datetime.UTC)),
        (0, 0, datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)),
        (0, 999, datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)),
        (-1, 999_999_999, datetime.datetime(1969, 12, 31, 23, 59, 59, 999_999, datetime.UTC)),
        (253_402_300_800, 0, "+10000-01-01T00:00:00Z"),
        (-62_135_596_801, 500_000_000, "+0000-12-31T23:59:59.500000Z"),
        (-62_167_219_201, 0, "-0001-12-31T23:59:59Z"),
        ((1 << 63) - 1, 0, "+292277026596-12-04T15:30:07Z"),
    ],
)
def test_times(seconds, nanoseconds, expected):
    """Zero is None, nanoseconds are cut off, and what a datetime cannot be is text; both encodings are the same."""
    arrays = tyk(msgpack.packb({"TimeStamp": [seconds, nanoseconds]}))
    extension = tyk(msgpack.packb({"TimeStamp": msgpack.Timestamp(seconds, nanoseconds)}))
    assert arrays == extension == {"timestamp": expected}
    assert tyk(encoder("tyk")(arrays))["timestamp"] == expected


def test_bodies_are_decoded_on_request():
    """To text, or bytes where they are not UTF-8; what is no base64 stays, as does everything without the request."""
    for body, expected in [
        ("R0VUIC8=", "GET /"),
        ("R0VU\r\nIC8=", "GET /"),
        ("/w==", b"\xff"),
        ("", ""),
        ("GET /", "GET /"),
        ("R0VUIC8", "R0VUIC8"),
        ("R0VUIC8=R0VUIC8=", "R0VUIC8=R0VUIC8="),
        ("é", "é"),
    ]:
        item = msgpack.packb({"RawRequest": body, "RawResponse": body, "Path": "R0VUIC8="})
        assert tyk_raw(item) == {"raw_request": expected, "raw_response": expected, "path": "R0VUIC8="}
        assert tyk(item) == {"raw_request": body, "raw_response": body, "path": "R0VUIC8="}
        if type(expected) is bytes:
            assert tyk(encoder("tyk")({"raw_request": expected}))["raw_request"] == body


def test_what_records_of_ours_become():
    """Lists and maps become JSON text where Go has text; other fields are left out, and missing ones are zero."""
    record = {"policies": [{"id": 1}], "deciders": None, "username": b"\xff", "other": 1, "expire_at": "2030-01-01"}
    assert iam(encoder("iam")(record)) == {
        "timestamp": 0,
        "username": "\udcff",
        "effect": "",
        "conclusion": "",
        "request": "",
        "policies": '[{"id":1}]',
        "deciders": "",
        "expire_at": datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC),
    }
    assert iam(encoder("iam")({"username": "\ud800"}))["username"].encode(errors="surrogateescape") == b"\xed\xa0\x80"


@pytest.mark.parametrize(
    "record", [{"timestamp": 1 << 63}, {"timestamp": "x"}, {"expire_at": 5}, {"username": object()}]
)
def test_what_has_no_form_in_go(record):
    """Is refused as any record that cannot be packed, and the next one is written."""
    with pytest.raises(Unpackable):
        encoder("iam")(record)
    assert encoder("iam")({})[:2] == b"\x88\xa9"


def test_a_dialect_without_this_encoding():
    """Only Tyk has protobuf."""
    with pytest.raises(ValueError, match="iam has no encoding protobuf"):
        decoder("iam", "protobuf")
