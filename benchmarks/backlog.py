"""Frames, and buffers full of them, as a reporter would have made them."""

from collections.abc import Callable
from contextlib import closing
from typing import Any

import msgpack

from benchmarks.authz import records
from pumpkit.buffers import open_buffer
from pumpkit.frames import VERSION, pack_frame, read_header
from pumpkit.ids import new_producer
from pumpkit.reporter.framer import SLICE
from pumpkit.values import RecordPacker

#: Makes so many different records.
Maker = Callable[[int], list[dict[str, Any]]]


class Producer:
    """Makes frames of `size` records: always the same ones, but numbered on."""

    def __init__(self, size: int, make: Maker = records) -> None:
        some, packer = make(size), RecordPacker()
        runs = [run for at in range(0, size, SLICE) for run in packer.pack(some[at : at + SLICE]).runs]
        frame = pack_frame(producer=new_producer(), first=0, runs=runs, created_ms=0, source="authz")
        self._header = read_header(frame)

    def frame(self) -> bytes:
        """Return the next frame."""
        header = self._header
        self._header = header._replace(first=header.next_seq)
        packed: bytes = msgpack.packb([VERSION, *header])
        return packed


def fill(url: str, frames: int, size: int, make: Maker = records) -> None:
    """Put so many frames of `size` records into the buffer at `url`, which is made if it is not there."""
    producer = Producer(size, make)
    with closing(open_buffer(url)) as buffer:
        for _ in range(frames):
            buffer.append([producer.frame()], timeout=30)
