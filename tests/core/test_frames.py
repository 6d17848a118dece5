"""The bytes of a frame: golden ones, every limit at and over it, lies in the header, bad records among good ones."""

import datetime
import itertools
import subprocess
import sys
import zlib

import msgpack
import pytest
import zstandard

from pumpkit.errors import BadFrame, ConfigError, FrameTooNew
from pumpkit.frames import (
    MAX_BODY,
    MAX_COMMON,
    MAX_ELEMENTS,
    MAX_FRAME,
    MAX_HEADER,
    MAX_RAW,
    MAX_RECORDS,
    MAX_SOURCE,
    RAW,
    ZSTD,
    Header,
    decode,
    pack_bad_item,
    pack_frame,
    read_header,
)
from pumpkit.values import MAX_RECORD, RecordPacker, array_header

RECORDS = [
    {"user": "ada", "n": 1, "ok": True},
    {
        "user": "b\udcff",
        "at": datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC),
        "raw": b"\x00\xff",
        "list": [None, 1.5, -1],
        "map": {"k": 1 << 63},
    },
]
HEADER = {
    "first": 41,
    "created_ms": 1_700_000_000_123,
    "source": "authz",
    "drops": {"full": 3},
    "common": {"host": "h1"},
}

# Kept frames: whatever this version writes, it must read what is in the logs of those before it.
KEPT_RAW = bytes.fromhex(
    "9c01c410000102030405060708090a0b0c0d0e0f2902cf0000018bcfe5687ba5617574687a004fce7b8f0ec181a466756c6c0381a4686f7374"
    "a26831c44f9283a475736572a3616461a16e01a26f6bc385a475736572a462edb3bfa26174d6ff65e071c0a3726177c40200ffa46c69737493"
    "c0cb3ff8000000000000ffa36d617081a16bcf8000000000000000"
)
KEPT_ZSTD = bytes.fromhex(
    "9c01c410000102030405060708090a0b0c0d0e0f2902cf0000018bcfe5687ba5617574687a014fce29c1f01a81a466756c6c0381a4686f7374"
    "a26831c45828b52ffd204f7902009283a475736572a3616461a16e01a26f6bc385a475736572a462edb3bfa26174d6ff65e071c0a3726177c4"
    "0200ffa46c69737493c0cb3ff8000000000000ffa36d617081a16bcf8000000000000000"
)
KEPT_FAREWELL = bytes.fromhex(
    "9c01c410000102030405060708090a0b0c0d0e0f2b00cf0000018bcfe56800a00001ce220d7cc981a6756e73656e740780c40190"
)


def lie(frame, extra=(), **changes):
    """Return a frame whose header says something else. A body of `bytes` gets its own checksum and size."""
    names = ["version", *Header._fields]
    parts = dict(zip(names, msgpack.unpackb(frame, timestamp=3, unicode_errors="surrogatepass"), strict=True))
    body = changes.get("body")
    if isinstance(body, bytes):
        parts |= {"codec": RAW, "raw_size": len(body), "crc": zlib.crc32(body)}
    return msgpack.packb([*(parts | changes).values(), *extra], datetime=True, unicode_errors="surrogatepass")


def test_the_format_does_not_drift(wire):
    """Raw frames are byte for byte what they have always been."""
    assert wire.frame(RECORDS, **HEADER) == KEPT_RAW
    assert wire.frame_of([], first=43, drops={"unsent": 7}) == KEPT_FAREWELL


@pytest.mark.parametrize("kept", [KEPT_RAW, KEPT_ZSTD])
def test_kept_frames_are_read(kept):
    """Frames in the logs of earlier versions are read, whatever their codec."""
    content = decode(kept)
    assert content.records == RECORDS
    assert (content.bad, content.indexes) == ([], range(2))
    header = content.header
    assert (header.producer, header.first, header.total, header.next_seq) == (bytes(range(16)), 41, 2, 43)
    assert {name: getattr(header, name) for name in HEADER} == HEADER


def test_a_farewell_frame_carries_only_drops():
    """No records, and what the producer dropped."""
    content = decode(KEPT_FAREWELL)
    assert (content.records, content.header.total, content.header.drops) == ([], 0, {"unsent": 7})


@pytest.mark.parametrize("kept", [KEPT_RAW, KEPT_ZSTD])
def test_a_frame_is_read_with_nothing_but_msgpack_and_its_codec(kept):
    """Any language can read a frame: one array, a checksum, a body that is an array of maps."""
    parts = msgpack.unpackb(kept, timestamp=3, unicode_errors="surrogatepass")
    version, producer, first, count, created_ms, source, codec, raw_size, crc, drops, common, body = parts
    assert (version, producer, first, count) == (1, bytes(range(16)), 41, 2)
    assert (created_ms, source, drops, common) == (1_700_000_000_123, "authz", {"full": 3}, {"host": "h1"})
    assert zlib.crc32(body) == crc
    raw = zstandard.decompress(body) if codec == 1 else body
    assert len(raw) == raw_size
    assert msgpack.unpackb(raw, timestamp=3, unicode_errors="surrogatepass") == RECORDS


@pytest.mark.parametrize("codec", [RAW, ZSTD])
@pytest.mark.parametrize("count", [0, 1, 15, 16, 1999, MAX_RECORDS])
def test_every_count_of_records(wire, codec, count):
    """Frames of none to 2,000 records come back as they were, whichever form their array header has."""
    records = [{"n": n} for n in range(count)]
    assert decode(wire.frame(records, codec)).records == records


def test_runs_are_joined(wire):
    """A frame may be made of several runs of packed records."""
    packer = RecordPacker()
    runs = [run for n in range(5) for run in packer.pack([{"n": n}, {"m": n}]).runs]
    assert decode(wire.frame_of(runs)).records == [{name: n} for n in range(5) for name in "nm"]


LIMITS = [
    ("source", "x" * MAX_SOURCE, "x" * (MAX_SOURCE + 1), "source"),
    ("first", (1 << 63) - 2, (1 << 63) - 1, "number"),
    ("created_ms", (1 << 63) - 1, 1 << 63, "number"),
    ("drops", {"full": (1 << 63) - 1}, {"full": 1 << 63}, "drops"),
    ("common", {f"f{n}": n for n in range(MAX_COMMON)}, {f"f{n}": n for n in range(MAX_COMMON + 1)}, "common"),
    ("common", {"a": "x" * (MAX_HEADER - 60)}, {"a": "x" * MAX_HEADER}, "header of"),
]


@pytest.mark.parametrize(("name", "most", "over", "word"), LIMITS)
def test_limits_of_the_header(wire, name, most, over, word):
    """At a limit a frame is written and read; over it, it is neither."""
    frame = wire.frame([{}], **{name: most})
    assert getattr(decode(frame).header, name) == most
    with pytest.raises(ValueError, match=word):
        wire.frame([{}], **{name: over})
    with pytest.raises(BadFrame, match=word):
        read_header(lie(frame, **{name: over}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("producer", b"x" * 15),
        ("producer", "x" * 16),
        ("producer", None),
        ("first", -1),
        ("first", 1.0),
        ("first", True),
        ("total", "1"),
        ("total", MAX_RECORDS + 1),
        ("created_ms", None),
        ("source", b"x"),
        ("source", "two\nlines"),
        ("source", "\udcff"),
        ("codec", 2),
        ("codec", False),
        ("raw_size", -1),
        ("raw_size", MAX_RAW + 1),
        ("crc", None),
        ("drops", [1]),
        ("drops", {"full": -1}),
        ("drops", {"full": 1.0}),
        ("drops", {b"full": 1}),
        ("drops", {1: 1}),
        ("common", []),
        ("common", {b"a": 1}),
        ("common", {"a": []}),
        ("common", {"a": {"b": 1}}),
        ("common", {"a": msgpack.Timestamp(1 << 60, 0)}),
        ("common", {"a": msgpack.ExtType(9, b"")}),
        ("body", "text"),
        ("body", None),
        ("version", 0),
        ("version", -1),
        ("version", 1.0),
        ("version", True),
        ("version", "1"),
        ("version", None),
        ("version", [1] * 100),
    ],
)
def test_a_wrong_header_is_a_bad_frame(name, value):
    """Every element has its type and its bounds."""
    with pytest.raises(BadFrame):
        read_header(lie(KEPT_RAW, **{name: value}))


def test_the_size_of_bodies_is_bounded(wire):
    """4 MiB as stored, 8 MiB decompressed; over that a frame is not even written."""
    record = RecordPacker().pack([{"n": b"x" * (MAX_RECORD - 8)}]).runs[0]
    assert len(record[0]) == MAX_RECORD
    most = [record] * 3 + [(RecordPacker().pack([{"n": b"x" * (MAX_RECORD - 9)}]).runs[0])]
    assert len(decode(wire.frame_of(most)).records) == 4
    with pytest.raises(ValueError, match="bad body"):
        wire.frame_of([record] * 4)
    assert len(decode(wire.frame_of([record] * 7, ZSTD)).records) == 7
    with pytest.raises(ValueError, match="8388609 bytes decompressed"):
        wire.frame_of([record] * 8, ZSTD)
    with pytest.raises(BadFrame, match="bad body"):
        read_header(lie(KEPT_RAW, body=b"x" * (MAX_BODY + 1)))
    with pytest.raises(BadFrame, match=f"{MAX_FRAME + 1} bytes"):
        read_header(b"x" * (MAX_FRAME + 1))


def test_too_many_records_are_not_written(wire):
    """2,001 records do not make a frame."""
    with pytest.raises(ValueError, match="2001 records"):
        wire.frame([{}] * 2001)


def test_more_elements_are_ignored():
    """A later version may add elements, of whatever kind; the frame is read all the same."""
    frame = lie(KEPT_RAW, extra=[{1: 2}, msgpack.ExtType(9, b"new"), [[[]]], "x" * 100_000])
    assert decode(frame).records == RECORDS
    assert decode(lie(KEPT_RAW, extra=[0] * (MAX_ELEMENTS - 12))).records == RECORDS
    with pytest.raises(BadFrame, match="65 elements"):
        decode(lie(KEPT_RAW, extra=[0] * (MAX_ELEMENTS - 11)))


@pytest.mark.parametrize("frame", [lie(KEPT_RAW, version=2), msgpack.packb([2]), msgpack.packb([(1 << 64) - 1, {}])])
def test_a_later_version_is_kept_for_an_upgrade(frame):
    """A frame of another version asks for an upgrade; like a wrong setting, it waits for a person."""
    with pytest.raises(FrameTooNew, match=r"frame version \d+, this pumpkit reads 1: upgrade pumpkit") as caught:
        decode(frame)
    assert isinstance(caught.value, ConfigError)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xc1",
        b"\x90",
        b"\x9c",
        b"\x80",
        b"\x01",
        b"\xdd\xff\xff\xff\xff",
        b"\x91" * 5000,
        KEPT_RAW[:-1],
        KEPT_RAW + b"\x00",
        msgpack.packb([1]),
        msgpack.packb([1] * 12),
        b"text of any kind",
    ],
)
def test_what_is_no_frame_is_a_bad_frame(frame):
    """Bytes of any other kind, cut frames and frames with something after them."""
    with pytest.raises(BadFrame):
        decode(frame)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"crc": 7}, "checksum"),
        ({"total": 3}, "2 records in the body, 3 in the header"),
        ({"total": 1}, "2 records in the body, 1 in the header"),
        ({"raw_size": 78}, "not the 78 bytes"),
        ({"raw_size": 80}, "not the 80 bytes"),
        ({"body": b""}, "cannot be read"),
        ({"body": b"\x80"}, "body"),
        ({"body": b"\xa1x"}, "body"),
        ({"body": b"\x92\x80\x80\x80"}, "1 bytes after the last record"),
        ({"body": b"\x92\x80"}, "cannot be read"),
        ({"body": b"\x93\x80\x80\x80"}, "3 records in the body, 2 in the header"),
        ({"body": b"\xdd\xff\xff\xff\xff\x80"}, "4294967295 records"),
        ({"body": b"\x92\x80\xdf\xff\xff\xff\xff"}, "cannot be read"),
        ({"body": b"\x92\x80" + b"\x91" * 5000}, "cannot be read"),
    ],
)
def test_a_body_that_does_not_match_its_header_is_a_bad_frame(changes, words):
    """A wrong checksum, size or count, a cut body, one with something behind it: no record of it can be trusted."""
    with pytest.raises(BadFrame, match=words):
        decode(lie(KEPT_RAW, **changes))


def test_a_body_of_several_zstd_frames_is_read_as_one():
    """Frames of zstd may follow each other, with or without their size, with a window up to 8 MiB."""
    raw = array_header(2) + b"\x81\xa1a\x01\x81\xa1a\x02"
    pack = zstandard.ZstdCompressor().compress
    unsized = zstandard.ZstdCompressor(write_content_size=False).compress
    for body in (pack(raw[:4]) + pack(raw[4:]), unsized(raw), unsized(raw[:1]) + pack(raw[1:])):
        assert decode(lie(KEPT_RAW, body=body, codec=ZSTD, raw_size=len(raw))).records == [{"a": 1}, {"a": 2}]


def test_a_compressed_body_is_checked_to_its_end():
    """Cut, overlong or followed by something else, it is a bad frame."""
    raw = array_header(2) + b"\x81\xa1a\x01\x81\xa1a\x02"
    body = zstandard.compress(raw)
    for bad in (body[:-1], body + b"\x00", body + b"rubbish", body + zstandard.compress(b"more"), b"", b"\x28\xb5"):
        with pytest.raises(BadFrame):
            decode(lie(KEPT_RAW, body=bad, codec=ZSTD, raw_size=len(raw)))
    for size in (len(raw) - 1, len(raw) + 1):
        with pytest.raises(BadFrame, match="not the"):
            decode(lie(KEPT_RAW, body=body, codec=ZSTD, raw_size=size))


BAD_RECORDS = [
    (b"\x81\x01\x02", "int is not allowed for map key"),
    (b"\x81\xa1a\xa2\xff\xfe", "invalid start byte"),
    (b"\x01", "a record must be a map, not int"),
    (b"\x90", "a record must be a map, not list"),
    (b"\xc0", "a record must be a map, not NoneType"),
    (b"\x81\xa1a\xd4\x09\x00", "extension type 9"),
    (b"\x81\xa1a\xc7\x0c\xff" + b"\x00" * 4 + b"\x7f" + b"\xff" * 7, "Overflow"),
    (b"\x81\xa1a" + b"\x91" * 64 + b"\xc0", "nests deeper than 64 levels"),
    (b"\x81\x91\x01\x02", "not allowed for map key"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD_RECORDS, ids=[why for _, why in BAD_RECORDS])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_bad_records_are_cut_out_one_by_one(wire, bad, reason, place):
    """Only the bad record is lost to the sinks: with its index, a reason and its bytes; the others are read."""
    maps = [b"\x81\xa1n\x00", b"\x81\xa1n\x01"]
    maps.insert(place, bad)
    content = decode(wire.frame_of([(blob, 1) for blob in maps]))
    assert content.records == [{"n": 0}, {"n": 1}]
    assert list(content.indexes) == [index for index in range(3) if index != place]
    [(index, why, blob)] = content.bad
    assert (index, blob) == (place, bad)
    assert reason in why


def test_several_bad_records_in_one_frame(wire):
    """Each of them has its own reason."""
    blobs = [blob for bad, _ in BAD_RECORDS for blob in (bad, b"\x80")]
    content = decode(wire.frame_of([(blob, 1) for blob in blobs], ZSTD))
    assert content.records == [{}] * len(BAD_RECORDS)
    assert [index for index, _, _ in content.bad] == list(range(0, len(blobs), 2))
    assert len({why for _, why, _ in content.bad}) == len(BAD_RECORDS)


def test_good_records_do_not_suffer_from_bad_ones_beside_them(wire):
    """What is read without a bad record in the frame is read beside one too: large records, long lists, deep ones."""
    deep = None
    for _ in range(63):
        deep = [deep]
    large = msgpack.packb({"n": b"x" * (3 << 20)})
    good = [large, msgpack.packb({"n": [0] * 1_000_000}), msgpack.packb({"n": deep}), msgpack.packb({b"k": 1 << 63})]
    for extra in ([], [b"\x81\x01\x02"]):
        content = decode(wire.frame_of([(blob, 1) for blob in [*good, *extra]], ZSTD))
        assert len(content.records) == len(good)
        assert len(content.bad) == len(extra)


def test_records_are_fresh_and_not_shared(wire):
    """Each decoding makes new records."""
    frame = wire.frame([{"a": [1]}, {"a": [1]}])
    first, second = decode(frame).records, decode(frame).records
    maps = [*first, *second]
    assert all(a is not b and a["a"] is not b["a"] for a, b in itertools.combinations(maps, 2))


def memory_of(code):
    """Return by how many MiB the peak memory of a process grows when it runs this, after a first small frame."""
    program = f"""
import msgpack, resource, zlib, zstandard
from pumpkit.errors import BadFrame
from pumpkit.frames import decode, pack_frame, read_header
good = pack_frame(producer=bytes(16), first=0, runs=[(b"\\x80", 1)], created_ms=0)
decode(good)
def frame(body, raw_size, count, codec=1):
    parts = msgpack.unpackb(good)
    parts[3] = count
    parts[6:9] = [codec, raw_size, zlib.crc32(body)]
    return msgpack.packb([*parts[:-1], body])
{code}
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    return int(done.stdout) / 1024


PEAK = """
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
try:
    decode(bad)
except BadFrame:
    pass
print(peak() - before)
"""


def test_what_a_producer_could_not_read_is_told_with_its_bytes():
    """It has its number among the records around it; a list of another shape is a bad record as it stands."""
    blobs = [b"\x81\xa1n\x00", pack_bad_item(b"\xff\x00 rubbish", "no map"), b"\x81\xa1n\x02", b"\x92\xa1a\xa1b"]
    content = decode(
        pack_frame(producer=bytes(16), first=7, runs=[(blob, 1) for blob in blobs], created_ms=0, source="list")
    )
    assert content.records == [{"n": 0}, {"n": 2}]
    assert list(content.indexes) == [0, 2]
    reason = "TypeError: a record must be a map, not list"
    assert content.bad == [(1, "no map", b"\xff\x00 rubbish"), (3, reason, blobs[3])]


@pytest.mark.parametrize("declares", [True, False])
@pytest.mark.parametrize("claims", [100, 8 << 20, 300 << 20])
def test_a_zip_bomb_does_not_go_off(declares, claims):
    """10 KB that become 300 MB, whatever frame and header claim, cost no more than the largest body."""
    make = f"""
packer = zstandard.ZstdCompressor(level=1, write_content_size={declares}).compressobj(
    size={300 << 20 if declares else -1}
)
body = b"".join(packer.compress(bytes(1 << 20)) for _ in range(300)) + packer.flush()
assert len(body) < 50_000
bad = frame(body, {claims}, 1)
"""
    assert memory_of(make + PEAK) < 40


def test_memory_of_a_record_is_bounded_by_its_bytes():
    """The worst record, 1 MiB of empty maps, takes no more than 150 times its bytes; a thousand of them never exist."""
    make = """
raw = b"\\x91\\x81\\xa1n" + b"\\x98" + (b"\\xdd\\x00\\x02\\x00\\x00" + b"\\x80" * (1 << 17)) * 8
bad = frame(zstandard.compress(raw), len(raw), 1)
assert len(bad) < 1000
"""
    assert memory_of(make + PEAK) < 150


def test_a_header_cannot_be_made_of_maps():
    """5 MB of empty maps in the place of any element cost little more than their bytes."""
    make = """
maps = b"\\xdd\\x00\\x4c\\x00\\x00" + b"\\x80" * 0x4c0000
heads = [msgpack.packb(part) for part in msgpack.unpackb(good)]
frames = [b"\\x9c" + b"".join([*heads[:at], maps, *heads[at + 1:]]) for at in range(12)]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for one in [*frames, b"\\x9d" + good[1:] + maps]:
    try:
        decode(one)
    except BadFrame:
        pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    assert memory_of(make) < 40


def test_lists_that_claim_more_than_there_is_cost_nothing():
    """A body of headers that each claim a million elements is refused without reserving them."""
    make = """
raw = b"\\x91\\x81\\xa1n" + b"\\xdd\\x00\\x0f\\xff\\xff" * 60
bad = frame(raw, len(raw), 1, codec=0)
"""
    assert memory_of(make + PEAK) < 40
