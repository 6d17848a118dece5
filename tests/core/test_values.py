"""What records may hold, what a sink gets of it, and what is refused."""

import collections
import dataclasses
import datetime
import decimal
import enum
import itertools
import os
import pathlib
import tracemalloc
import types
import uuid
from typing import ClassVar

import attrs
import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pumpkit.frames import decode, pack_frame
from pumpkit.records import AnalyticsRecord
from pumpkit.values import MAX_DEPTH, MAX_RECORD, RecordPacker, as_map, boundaries, unpack_record

UTC = datetime.UTC
EAST = datetime.timezone(datetime.timedelta(hours=5, minutes=30))


class Colour(enum.Enum):
    RED = "red"
    DAY = datetime.date(2024, 2, 29)
    WHEN = datetime.datetime(2024, 2, 29)
    ID = uuid.UUID(int=1)
    BIG = 1 << 40
    NOTHING = None
    LIST = (1, "a")
    MAP = types.MappingProxyType({"a": 1})


class Text(enum.StrEnum):
    A = "text"


class Count(enum.IntEnum):
    ONE = 1


class Flags(enum.Flag):
    READ = 1
    WRITE = 2


class MyStr(str):
    pass


class MyInt(int):
    pass


class MyFloat(float):
    pass


class MyDict(dict):
    pass


class MyDateTime(datetime.datetime):
    pass


@attrs.define
class Inner:
    x: int
    _private: str = "p"


@attrs.frozen(slots=False)
class Outer:
    inner: Inner
    when: datetime.datetime


@dataclasses.dataclass
class Data:
    x: int
    inner: object = None
    shared: ClassVar[int] = 7
    made_from: dataclasses.InitVar[int] = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    x: int


class Numbers(collections.abc.Mapping):
    """A mapping that is no dict."""

    def __getitem__(self, key):
        return len(key)

    def __iter__(self):
        return iter(["one", "three"])

    def __len__(self):
        return 2


CONVERSIONS = [
    (None, None),
    (True, True),
    (-(1 << 63), -(1 << 63)),
    ((1 << 64) - 1, (1 << 64) - 1),
    (1.5, 1.5),
    (float("inf"), float("inf")),
    ("naïve ☃", "naïve ☃"),
    ("nul\0", "nul\0"),
    (b"\0\xff", b"\0\xff"),
    (bytearray(b"ab"), b"ab"),
    (memoryview(b"ab"), b"ab"),
    (MyStr("s"), "s"),
    (MyInt(3), 3),
    (MyFloat(0.5), 0.5),
    (MyDict(a=1), {"a": 1}),
    (collections.OrderedDict(a=1), {"a": 1}),
    (types.MappingProxyType({"a": {"b": 1}}), {"a": {"b": 1}}),
    (collections.ChainMap({"a": 1}, {"b": 2}), {"a": 1, "b": 2}),
    (Numbers(), {"one": 3, "three": 5}),
    ((1, (2,)), [1, [2]]),
    (frozenset({1}), [1]),
    ({"one"}, ["one"]),
    (datetime.date(2024, 2, 29), "2024-02-29"),
    (datetime.time(12, 30), "12:30:00"),
    (datetime.datetime(2024, 2, 29, 12, 0, 0, 123456), datetime.datetime(2024, 2, 29, 12, 0, 0, 123456, UTC)),
    (datetime.datetime(2024, 2, 29, 12, tzinfo=EAST), datetime.datetime(2024, 2, 29, 6, 30, tzinfo=UTC)),
    (MyDateTime(2024, 2, 29, 12), datetime.datetime(2024, 2, 29, 12, tzinfo=UTC)),
    (MyDateTime(2024, 2, 29, 12, tzinfo=EAST), datetime.datetime(2024, 2, 29, 6, 30, tzinfo=UTC)),
    (datetime.datetime(1, 1, 1), datetime.datetime(1, 1, 1, tzinfo=UTC)),
    (datetime.datetime(1969, 12, 31, 23, 59, 59, 1), datetime.datetime(1969, 12, 31, 23, 59, 59, 1, UTC)),
    (datetime.datetime.max, datetime.datetime.max.replace(tzinfo=UTC)),
    (decimal.Decimal("1.10"), "1.10"),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (pathlib.Path("/etc"), "/etc"),
    (Colour.RED, "red"),
    (Colour.DAY, "2024-02-29"),
    (Colour.WHEN, datetime.datetime(2024, 2, 29, tzinfo=UTC)),
    (Colour.ID, "00000000-0000-0000-0000-000000000001"),
    (Colour.BIG, 1 << 40),
    (Colour.NOTHING, None),
    (Colour.LIST, [1, "a"]),
    (Colour.MAP, {"a": 1}),
    (Text.A, "text"),
    (Count.ONE, 1),
    (Flags.READ | Flags.WRITE, 3),
    (Inner(1), {"x": 1, "_private": "p"}),
    (Slotted(1), {"x": 1}),
    (Data(1, inner=Data(2)), {"x": 1, "inner": {"x": 2, "inner": None}}),
]


@pytest.mark.parametrize(("value", "expected"), CONVERSIONS, ids=[type(value).__name__ for value, _ in CONVERSIONS])
def test_values_are_converted_at_every_depth(wire, value, expected):
    """A value reaches the sink in the form of the wire, as a field, in a list and in an object's attribute."""
    for got in (wire.carry({"a": value})["a"], wire.carry({"a": [{"b": value}]})["a"][0]["b"]):
        assert (got, type(got)) == (expected, type(expected))
    assert wire.carry({"a": Data(0, inner=value)})["a"]["inner"] == expected


def test_not_a_number_stays_what_it_is(wire):
    """nan is a float like any other."""
    got = wire.carry({"a": float("nan")})["a"]
    assert got != got


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({}, {}),
        (MyDict(a=1), {"a": 1}),
        (Numbers(), {"one": 3, "three": 5}),
        (Data(1), {"x": 1, "inner": None}),
        (Slotted(1), {"x": 1}),
        (Inner(1), {"x": 1, "_private": "p"}),
        (
            Outer(Inner(1), datetime.datetime(2024, 1, 1)),
            {"inner": {"x": 1, "_private": "p"}, "when": datetime.datetime(2024, 1, 1, tzinfo=UTC)},
        ),
    ],
)
def test_a_record_is_a_mapping_an_attrs_class_or_a_dataclass(wire, record, expected):
    """All of them are the same map on the wire; class variables and init-only arguments are no fields."""
    assert wire.carry(record) == expected


def test_the_analytics_record_has_the_fields_of_the_original(wire):
    """The ready-made record is on the wire what its class says."""
    record = AnalyticsRecord(timestamp=1_700_000_000, username="u", effect="allow")
    record.expire_after(60)
    got = wire.carry(record)
    assert got.pop("expire_at") == record.expire_at
    assert got == {
        "timestamp": 1_700_000_000,
        "username": "u",
        "effect": "allow",
        "conclusion": "",
        "request": "",
        "policies": "",
        "deciders": "",
    }


@pytest.mark.parametrize("text", ["\ud800", "a\udcff", "\udfff\ud800", os.fsdecode(b"/\xff")])
def test_lone_surrogates_pass(wire, text):
    """A path of bytes must not cost a record; lone surrogates pass in values, in names and from a Path."""
    assert wire.carry({"a": text, text: 1, "p": pathlib.Path(text)}) == {"a": text, text: 1, "p": text}


class Numpyish:
    """Looks like a number to everybody who asks."""

    def __int__(self):
        return 1

    def __float__(self):
        return 1.0

    def __index__(self):
        return 1


class Raising:
    """An attrs class by its mark, with a property that fails."""

    __attrs_attrs__ = (types.SimpleNamespace(name="boom"),)

    @property
    def boom(self):
        raise RuntimeError("no luck")


class NoZone(datetime.tzinfo):
    def utcoffset(self, when):
        raise LookupError("no such zone")


class EndlessName(str):
    def __repr__(self):
        raise RuntimeError("no repr")


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (3, ["must be a mapping", "int"]),
        ([("a", 1)], ["must be a mapping", "list"]),
        (None, ["must be a mapping", "NoneType"]),
        (Inner, ["must be a mapping", "type"]),
        ({"n": object()}, ["'n'", "object"]),
        ({"good": 1, "n": Numpyish()}, ["'n'", "Numpyish"]),
        ({"n": {"deep": [Numpyish()]}}, ["'n'", "dict", "Numpyish"]),
        ({"n": collections.deque()}, ["'n'", "collections.deque"]),
        ({"n": range(3)}, ["'n'", "range"]),
        ({"n": datetime.timedelta(1)}, ["'n'", "datetime.timedelta"]),
        ({"n": 1j}, ["'n'", "complex"]),
        ({"n": 1 << 64}, ["'n'", "int", "beyond 64 bits"]),
        ({"n": -(1 << 63) - 1}, ["'n'", "int", "beyond 64 bits"]),
        ({"n": msgpack.ExtType(5, b"")}, ["'n'", "ExtType"]),
        ({"n": [msgpack.ExtType(5, b"")]}, ["'n'", "list", "ExtType"]),
        ({"n": datetime.datetime(2024, 1, 1, tzinfo=NoZone())}, ["'n'", "datetime.datetime", "no such zone"]),
        ({1: 2}, ["name of a field", "int"]),
        ({b"a": 2}, ["name of a field", "bytes"]),
        ({"n": {1: 2}}, ["'n'", "dict", "key must be str, not int"]),
        ({"n": [{"m": ({None: 2},)}]}, ["'n'", "list", "key must be str, not NoneType"]),
        ({"n": types.MappingProxyType({1: 2})}, ["'n'", "mappingproxy", "key must be str, not int"]),
        ({"n": Data(1, inner={b"a": 2})}, ["'n'", "Data", "key must be str, not bytes"]),
        ({"n": {(1, 2): 3}}, ["'n'", "key must be str, not tuple"]),
        (Raising(), ["RuntimeError", "no luck"]),
        ({"n": Raising()}, ["'n'", "Raising", "RuntimeError", "no luck"]),
        ({EndlessName("n"): object()}, ["'n'", "object"]),
    ],
)
def test_what_has_no_form_on_the_wire_is_refused_by_field_and_type(wire, record, words):
    """A bad record is left out, with a reason that names the field and the type; the ones around it are packed."""
    error = wire.refusal(record)
    assert error.cause == "unpackable"
    for word in words:
        assert word in str(error)


def nested(levels, wrap):
    """Return a record of so many levels."""
    value = None
    for _ in range(levels - 1):
        value = wrap(value)
    return {"n": value}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda v: [v],
        lambda v: {"a": v},
        lambda v: (v,),
        lambda v: Data(1, inner=v),
        lambda v: types.MappingProxyType({"a": v}),
    ],
)
def test_nesting_is_bounded_exactly(wire, wrap):
    """64 levels of lists, maps and objects pass, the record itself being the first; 65 do not."""
    for levels in (63, MAX_DEPTH):
        wire.carry(nested(levels, wrap))
    for levels in (MAX_DEPTH + 1, 600, 2000):
        error = wire.refusal(nested(levels, wrap))
        assert (error.cause, "'n'" in str(error)) == ("unpackable", True)
    assert "nests deeper than 64 levels" in str(wire.refusal(nested(65, wrap)))


def test_a_cycle_is_refused(wire):
    """A record that contains itself is refused, however the cycle is made."""
    for loop in ([], Data(1)):
        record = {"n": loop}
        loop.append(record) if isinstance(loop, list) else setattr(loop, "inner", record)
        assert "'n'" in str(wire.refusal(record))


def sized(size):
    """Return a record that packs to exactly this many bytes."""
    return {"n": b"x" * (size - 8)}


def test_a_record_is_at_most_one_mebibyte(wire):
    """Exactly 1 MiB passes, a byte more is too large."""
    assert len(RecordPacker().pack([sized(MAX_RECORD)]).runs[0][0]) == MAX_RECORD
    wire.carry(sized(MAX_RECORD))
    error = wire.refusal(sized(MAX_RECORD + 1))
    assert (error.cause, str(error)) == ("too-large", "packs to 1048577 bytes, over 1048576")


@settings(max_examples=200, deadline=None)
@given(sizes=st.lists(st.integers(10, 300), max_size=40))
def test_runs_are_as_large_as_the_largest_record_at_most(sizes):
    """Many records at once are cut into runs that hold every record but those too large, in order."""
    packer = RecordPacker(max_record=200)
    packed = packer.pack([sized(size) if size > 260 else {"n": b"x" * (size - 5)} for size in sizes])
    assert all(len(blob) <= 200 for blob, _ in packed.runs)
    good = [size for size in sizes if size <= 200]
    lengths = []
    for blob, number in packed.runs:
        unpacker = msgpack.Unpacker()
        unpacker.feed(blob)
        cuts = boundaries(unpacker, number)
        assert cuts[-1] == len(blob)
        lengths += [b - a for a, b in itertools.pairwise(cuts)]
    assert lengths == good
    assert [error.cause for error in packed.rejected] == ["too-large"] * (len(sizes) - len(good))


def test_a_large_slice_leaves_no_large_buffer_behind():
    """A packer that once packed many large records gives their memory back."""
    packer = RecordPacker()
    records = [{"n": b"x" * 1_000_000}] * 20
    tracemalloc.start()
    packer.pack(records)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak > 20_000_000
    assert kept < 1_000_000


def test_as_map_copies_a_mapping():
    """The fields of a mapping are the caller's no more."""
    record = {"a": 1}
    as_map(record)["a"] = 2
    assert record == {"a": 1}


def test_a_packer_goes_on_after_it_refused():
    """What was half packed when a record failed leaves no trace in the next one."""
    packer = RecordPacker()
    for _ in range(3):
        packed = packer.pack([{"a": "x" * 100, "b": object()}, {"c": 1}])
        assert (packed.runs, len(packed.rejected)) == ([(b"\x81\xa1c\x01", 1)], 1)
    assert packer.pack([]).runs == []


@pytest.mark.parametrize("blob", [b"", b"\x81", b"\x01", b"\x81\x01\x02", b"\xc1", b"\x80\x80"])
def test_unpack_record_takes_only_a_packed_record(blob):
    """Anything else is a ValueError."""
    with pytest.raises(ValueError, match="record"):
        unpack_record(blob)
    assert unpack_record(b"\x81\xa1c\x01") == {"c": 1}


def _pairs():
    """Return a strategy of (value, what a sink gets of it)."""
    same = st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats(allow_nan=False)
    text = st.text(st.characters(codec=None), max_size=8)
    zones = st.just(None) | st.sampled_from([UTC, EAST])
    moments = st.datetimes(datetime.datetime(1, 1, 2), datetime.datetime(9999, 12, 30), timezones=zones)
    leaves = st.one_of(
        (same | text | st.binary(max_size=8)).map(lambda value: (value, value)),
        text.map(lambda value: (MyStr(value), value)),
        moments.map(lambda m: (m, (m if m.tzinfo else m.replace(tzinfo=UTC)).astimezone(UTC).replace(fold=0))),
        st.dates().map(lambda value: (value, value.isoformat())),
        st.times().map(lambda value: (value, value.isoformat())),
        st.decimals(allow_nan=False).map(lambda value: (value, str(value))),
        st.uuids().map(lambda value: (value, str(value))),
        st.sampled_from([(Colour.RED, "red"), (Count.ONE, 1), (Colour.DAY, "2024-02-29")]),
    )

    def containers(inner):
        lists = st.lists(inner, max_size=4)
        maps = st.dictionaries(text, inner, max_size=4)
        return st.one_of(
            lists.map(lambda pairs: ([a for a, _ in pairs], [b for _, b in pairs])),
            lists.map(lambda pairs: (tuple(a for a, _ in pairs), [b for _, b in pairs])),
            maps.map(lambda pairs: ({k: a for k, (a, _) in pairs.items()}, {k: b for k, (_, b) in pairs.items()})),
            inner.map(lambda pair: (Data(1, pair[0]), {"x": 1, "inner": pair[1]})),
            inner.map(lambda pair: (types.MappingProxyType({"m": pair[0]}), {"m": pair[1]})),
        )

    return st.recursive(leaves, containers, max_leaves=12)


@settings(max_examples=400, deadline=None)
@given(pair=st.dictionaries(st.text(st.characters(codec=None), max_size=8), _pairs(), max_size=5))
def test_any_record_arrives_as_documented(pair):
    """Whatever a record is made of, a sink gets the documented values, of exactly their types."""
    packed = RecordPacker().pack([{name: given for name, (given, _) in pair.items()}])
    assert packed.rejected == []
    [record] = decode(pack_frame(producer=bytes(16), first=0, runs=packed.runs, created_ms=0)).records
    expected = {name: wanted for name, (_, wanted) in pair.items()}
    assert repr(record) == repr(expected)


@settings(max_examples=200, deadline=None)
@given(
    records=st.lists(
        st.sampled_from([{"a": 1}, {"b": [1]}, {"c": object()}, {1: 2}, 3, {"d": b"x" * 300}, {"e": {"f": 1 << 70}}])
    )
)
def test_good_records_are_packed_in_order_whatever_is_between(records):
    """Every record is either in the runs, in order, or in the list of the rejected."""
    packed = RecordPacker(max_record=200).pack(records)
    good = [record for record in records if isinstance(record, dict) and record.keys() & {"a", "b"}]
    maps = b"".join(blob for blob, _ in packed.runs)
    assert maps == b"".join(map(msgpack.packb, good))
    assert sum(number for _, number in packed.runs) == len(good)
    assert len(packed.rejected) == len(records) - len(good)
