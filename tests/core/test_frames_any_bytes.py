"""Frames from outside: any bytes at all and every damage to a good frame end in a verdict, never in another error."""

import random
import zlib

import msgpack
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from pumpkit.errors import BadFrame, FrameTooNew
from pumpkit.frames import RAW, ZSTD, Content, decode, pack_frame, read_header
from pumpkit.values import RecordPacker, array_header

PRODUCER = bytes(range(16))


def verdict(frame):
    """Return what a frame decodes to, or the name of the error; any other exception is the test's failure."""
    try:
        content = decode(frame)
    except (BadFrame, FrameTooNew) as error:
        return type(error).__name__
    assert isinstance(content, Content)
    assert len(content.records) + len(content.bad) == content.header.total
    assert sorted([*content.indexes, *(index for index, _, _ in content.bad)]) == list(range(content.header.total))
    assert all(type(record) is dict for record in content.records)
    assert all(why and blob for _, why, blob in content.bad)
    return content


def good_frame(records, codec, **header):
    """Return a frame."""
    packed = RecordPacker().pack(records)
    settings = {"producer": PRODUCER, "first": 7, "created_ms": 1, "source": "s", "drops": {"full": 1}} | header
    return pack_frame(runs=packed.runs, codec=codec, **settings)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), 1 << 63) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
RECORDS = st.lists(st.dictionaries(st.text(max_size=4), VALUES, max_size=4), max_size=6)

# msgpack of all kinds, what no packer of ours would make included
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats()
    | st.text(st.characters(codec=None), max_size=5)
    | st.binary(max_size=20)
    | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=20))
    | st.builds(msgpack.Timestamp, st.integers(-(1 << 62), 1 << 62), st.integers(0, 999_999_999)),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=2) | st.integers(0, 9) | st.binary(max_size=2), inner, max_size=4)
    ),
    max_leaves=8,
)


def packed(value):
    """Return the msgpack of anything."""
    return msgpack.packb(value, unicode_errors="surrogatepass")


@settings(max_examples=500, deadline=None)
@given(frame=st.binary(max_size=200) | st.builds(lambda rest: b"\x9c\x01\xc4\x10" + PRODUCER + rest, st.binary()))
def test_any_bytes(frame):
    """Bytes of any kind are a bad frame, or one too new."""
    verdict(frame)


@settings(max_examples=200, deadline=None)
@given(elements=st.lists(ANYTHING, max_size=14), version=st.sampled_from([1, 1, 1, 2]))
def test_any_array(elements, version):
    """So are arrays of any kind."""
    assert verdict(packed([version, *elements])) in ("BadFrame", "FrameTooNew")


@settings(max_examples=150, deadline=None)
@given(maps=st.lists(ANYTHING, max_size=6), codec=st.sampled_from([RAW, ZSTD]))
def test_any_body(maps, codec):
    """In a frame that is whole, every record is good or bad by itself, whatever the others are."""
    content = verdict(
        pack_frame(producer=PRODUCER, first=0, runs=[(packed(m), 1) for m in maps], created_ms=0, codec=codec)
    )
    assert isinstance(content, Content)
    alone = [verdict(pack_frame(producer=PRODUCER, first=0, runs=[(packed(m), 1)], created_ms=0)) for m in maps]
    assert list(content.indexes) == [index for index, one in enumerate(alone) if one.records]


@settings(max_examples=500, deadline=None)
@given(raw=st.binary(max_size=100) | st.builds(lambda rest: array_header(3) + rest, st.binary(max_size=100)))
def test_any_bytes_in_the_body(raw):
    """A body of any bytes whose checksum is right is a bad frame, or its records are told apart."""
    parts = msgpack.unpackb(good_frame([{}] * 3, RAW))
    for body, codec in ((raw, RAW), (zstandard.compress(raw), ZSTD), (raw, ZSTD)):
        verdict(packed([*parts[:6], codec, len(raw), zlib.crc32(body), *parts[9:11], body]))


@settings(max_examples=120, deadline=None)
@given(records=RECORDS, codec=st.sampled_from([RAW, ZSTD]), seed=st.integers(0, 1 << 32))
def test_any_damage(records, codec, seed):
    """Flipped bits, cuts, doubled and swapped stretches: the damage is found, or only labels changed."""
    frame = good_frame(records, codec)
    dice = random.Random(seed)
    for _ in range(20):
        damaged = bytearray(frame)
        a, b = sorted(dice.randrange(len(frame) + 1) for _ in range(2))
        match dice.randrange(5):
            case 0:
                damaged[min(a, len(frame) - 1)] ^= 1 << dice.randrange(8)
            case 1:
                del damaged[a:]
            case 2:
                del damaged[a:b]
            case 3:
                damaged[b:b] = damaged[a:b]
            case 4:
                damaged[a:b] = dice.randbytes(b - a)
        content = verdict(bytes(damaged))
        if isinstance(content, Content):
            assert repr(content.records) == repr(decode(frame).records)


@settings(max_examples=120, deadline=None)
@given(records=RECORDS, codec=st.sampled_from([RAW, ZSTD]), source=st.text(max_size=64).filter(str.isprintable))
def test_any_records(records, codec, source):
    """What was packed is what is read."""
    frame = good_frame(records, codec, source=source)
    content = verdict(frame)
    assert repr(content.records) == repr(records)
    assert (content.header, content.header.source) == (read_header(frame), source)
