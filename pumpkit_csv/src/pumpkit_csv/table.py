"""Records to lines, column by column.

Every cell is quoted. That reads back the same as quoting only where it is needed, which is what the csv module spends
most of its time to find out.
"""

import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import attrs

from pumpkit_csv.text import FORMULA_STARTS, PLAIN, encoded, text, writable

#: The most columns of a file. Data with more of them has keys where its values should be.
MAX_COLUMNS = 1_000


@attrs.frozen
class Layout:
    """What the settings say of a file: see the keys of the same names in `pumpkit_csv.sink`."""

    fields: tuple[str, ...] = ()
    id_field: str = ""
    escape_formulas: bool = True
    newline: str = "\n"


@attrs.frozen
class Encoded:
    """Records as lines of a table that has all their fields.

    `rejected` maps an index of the records to the reason why it has no line.
    """

    table: "Table"
    lines: bytes
    rejected: dict[int, str]


class Table:
    """The columns of a file, with the settings they are written by."""

    def __init__(self, layout: Layout, columns: Sequence[str]) -> None:
        self.layout = layout
        #: Names of fields, in order; the id column is not among them.
        self.columns = layout.fields or tuple(columns)
        self._risky = FORMULA_STARTS if layout.escape_formulas else frozenset()
        self._end = f'"{layout.newline}'
        names = (layout.id_field, *self.columns) if layout.id_field else self.columns
        #: The first line of a file, with its end.
        self.header = '"' + '","'.join(map(self._title, names)) + self._end
        self._known = frozenset(self.columns)

    def with_columns(self, columns: tuple[str, ...]) -> "Table":
        """Return the table of these columns by the same settings; where those name the columns, it is this one."""
        return self if self.layout.fields or columns == self.columns else Table(self.layout, columns)

    def encode(self, records: Sequence[Mapping[str, Any]], ids: Sequence[str]) -> Encoded:
        """Return records as lines. Fields that are new make a wider table, unless the settings name the fields."""
        values = self._values(records)
        if values:
            with contextlib.suppress(TypeError):  # a value without text; below it is found
                return Encoded(self, self._lines(values, ids), {})
        table, rejected = self._widened(records)
        try:
            lines = table._lines_but(rejected, records, ids)
        except TypeError:
            rejected = table._without_text(records) | rejected
            lines = table._lines_but(rejected, records, ids)
        return Encoded(table, lines, rejected)

    def _values(self, records: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
        """Return, by column, the values of records that have just these fields, as they mostly do; else nothing."""
        if set(map(len, records)) != {len(self.columns)}:
            return []
        try:
            return [[record[field] for record in records] for field in self.columns]
        except KeyError:
            return []

    def _lines(self, values: list[list[Any]], ids: Sequence[str]) -> bytes:
        """Return the lines of values given by column. Raises TypeError for a value without text."""
        if not ids:
            return b""
        cells = [self._column(column) for column in values]
        if self.layout.id_field:
            cells.insert(0, self._column(list(ids)))
        rows = map('","'.join, zip(*cells, strict=True))
        lines = f'{self._end}"'.join(rows)
        return encoded(f'"{lines}{self._end}')

    def _lines_but(self, rejected: Collection[int], records: Sequence[Mapping[str, Any]], ids: Sequence[str]) -> bytes:
        """Return the lines of records of any fields. Raises TypeError for a value without text."""
        kept = [index for index in range(len(records)) if index not in rejected]
        values = [[records[index].get(field) for index in kept] for field in self.columns]
        return self._lines(values, [ids[index] for index in kept])

    def _column(self, values: list[Any]) -> Sequence[str]:
        """Return the cells of a column, without their outermost quotes."""
        try:
            together = "".join(values)
        except TypeError:  # not all of it is text
            plain, cell = PLAIN, self._cell
            kinds = set(map(type, values))
            if len(kinds) == 1:
                return list(map(plain.get(kinds.pop(), cell), values))
            return [plain.get(type(value), cell)(value) for value in values]
        risky = self._risky
        if min(values) < "A":  # all that may begin a formula sorts below it
            values = [f"'{value}" if value[:1] in risky else value for value in values]
        return [value.replace('"', '""') for value in values] if '"' in together else values

    def _cell(self, value: object) -> str:
        cell = text(value)
        if isinstance(value, str | bytes) and cell[:1] in self._risky:
            cell = f"'{cell}"
        return cell.replace('"', '""')

    def _title(self, name: str) -> str:
        """Return the cell of a column's name."""
        return writable(self._cell(name))

    def _widened(self, records: Sequence[Mapping[str, Any]]) -> tuple["Table", dict[int, str]]:
        """Return a table with the fields of these records too, and the reasons against those that it cannot take."""
        if self.layout.fields:
            return self, {}
        wider = _Columns(self._title, self.layout.id_field, self.columns)
        rejected = {}
        for index, record in enumerate(records):
            if not self._known.issuperset(record):
                reason = wider.admit(record)
                if reason:
                    rejected[index] = reason
        columns = tuple(wider.fields)
        if not columns:
            nothing = dict.fromkeys(range(len(records)), "the record has no field, and no record before it had one")
            return self, nothing | rejected
        return (self if len(columns) == len(self.columns) else Table(self.layout, columns)), rejected

    def _without_text(self, records: Sequence[Mapping[str, Any]]) -> dict[int, str]:
        """Return the reasons against records with a value that has no text."""
        rejected = {}
        for index, record in enumerate(records):
            for field in self.columns:
                try:
                    text(record.get(field))
                except TypeError as error:
                    rejected[index] = f"field {field!r:.80}: {error}"
        return rejected


class _Columns:
    """Columns that grow by the fields of records, each with a title of its own."""

    def __init__(self, title: Callable[[str], str], id_field: str, fields: Iterable[str]) -> None:
        self._title = title
        self.fields = dict.fromkeys(fields)
        self._taken: dict[str, str | None] = {title(field): field for field in self.fields}
        if id_field:
            self._taken[title(id_field)] = None  # no field of a record

    def admit(self, record: Mapping[str, Any]) -> str | None:
        """Add the new fields of a record, all or none; return why none."""
        new: dict[str, str | None] = {}
        for field in record:
            if type(field) is not str:
                return f"the name of a field must be text, not {field!r:.80}"
            title = self._title(field)
            if self._taken.get(title, field) != field or title in new:
                return f"field {field!r:.80} needs the title of another column, {title!r:.80}: see `rename-fields`"
            if field not in self.fields:
                new[title] = field
        if len(self.fields) + len(new) > MAX_COLUMNS:
            return f"with its new fields the file would have more than {MAX_COLUMNS} columns: see `fields`"
        self._taken |= new
        self.fields |= dict.fromkeys(field for field in record if field not in self.fields)
        return None
