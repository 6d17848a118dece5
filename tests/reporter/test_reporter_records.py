"""What becomes of records on their way into frames."""

import dataclasses
import datetime
import logging
from collections.abc import Callable
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import attrs
import pytest

from pumpkit import AnalyticsRecord, Reporter, frames
from pumpkit.ids import split_record_id

Make = Callable[..., Reporter]


@attrs.define
class _Attrs:
    name: str = "a"


@dataclasses.dataclass
class _Data:
    name: str = "d"


class _Exits:
    @property
    def name(self) -> str:
        raise SystemExit(3)


_Exits.__attrs_attrs__ = attrs.fields(_Attrs)  # type: ignore[attr-defined]


def _nested(depth: int) -> Any:
    value: Any = "leaf"
    for _ in range(depth):
        value = [value]
    return value


def test_any_mapping_attrs_class_or_dataclass_is_a_record(make_reporter: Make, log: Any) -> None:
    """Records of every supported kind arrive as maps, with their values converted."""
    reporter = make_reporter()
    reporter.record({"name": "m", "price": Decimal("1.50"), "day": datetime.date(2024, 2, 29), "tags": {"x"}})
    reporter.record(MappingProxyType({"name": "p"}))
    reporter.record(_Attrs())
    reporter.record(_Data())
    reporter.record(AnalyticsRecord(timestamp=5, username="u"))
    reporter.close()
    records = log.records()
    assert records[0] == {"name": "m", "price": "1.50", "day": "2024-02-29", "tags": ["x"]}
    assert records[1:4] == [{"name": "p"}, {"name": "a"}, {"name": "d"}]
    assert records[4]["username"] == "u"


def test_lone_surrogates_pass(make_reporter: Make, log: Any) -> None:
    """Text made of a path of bytes does not cost the record."""
    reporter = make_reporter()
    reporter.record({"path": "caf\udce9"})
    reporter.close()
    assert log.records() == [{"path": "caf\udce9"}]


@pytest.mark.parametrize(
    ("record", "cause", "words"),
    [
        ({"who": object()}, "unpackable", "field 'who' of type object"),
        ({"n": 1 << 70}, "unpackable", "field 'n' of type int"),
        ({"deep": _nested(100)}, "unpackable", "field 'deep' of type list"),
        ([1, 2], "unpackable", "must be a mapping"),
        ("text", "unpackable", "must be a mapping"),
        (_Exits(), "unpackable", "SystemExit"),
        ({"text": "x" * 5000}, "too-large", "over 1000"),
    ],
)
def test_a_bad_record_is_counted_and_the_good_ones_around_it_arrive(
    make_reporter: Make, log: Any, caplog: pytest.LogCaptureFixture, record: Any, cause: str, words: str
) -> None:
    """Only the bad record is left out; its cause is counted, told to the log, and logged once."""
    reporter = make_reporter(max_record_bytes=1000)
    for number in range(3):
        reporter.record({"n": number})
        reporter.record(record)
    result = reporter.close()
    assert [one["n"] for one in log.records()] == [0, 1, 2]
    assert result == (3, 0, 3)
    assert reporter.stats().drops == log.total_drops() == {cause: 3}
    assert [message for message in caplog.messages if words in message] == caplog.messages
    assert len(caplog.messages) == 1
    assert [split_record_id(id_)[1] for id_ in log.ids()] == [0, 1, 2]  # rejected records take no number


def test_a_record_that_holds_itself_is_unpackable(make_reporter: Make, log: Any) -> None:
    """A cycle is found by its depth."""
    cyclic: dict[str, Any] = {}
    cyclic["self"] = cyclic
    reporter = make_reporter()
    reporter.record(cyclic)
    reporter.close()
    assert log.records() == []
    assert log.total_drops() == {"unpackable": 1}


def test_every_kind_of_complaint_is_logged_but_not_without_end(
    make_reporter: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """Complaints are told by field and type, and their number is bounded."""
    reporter = make_reporter()
    for number in range(300):
        reporter.record({f"field{number}": object()})
    reporter.close()
    assert len(caplog.messages) == 100
    assert "field 'field7' of type object" in caplog.text
    assert reporter.stats().drops == {"unpackable": 300}


def test_omit_detailed_blanks_a_copy(make_reporter: Make, log: Any) -> None:
    """The detail never leaves the process, and the caller's record stays as it is."""
    record = {"username": "u", "policies": "p", "deciders": "d"}
    reporter = make_reporter(omit_detailed=True)
    reporter.record(record)
    reporter.record({"username": "v"})
    reporter.record(AnalyticsRecord(username="w", policies="p"))
    reporter.record(3)
    reporter.close()
    assert log.records()[:2] == [{"username": "u", "policies": "", "deciders": ""}, {"username": "v"}]
    assert log.records()[2]["policies"] == ""
    assert record["policies"] == "p"
    assert log.total_drops() == {"unpackable": 1}


def test_copy_freezes_a_record_when_it_is_handed_over(make_reporter: Make, log: Any) -> None:
    """With copy=True later changes by the caller are not seen; a record that cannot be copied goes as it is."""

    class Stubborn(dict[str, Any]):
        def __copy__(self) -> Any:
            raise RuntimeError("no")

    reporter = make_reporter(copy=True, flush_interval=60)
    record = {"n": 1}
    reporter.record(record)
    record["n"] = 2
    reporter.record(record)
    reporter.record(Stubborn(n=3))
    reporter.close()
    assert [one["n"] for one in log.records()] == [1, 2, 3]


def test_frames_carry_source_and_common_fields(make_reporter: Make, log: Any) -> None:
    """Source and common fields are in every header, not in the records."""
    reporter = make_reporter(source="authz", common={"host": "h1"})
    reporter.record({"n": 1})
    reporter.close()
    header = frames.read_header(log.stored[0])
    assert (header.source, header.common) == ("authz", {"host": "h1"})
    assert log.records() == [{"n": 1}]
    assert header.producer.hex() == reporter.stats().producer


@pytest.mark.parametrize("size", [10, 3_000, 200_000, 1_000_000])
def test_frames_stay_within_their_bounds_for_records_of_any_size(log: Any, make_reporter: Make, size: int) -> None:
    """A frame has 2,000 records at most, and about 1 MiB before compression."""
    total = 5_000 if size == 10 else 50_000_000 // size // 2
    reporter = make_reporter(flush_interval=60, exit_timeout=30.0)
    for number in range(total):
        reporter.record({"n": number, "text": "x" * size})
    reporter.close()
    headers = [frames.read_header(frame) for frame in log.stored]
    assert [record["n"] for record in log.records()] == list(range(total))
    assert max(header.total for header in headers) <= 2_000
    assert max(header.raw_size for header in headers) <= (1 << 20) + size + 100
    if size == 10:
        assert len(headers) <= 4  # frames grow with the backlog


def test_without_zstandard_frames_are_raw(
    log: Any, make_reporter: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A missing compressor costs space, not records."""
    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    reporter = make_reporter()
    reporter.record({"n": 1})
    reporter.close()
    assert frames.read_header(log.stored[0]).codec == frames.RAW
    assert log.records() == [{"n": 1}]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
