"""What tests of records and frames share."""

from typing import Any

import pytest

from pumpkit.frames import RAW, decode, pack_frame
from pumpkit.values import RecordPacker


class Wire:
    """The way of records through a frame."""

    producer = bytes(range(16))

    def frame(self, records: list[Any], codec: int = RAW, **header: Any) -> bytes:
        """Return a frame of records that must all be good."""
        packed = RecordPacker().pack(records)
        assert packed.rejected == []
        return self.frame_of(packed.runs, codec, **header)

    def frame_of(self, runs: list[tuple[bytes, int]], codec: int = RAW, **header: Any) -> bytes:
        """Return a frame of maps that are packed already."""
        settings = {"producer": self.producer, "first": 0, "created_ms": 1_700_000_000_000} | header
        return pack_frame(runs=runs, codec=codec, **settings)

    def carry(self, record: Any) -> dict[str, Any]:
        """Return one record as a sink gets it."""
        content = decode(self.frame([record]))
        assert content.bad == []
        return content.records[0]

    def refusal(self, record: Any) -> Any:
        """Return what the packer says of a record that it refuses, alone or among good ones."""
        packer = RecordPacker()
        for records in ([record], [{"a": 1}, record, {"b": 2}]):
            packed = packer.pack(records)
            assert sum(number for _, number in packed.runs) == len(records) - 1
            [error] = packed.rejected
        return error


@pytest.fixture
def wire() -> Wire:
    """Return the way of records through a frame."""
    return Wire()
