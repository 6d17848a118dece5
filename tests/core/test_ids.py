"""Producers and record ids."""

import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pumpkit.ids import is_pump_name, new_producer, record_id, record_ids, split_record_id


def test_a_producer_is_a_uuid_of_version_7():
    """16 bytes in the layout of RFC 9562: they sort by birth, to the millisecond, and never repeat."""
    producers = [new_producer() for _ in range(1000)]
    for producer in producers:
        id_ = uuid.UUID(bytes=producer)
        assert (len(producer), id_.version, id_.variant) == (16, 7, uuid.RFC_4122)
    assert len(set(producers)) == 1000
    stamps = [producer[:6] for producer in producers]
    assert stamps == sorted(stamps)


@given(producer=st.binary(min_size=16, max_size=16), first=st.integers(0, (1 << 63) - 10), count=st.integers(0, 5))
def test_record_ids(producer, first, count):
    """`{producer}-{sequence}`, which can be taken apart again."""
    ids = record_ids(producer, first, count)
    assert ids == [record_id(producer, first + n) for n in range(count)]
    assert [split_record_id(id_) for id_ in ids] == [(producer.hex(), first + n) for n in range(count)]
    assert all(re.fullmatch("[0-9a-f]{32}-[0-9]+", id_) for id_ in ids)


NONE = "0" * 32


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "x",
        NONE,
        f"{NONE}-",
        f"{NONE}-x",
        f"{NONE}--1",
        f"{NONE}-1 ",
        f"{NONE}-1\n",
        f"{NONE}-01",
        f"{NONE}-\u0661",
        f"{NONE}-{10**19}",
        f"{NONE[1:]}-1",
        f" {NONE[1:]}-1",
        f"-{NONE[1:]}-1",
        f"g{NONE[1:]}-1",
        f"A{NONE[1:]}-1",
        f"0x{NONE[2:]}-1",
        f"0_{NONE[2:]}-1",
    ],
)
def test_what_is_no_record_id_is_refused(text):
    """Every record has one id, spelled in one way."""
    with pytest.raises(ValueError, match="not a record id"):
        split_record_id(text)


def test_pump_names():
    """Small letters, digits and `_ . -`, no sign first, at most 63: nothing that a path could mean something by."""
    good = ["a", "0", "audit", "audit-csv.v2_", "a" * 63]
    assert [name for name in good if is_pump_name(name)] == good
    bad = ["", "-a", ".a", "_a", "..", "A", "a/b", "a b", "a\n", "\N{LATIN SMALL LETTER E WITH ACUTE}", "a" * 64]
    assert [name for name in bad if is_pump_name(name)] == []
