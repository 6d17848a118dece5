"""What a record looks like in a CSV file, and that it reads back as it was."""

import base64
import csv
import datetime
import io
import json
import math
import re
import tempfile
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pumpkit.config import describe
from pumpkit.errors import PartialWrite
from pumpkit.frames import decode, pack_frame
from pumpkit.ids import record_ids
from pumpkit.values import RecordPacker
from pumpkit_csv.table import MAX_COLUMNS, Layout, Table
from pumpkit_csv.text import text
from tests.sinks.conftest import CsvWorld

PACIFIC = datetime.timezone(datetime.timedelta(hours=-8))

EXAMPLES = [
    ("", ""),
    ('a "quoted", text\r\nof two lines', 'a "quoted", text\r\nof two lines'),
    (None, ""),
    (True, "true"),
    (False, "false"),
    (0, "0"),
    (-5, "-5"),
    (2**64 - 1, "18446744073709551615"),
    (0.1, "0.1"),
    (1e16, "1e+16"),
    (-0.0, "-0.0"),
    (math.nan, "nan"),
    (math.inf, "inf"),
    (-math.inf, "-inf"),
    (datetime.datetime(2026, 11, 25, 17, tzinfo=datetime.UTC), "2026-11-25T17:00:00.000000Z"),
    (datetime.datetime(2026, 11, 25, 17, 0, 0, 500, PACIFIC), "2026-11-26T01:00:00.000500Z"),
    (datetime.datetime(1, 1, 1, tzinfo=datetime.UTC), "0001-01-01T00:00:00.000000Z"),
    (b"", ""),
    (b"\x00\xff", "AP8="),
    ([1, "a", None, {"b": True}], '[1,"a",null,{"b":true}]'),
    ({"name": "Zoë", "at": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)}, None),
    ({"raw": b"\x00", b"\xff": [math.nan, math.inf, 1.5]}, '{"raw":"AA==","/w==":["nan","inf",1.5]}'),
    (msgpack.ExtType(5, b"\x00"), '[5,"AA=="]'),
]


@pytest.mark.parametrize(("value", "cell"), EXAMPLES)
def test_every_kind_of_value_has_the_documented_text(value: object, cell: str | None) -> None:
    """Each row of the documented table; a map keeps letters as they are."""
    assert text(value) == ('{"name":"Zoë","at":"2026-01-01T00:00:00.000000Z"}' if cell is None else cell)


def test_a_value_without_text_is_refused_by_its_type() -> None:
    """Nothing is written by repr: a type outside the table is an error that names it."""
    with pytest.raises(TypeError, match="a value of type complex has no text"):
        text(1j)


# Reading back -----------------------------------------------------------------------------------------------


def shown(value: Any, escape: bool) -> str:
    """Return the cell that the documentation promises, written down a second time."""
    if isinstance(value, str):
        cell = value
    elif isinstance(value, bytes):
        cell = base64.b64encode(value).decode()
    elif isinstance(value, bool):
        cell = str(value).lower()
    elif isinstance(value, datetime.datetime):
        cell = f"{value.astimezone(datetime.UTC):%H:%M:%S.%f}Z"
        cell = f"{value.year:04}-{value.month:02}-{value.day:02}T{cell}"
    else:
        cell = "" if value is None else repr(value)
    if escape and isinstance(value, str | bytes) and re.match(r"[=+\-@\t\r]", cell):
        cell = "'" + cell
    return re.sub("[\0\ud800-\udfff]", lambda found: "\\u" + format(ord(found[0]), "04x"), cell)


def jsonable(value: Any) -> Any:
    """Return what json.loads gives for a list or map."""
    match value:
        case dict():
            return {name: jsonable(inner) for name, inner in value.items()}
        case list():
            return [jsonable(inner) for inner in value]
        case float() if not math.isfinite(value):
            return repr(value)
        case bytes() | datetime.datetime():
            return shown(value, escape=False)
    return value


anything = st.characters(codec=None, exclude_categories=())  # lone surrogates and control characters too
words = st.text(anything, max_size=12) | st.sampled_from(
    ["=1+1", "-1", "@x", "\t", "\r", '"', '""', ",", "\n", "\0", "'"]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | words
    | st.binary(max_size=12)
    | st.datetimes(timezones=st.just(datetime.UTC))
)
values = scalars | st.recursive(
    st.lists(scalars, max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner | scalars, max_size=3),
    max_leaves=8,
)
same_fields = st.lists(words, min_size=1, max_size=5, unique=True).flatmap(
    lambda names: st.lists(st.fixed_dictionaries({name: values for name in names}), min_size=1, max_size=8)
)
some_fields = st.lists(st.dictionaries(words, values, max_size=5), min_size=1, max_size=8)


@given(
    records=same_fields | some_fields,
    id_field=st.sampled_from(["", "=id"]),
    escape=st.booleans(),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_any_record_reads_back_by_the_csv_module(
    records: list[dict[str, Any]], id_field: str, escape: bool, newline: str
) -> None:
    """Every cell reads back as documented, every record is a row or is rejected, and lines end as they should."""
    ids = [f"p-{n}" for n in range(len(records))]
    encoded = Table(Layout((), id_field, escape, newline), ()).encode(records, ids)
    table = encoded.table
    if not table.columns:
        assert (len(encoded.rejected), encoded.lines) == (len(records), b"")
        return
    header, *rows = csv.reader(io.StringIO(table.header + encoded.lines.decode(), newline=""))
    names = ([id_field] if id_field else []) + list(table.columns)
    assert header == [shown(name, escape) for name in names]
    assert len(set(header)) == len(header)
    kept = [
        (id_, record) for n, (id_, record) in enumerate(zip(ids, records, strict=True)) if n not in encoded.rejected
    ]
    assert len(rows) == len(kept)
    for row, (id_, record) in zip(rows, kept, strict=True):
        assert set(record) <= set(table.columns)
        if id_field:
            assert row.pop(0) == id_
        for cell, name in zip(row, table.columns, strict=True):
            value = record.get(name)
            if isinstance(value, list | dict):
                assert json.loads(cell) == jsonable(value)
            else:
                assert cell == shown(value, escape)
    assert (table.header + encoded.lines.decode()).endswith(newline)


@settings(max_examples=40, deadline=None)
@given(st.lists(same_fields | some_fields, min_size=1, max_size=4), st.data())
def test_what_went_through_frames_reads_back_from_the_files(
    batches: list[list[dict[str, Any]]], data: st.DataObject
) -> None:
    """Packed, decoded and written, some batches twice: every record that is not rejected is one row, in order."""
    with tempfile.TemporaryDirectory() as folder:
        world = CsvWorld(Path(folder))
        sink = world.open(**{"id-field": "record id"})
        expected, first = [], 0
        for batch in batches:
            blob = pack_frame(producer=bytes(16), first=first, runs=RecordPacker().pack(batch).runs, created_ms=0)
            content = decode(blob)
            ids = record_ids(bytes(16), first, len(batch))
            for _ in range(data.draw(st.integers(1, 2))):
                rejected: dict[int, str] = {}
                try:
                    sink.write([dict(record) for record in content.records], ids, None, False)
                except PartialWrite as verdict:
                    rejected = verdict.rejected
            expected += [(ids[n], record) for n, record in enumerate(batch) if n not in rejected]
            first += len(batch)
        found = [dict(zip(table[0], row, strict=True)) for table in world.tables() for row in table[1:]]
        world.close(sink)
    assert [row["record id"] for row in found] == [id_ for id_, _ in expected]
    for row, (_, record) in zip(found, expected, strict=True):
        filled = {title: cell for title, cell in row.items() if cell and title != "record id"}
        cells = {shown(field, True): cell_of(value) for field, value in record.items()}
        assert {title: parsed(cell) for title, cell in filled.items()} == {
            title: parsed(cell) for title, cell in cells.items() if cell
        }


def cell_of(value: Any) -> str:
    """Return the expected cell of any value; of a list or map, some JSON that means the same."""
    return json.dumps(jsonable(value)) if isinstance(value, list | dict) else shown(value, True)


def parsed(cell: str) -> Any:
    """Return what the JSON of a list or map means, any other cell as it is."""
    try:
        return json.loads(cell) if cell[:1] in ("[", "{") else cell
    except ValueError:
        return cell


def test_records_of_the_same_fields_take_the_short_way_and_read_the_same() -> None:
    """Fields in another order, a field missing and a field more: all come out under the right titles."""
    table = Table(Layout(), ("a", "b"))
    assert table.encode([{"b": 2, "a": 1}, {"a": 3, "b": 4}], ["", ""]).lines == b'"1","2"\n"3","4"\n'
    assert table.encode([{"b": 2, "a": 1}, {"b": 4}], ["", ""]).lines == b'"1","2"\n"","4"\n'
    wider = table.encode([{"b": 2, "a": 1}, {"a": 3, "c": 4}], ["", ""])
    assert (wider.table.header, wider.lines) == ('"a","b","c"\n', b'"1","2",""\n"3","","4"\n')


# Formulas and text that UTF-8 or readers cannot bear -------------------------------------------------------------


@pytest.mark.parametrize("start", list("=+-@\t\r"))
def test_text_like_a_formula_is_escaped_unless_switched_off(start: str) -> None:
    """Text, base64 and titles get a quote before them; `escape-formulas: false` leaves them alone."""
    value = start + "cmd|' /C calc'!A0"
    escaped = Table(Layout(), ()).encode([{value: value}], [""])
    assert next(csv.reader(io.StringIO(escaped.table.header, newline=""))) == ["'" + value]
    assert next(csv.reader(io.StringIO(escaped.lines.decode(), newline=""))) == ["'" + value]
    left = Table(Layout(escape_formulas=False), ()).encode([{value: value}], [""])
    assert next(csv.reader(io.StringIO(left.lines.decode(), newline=""))) == [value]


def test_base64_like_a_formula_is_escaped_and_numbers_are_not() -> None:
    """Bytes that read `+...` are text to a spreadsheet; -1 is a number to it."""
    record = {"bytes": b"\xfb\xff\xff", "int": -1, "float": -0.5, "inf": -math.inf, "text": "-1", "list": ["=1"]}
    lines = Table(Layout(), ()).encode([record], [""]).lines.decode()
    assert next(csv.reader(io.StringIO(lines))) == ["'+///", "-1", "-0.5", "-inf", "'-1", '["=1"]']


def test_nul_and_lone_surrogates_do_not_cost_the_line() -> None:
    """They stand as JSON writes them, in cells and titles; other lines of the batch are not touched."""
    records = [{"pa\0th": "a\0b\udcff"}, {"pa\0th": "é\\u0000"}, {"pa\0th": ["\udcff\0"]}]
    encoded = Table(Layout(), ()).encode(records, [""] * 3)
    assert encoded.table.header == '"pa\\u0000th"\n'
    assert encoded.lines.decode() == '"a\\u0000b\\udcff"\n"é\\u0000"\n"[""\\udcff\\u0000""]"\n'
    assert encoded.rejected == {}


# Columns -----------------------------------------------------------------------------------------------------


def test_a_record_of_too_many_columns_is_rejected_and_adds_none() -> None:
    """1,000 columns are the most; the others of the batch are written."""
    table = Table(Layout(), [f"f{n}" for n in range(MAX_COLUMNS - 1)])
    encoded = table.encode([{"f0": 1}, {"x": 1, "y": 2}, {"z": 3}], ["", "", ""])
    assert list(encoded.rejected) == [1]
    assert "more than 1000 columns: see `fields`" in encoded.rejected[1]
    assert encoded.table.columns[-2:] == (f"f{MAX_COLUMNS - 2}", "z")
    assert encoded.lines.count(b"\n") == 2


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"record_id": 1}, "field 'record_id' needs the title of another column, 'record_id': see `rename-fields`"),
        ({"'=a": 1}, 'field "\'=a" needs the title of another column, "\'=a": see `rename-fields`'),
        ({"b\0": 1, "b\\u0000": 2}, "field 'b\\\\u0000' needs the title of another column, 'b\\\\u0000'"),
        ({b"bytes": 1}, "the name of a field must be text, not b'bytes'"),
        ({"ok": 1j}, "field 'ok': a value of type complex has no text"),
    ],
)
def test_a_record_that_has_no_place_in_the_table_is_rejected_with_the_reason(
    record: dict[Any, Any], reason: str
) -> None:
    """A title is never given twice, so that a reader by titles gets every value; the rest of the batch is written."""
    encoded = Table(Layout(id_field="record_id"), ("=a", "ok")).encode([{"ok": 1}, record, {"ok": 2}], ["x", "y", "z"])
    assert list(encoded.rejected) == [1]
    assert encoded.rejected[1].startswith(reason)
    assert encoded.lines == b'"x","","1"\n"z","","2"\n'


def test_a_record_without_fields_is_rejected_as_long_as_there_is_no_column() -> None:
    """Once there are columns it is a row of empty cells."""
    first = Table(Layout(), ()).encode([{}], [""])
    assert first.rejected == {0: "the record has no field, and no record before it had one"}
    assert first.lines == b""
    assert Table(Layout(), ("a", "b")).encode([{}], [""]).lines == b'"",""\n'


def test_named_fields_are_the_columns() -> None:
    """In their order, whatever a record has; nothing is rejected for other fields."""
    table = Table(Layout(("b", "a")), ())
    encoded = table.encode([{"a": 1, "c": 2}, {"b": 3, "a": 4, b"x": 5}], ["", ""])
    assert (encoded.table, encoded.rejected) == (table, {})
    assert (table.header, encoded.lines) == ('"b","a"\n', b'"","1"\n"3","4"\n')


def test_the_readme_names_every_setting() -> None:
    """The table of settings has a row for each key of the sink."""
    from pumpkit_csv import CsvSink

    readme = (Path(__file__).parents[2] / "pumpkit_csv" / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z-]+)` \|", readme, re.MULTILINE) == [setting.key for setting in describe(CsvSink)]
