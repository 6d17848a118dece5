"""From the items of a list to a frame. What is no record stands in the frame with its bytes, and keeps its number."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgpack

from pumpkit import frames
from pumpkit.dialects import Decode
from pumpkit.errors import BadItem
from pumpkit.values import MAX_RECORD, array_header

#: Bytes of items that are moved at a time, unless a single one is larger. Records may take more bytes than their items
#: (eight times is the worst), and a frame has to hold them.
BATCH_BYTES = 512 << 10

#: Bytes of one item that are read, and kept if it is no record: what a frame can hold.
KEEP = frames.MAX_BODY - (64 << 10)


class Items(NamedTuple):
    """Some items of a list. `cut` is the whole length of the only one, if it is too long to be read as a whole."""

    blobs: Sequence[bytes]
    cut: int = 0


class Framed(NamedTuple):
    """A frame, how many records it has, and how many of these are none."""

    data: bytes
    total: int
    bad: int


class ItemFramer:
    """Makes frames of items, for one thread."""

    def __init__(self, decode: Decode, source: str) -> None:
        self._decode = decode
        self._source = source
        self._packer = msgpack.Packer(datetime=True, unicode_errors="surrogatepass")

    def frame(self, items: Items, producer: bytes, first: int) -> Framed:
        """Return the frame of some items; the same items make the same records under the same numbers."""
        elements, bad = self._elements(items)
        total = len(elements)
        blob = self._packer.pack(elements)
        if len(blob) > MAX_RECORD and total > bad:
            elements, bad = self._within_bounds(elements, items)
            blob = self._packer.pack(elements)
        data = frames.pack_frame(
            producer=producer,
            first=first,
            runs=[(blob[len(array_header(total)) :], total)],
            created_ms=time.time_ns() // 1_000_000,
            source=self._source,
        )
        return Framed(data, total, bad)

    def _elements(self, items: Items) -> tuple[list[Any], int]:
        if items.cut:
            [blob] = items.blobs
            return [[blob, f"has {items.cut} bytes, of which these are the first {len(blob)}"]], 1
        decode = self._decode
        try:
            return [decode(blob) for blob in items.blobs], 0
        except BadItem:
            pass
        elements: list[Any] = []
        bad = 0
        for blob in items.blobs:
            try:
                elements.append(decode(blob))
            except BadItem as error:
                elements.append([blob, str(error)])
                bad += 1
        return elements, bad

    def _within_bounds(self, elements: list[Any], items: Items) -> tuple[list[Any], int]:
        """Return the elements with those that are too large for a record replaced by their items."""
        bounded = []
        for element, blob in zip(elements, items.blobs, strict=True):
            size = len(self._packer.pack(element)) if type(element) is dict else 0
            too_large = [blob, f"packs to {size} bytes, over {MAX_RECORD}"]
            bounded.append(element if size <= MAX_RECORD else too_large)
        return bounded, sum(type(element) is list for element in bounded)
