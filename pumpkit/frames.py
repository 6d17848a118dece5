"""The frame: up to 2,000 records of one producer in one blob, the unit of transport and of acknowledgement.

One msgpack array, readable from any language:

    [1, producer:bin16, first:uint, count:uint, created_ms:uint, source:str<=64, codec:0 raw|1 zstd,
     raw_size:uint, crc32(body):uint, drops:{cause: total}, common:{field: value}, body:bin]

The body, once decompressed, is a msgpack array of `count` maps. `common` holds fields of every record of the frame,
where it has none of that name itself; as all its records share them, their values are neither lists nor maps. More
elements at the end of the frame are ignored. In place of a map the body may have `[bin, reason:str]`: something that
its producer was given and could not read. It has its number, and becomes a dead letter with these bytes.

Frames come from outside: everything read here is bounded, and nothing but `BadFrame` and `FrameTooNew` is raised for
bytes of any kind.
"""

import itertools
import threading
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgpack

from pumpkit.errors import BadFrame, FrameTooNew
from pumpkit.values import MAX_DEPTH, MAX_RECORD, SCALARS, SHELL, SHELL_BYTES, array_header, boundaries

VERSION = 1
RAW, ZSTD = 0, 1

MAX_RECORDS = 2_000
MAX_SOURCE = 64  # characters, all printable
MAX_COMMON = 64  # fields
MAX_HEADER = 64 << 10  # bytes, everything before the body
MAX_BODY = 4 << 20  # bytes, as stored
MAX_RAW = 8 << 20  # bytes, decompressed
MAX_FRAME = MAX_BODY + (1 << 20)  # bytes; the rest is for what later versions add
MAX_ELEMENTS = 64  # of the frame, those that are ignored included

_ELEMENTS = 12

_LEVEL = 1  # zstd: higher levels cost more CPU than they save disk on records of this size


class Header(NamedTuple):
    """A frame taken apart; `body` is still compressed."""

    producer: bytes
    first: int
    total: int
    created_ms: int
    source: str
    codec: int
    raw_size: int
    crc: int
    drops: dict[str, int]
    common: dict[str, Any]
    body: bytes

    @property
    def next_seq(self) -> int:
        """The sequence of the record after this frame."""
        return self.first + self.total


class Content(NamedTuple):
    """The records of a frame: `records[i]` has the index `indexes[i]` in it; `bad` tells of the others."""

    header: Header
    records: list[dict[str, Any]]
    indexes: range | list[int]
    bad: list[tuple[int, str, bytes]]  # index, reason, the record's bytes


def pack_frame(
    *,
    producer: bytes,
    first: int,
    runs: list[tuple[bytes, int]],
    created_ms: int,
    source: str = "",
    codec: int = ZSTD,
    drops: Mapping[str, int] | None = None,
    common: Mapping[str, Any] | None = None,
) -> bytes:
    """Return the bytes of a frame; `runs` are packed maps with their number, as `RecordPacker.pack` makes them.

    No runs make a farewell frame, which only carries `drops`. Raises ValueError for one that no reader would take.
    """
    count = sum(number for _, number in runs)
    raw = b"".join([array_header(count), *(blob for blob, _ in runs)])
    body = _compress(raw) if codec == ZSTD else raw
    carried = dict(drops or {}), dict(common or {})
    header = Header(producer, first, count, created_ms, source, codec, len(raw), zlib.crc32(body), *carried, body)
    wrong = _wrong(header)
    if wrong:
        raise ValueError(wrong)
    packed: bytes = msgpack.packb([VERSION, *header], datetime=True, unicode_errors="surrogatepass")
    if len(packed) - len(body) > MAX_HEADER:
        raise ValueError(f"a header of {len(packed) - len(body)} bytes, over {MAX_HEADER}")
    return packed


def pack_bad_item(item: bytes, reason: str) -> bytes:
    """Return what stands in a body for bytes that are no record, as a run of one for `pack_frame`."""
    packed: bytes = msgpack.packb([item, reason], unicode_errors="surrogatepass")
    return packed


def read_header(frame: bytes) -> Header:
    """Take a frame apart and check its header, not its body. Raises BadFrame, or FrameTooNew."""
    if len(frame) > MAX_FRAME:
        raise BadFrame(f"{len(frame)} bytes, over {MAX_FRAME}")
    try:
        cuts = _elements(frame)
        version = msgpack.unpackb(frame[cuts[0] : min(cuts[1], cuts[0] + 9)])  # at most 9 bytes make an integer
    except Exception as error:  # msgpack raises many kinds
        raise BadFrame(f"not a frame: {type(error).__name__}: {error}") from error
    if type(version) is int and version > VERSION:
        raise FrameTooNew(f"frame version {version}, this pumpkit reads {VERSION}: upgrade pumpkit")
    if type(version) is not int or version != VERSION or len(cuts) <= _ELEMENTS:
        raise BadFrame(f"not a frame: version {version!r:.40}, {len(cuts) - 1} elements")
    head, body = frame[cuts[1] : cuts[11]], frame[cuts[11] : cuts[12]]
    if len(head) > MAX_HEADER or body[0] not in _BIN:
        raise BadFrame(f"a header of {len(head)} bytes, and a body of type {body[0]:#x}")
    try:
        header = Header._make([*msgpack.unpackb(b"\x9a" + head, **_LIMITS), msgpack.unpackb(body)])
    except Exception as error:  # such as OverflowError for an absurd timestamp
        raise BadFrame(f"bad header: {type(error).__name__}: {error}") from error
    wrong = _wrong(header)
    if wrong:
        raise BadFrame(wrong)
    return header


def _elements(frame: bytes) -> list[int]:
    """Return where the elements of a frame begin, without building any, and where the last one ends."""
    unpacker = msgpack.Unpacker(max_buffer_size=MAX_FRAME)
    unpacker.feed(frame)
    count = unpacker.read_array_header()
    if not 1 <= count <= MAX_ELEMENTS:
        raise ValueError(f"{count} elements")
    cuts = boundaries(unpacker, count)
    if cuts[-1] != len(frame):
        raise ValueError(f"{len(frame) - cuts[-1]} bytes after it")
    return cuts


def decode(frame: bytes) -> Content:
    """Return the records of a frame. Raises BadFrame if no record can be told apart, or FrameTooNew."""
    header = read_header(frame)
    raw = _raw_body(header)
    try:
        records = _unpack(raw)
    except Exception as error:
        return _salvage(header, raw, error)
    if type(records) is not list:
        raise BadFrame("the body is not an array")
    if len(records) != header.total:
        raise BadFrame(f"{len(records)} records in the body, {header.total} in the header")
    if set(map(type, records)) <= {dict}:
        return Content(header, records, range(header.total), [])
    return _salvage(header, raw, TypeError("a record is not a map"))


def _wrong(header: Header) -> str | None:
    """Return what is wrong with a header's types and bounds, if anything."""
    uints = (header.first, header.total, header.created_ms, header.raw_size, header.crc)
    checks = {
        "producer": type(header.producer) is bytes and len(header.producer) == 16,
        "number": all(map(_is_uint, uints)) and header.first + header.total < 1 << 63,
        "source": type(header.source) is str and len(header.source) <= MAX_SOURCE and header.source.isprintable(),
        "codec": type(header.codec) is int and header.codec in (RAW, ZSTD),
        "drops": type(header.drops) is dict and all(type(k) is str and _is_uint(v) for k, v in header.drops.items()),
        "common": type(header.common) is dict
        and len(header.common) <= MAX_COMMON
        and all(type(name) is str and type(value) in SCALARS for name, value in header.common.items()),
        "body": type(header.body) is bytes and len(header.body) <= MAX_BODY,
    }
    for name, good in checks.items():
        if not good:
            return f"bad {name} in the frame header"
    if header.total > MAX_RECORDS:
        return f"{header.total} records, over {MAX_RECORDS}"
    if header.raw_size > MAX_RAW:
        return f"{header.raw_size} bytes decompressed, over {MAX_RAW}"
    return None


def _is_uint(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def _raw_body(header: Header) -> bytes:
    if zlib.crc32(header.body) != header.crc:
        raise BadFrame("checksum mismatch")
    raw = header.body if header.codec == RAW else _decompress(header.body, header.raw_size)
    if len(raw) != header.raw_size:
        raise BadFrame(f"the body is not the {header.raw_size} bytes that the header says")
    return raw


def _unpack(packed: bytes) -> Any:
    """Unpack an array in one call; the shell bounds how deep it may nest."""
    try:
        value = msgpack.unpackb(SHELL_BYTES + packed, **_LIMITS)
    except msgpack.StackError:
        raise ValueError(f"nests deeper than {MAX_DEPTH} levels") from None
    for _ in range(SHELL):
        value = value[0]
    return value


def _salvage(header: Header, raw: bytes, error: Exception) -> Content:
    """Unpack record by record after the whole failed, so that the sinks lose only the bad ones."""
    slices = _slices(raw, header.total, error)
    content = Content(header, [], [], [])
    indexes: list[int] = []
    for index, blob in enumerate(slices):
        try:
            record = _unpack(b"\x91" + blob)[0]
            match record:
                case [bytes(item), str(reason)]:
                    content.bad.append((index, reason, item))
                    continue
            if type(record) is not dict:
                raise TypeError(f"a record must be a map, not {type(record).__name__}")
        except Exception as bad:
            content.bad.append((index, f"{type(bad).__name__}: {bad}", blob))
        else:
            content.records.append(record)
            indexes.append(index)
    return content._replace(indexes=indexes)


def _slices(raw: bytes, count: int, cause: Exception) -> list[bytes]:
    """Cut a body into its records without building them. Raises BadFrame where the bytes do not allow it."""
    unpacker = msgpack.Unpacker(max_buffer_size=MAX_RAW)
    unpacker.feed(raw)
    try:
        found = unpacker.read_array_header()
        if found != count:
            raise BadFrame(f"{found} records in the body, {count} in the header")
        cuts = boundaries(unpacker, count)
    except BadFrame:
        raise
    except Exception as error:
        raise BadFrame(f"the body cannot be read: {type(cause).__name__}: {cause}") from error
    if cuts[-1] != len(raw):
        raise BadFrame(f"{len(raw) - cuts[-1]} bytes after the last record")
    return [raw[a:b] for a, b in itertools.pairwise(cuts)]


def _refuse(code: int, data: bytes) -> None:
    raise ValueError(f"extension type {code}")


# A list's header makes msgpack reserve its memory, so no list may claim more elements than a record has bytes.
_LIMITS: dict[str, Any] = {
    "timestamp": 3,
    "unicode_errors": "surrogatepass",
    "ext_hook": _refuse,
    "max_str_len": MAX_RAW,
    "max_bin_len": MAX_RAW,
    "max_array_len": MAX_RECORD,
    "max_map_len": MAX_RECORD,
}

_BIN = (0xC4, 0xC5, 0xC6)


_kept = threading.local()


def _compress(raw: bytes) -> bytes:
    """Compress by this thread's compressor: for a small frame, making one takes longer than its work."""
    if not hasattr(_kept, "compressor"):
        import zstandard  # here, because a reporter without it sends raw frames

        _kept.compressor = zstandard.ZstdCompressor(level=_LEVEL)
    packed: bytes = _kept.compressor.compress(raw)
    return packed


def _decompressor() -> Any:
    """Return this thread's decompressor: for a small frame, making one takes as long as all its work."""
    if not hasattr(_kept, "decompressor"):
        import zstandard

        _kept.decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_RAW)
    return _kept.decompressor


def _decompress(body: bytes, size: int) -> bytes:
    """Return at most size + 1 bytes: a frame may lie about its size, and 9 KB can become 300 MB."""
    try:
        stream = _decompressor().stream_reader(body, read_across_frames=True)
        raw: bytes = stream.read(size + 1)
    except Exception as error:
        raise BadFrame(f"cannot be decompressed: {error}") from error
    return raw
