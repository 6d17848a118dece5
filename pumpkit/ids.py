"""What names what: producers, sequences and record ids, and pumps (no imports but the stdlib)."""

import os
import re
import time

_RECORD_ID = re.compile("([0-9a-f]{32})-(0|[1-9][0-9]{0,18})")
_PUMP_NAME = re.compile("[a-z0-9][a-z0-9_.-]{0,62}")


def new_producer() -> bytes:
    """Return 16 fresh bytes in UUIDv7 layout (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then random.

    The time only makes producers sort by birth; nothing decides by it.
    """
    stamp = time.time_ns() // 1_000_000
    noise = bytearray(os.urandom(10))
    noise[0] = 0x70 | noise[0] & 0x0F  # version 7
    noise[2] = 0x80 | noise[2] & 0x3F  # variant 10
    return (stamp & 0xFFFF_FFFF_FFFF).to_bytes(6, "big") + bytes(noise)


def record_id(producer: bytes, sequence: int) -> str:
    """Return the id of one record, `{producer as 32 hex digits}-{sequence}`."""
    return f"{producer.hex()}-{sequence}"


def record_ids(producer: bytes, first: int, count: int) -> list[str]:
    """Return the ids of `count` records in a row."""
    stem = producer.hex() + "-"
    return [f"{stem}{sequence}" for sequence in range(first, first + count)]


def split_record_id(id_: str) -> tuple[str, int]:
    """Return producer (32 hex digits) and sequence of a record id. Raises ValueError for anything else."""
    found = _RECORD_ID.fullmatch(id_)
    if not found:
        raise ValueError(f"not a record id: {id_!r:.100}")
    return found[1], int(found[2])


def is_pump_name(name: str) -> bool:
    """Return whether a pump may have this name: one that makes a file name and a label, too."""
    return _PUMP_NAME.fullmatch(name) is not None
