"""The CSV sink passes the conformance kit. How values read is written down here once more, not taken from the sink."""

import base64
import csv
import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pumpkit.hookspecs import Record
from pumpkit.testing import Arrived, Destination, SinkConformance

#: The column of the record id.
ID = "record_id"

NO_SERVER = "files on a local disk: no server goes away, hangs, asks for a pause or wants a password"


class CsvDestination(Destination):
    """A directory of CSV files, read as a user reads them: in the order of their numbers, the growing one last."""

    cannot = dict.fromkeys(("stop", "start", "hang", "unhang", "busy", "bad_login"), NO_SERVER)

    @property
    def directory(self) -> Path:
        """Where the sink puts its files."""
        return self.folder / "out"

    def meta(self) -> dict[str, Any]:
        return {"csv-dir": str(self.directory), "id-field": ID}

    def read(self) -> Sequence[Arrived]:
        paths = sorted(self.directory.glob("*.csv*"), key=lambda path: path.name.split(".")[0])
        return [arrived for path in paths for arrived in _rows(path)]

    read_in_order = read

    def expected(self, record: Record) -> Record:
        """Everything is text, and an empty cell is no field."""
        cells = {_safe(name): _cell(value) for name, value in record.items()}
        return {name: cell for name, cell in cells.items() if cell}

    def poison(self) -> Record:
        r"""Two fields that want one title: NUL is written as `\u0000`."""
        return {"number": -1, "a\0": "first", "a\\u0000": "second"}


def _rows(path: Path) -> list[Arrived]:
    before = csv.field_size_limit(8 << 20)
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = list(csv.reader(file)) or [[]]
    finally:
        csv.field_size_limit(before)
    found = []
    for row in rows:
        cells = {name: cell for name, cell in zip(header, row, strict=True) if cell}
        found.append(Arrived(cells.pop(ID), cells))
    return found


def _cell(value: Any) -> str:
    cell = value if isinstance(value, str) else _text(value)
    return _safe(cell) if isinstance(value, str | bytes) else _writable(cell)


def _safe(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return _writable(f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell)


def _writable(cell: str) -> str:
    return "".join(f"\\u{ord(c):04x}" if c == "\0" or "\ud800" <= c <= "\udfff" else c for c in cell)


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool() | list() | dict():
            return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))
        case bytes():
            return base64.b64encode(value).decode()
        case datetime():
            utc = value.astimezone(UTC)
            return f"{utc.year:04}-{utc:%m-%dT%H:%M:%S.%f}Z"
        case _:
            return repr(value)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    match value:
        case dict():
            return {name if isinstance(name, str) else _text(name): _plain(inner) for name, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
        case bytes() | datetime():
            return _text(value)
        case float() if not math.isfinite(value):
            return repr(value)
        case _:
            return value


class TestCsv(SinkConformance):
    """Every case, without a gap."""

    plugin = "csv"
    destination = CsvDestination
