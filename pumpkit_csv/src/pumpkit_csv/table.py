"""Records to lines: the columns of a file, compiled once.

Every cell is quoted, which costs a quarter of what the csv module takes to find out which cells need it, and reads
back the same.
"""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from pumpkit_csv.text import FORMULA_STARTS, encoded, text, writable

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
        #: The first line of a file, with its end.
        self.header = '"' + '","'.join(map(self._title, self._names())) + f'"{layout.newline}'
        self._known = frozenset(self.columns)
        #: Takes all values of a record at once; only where a table has two columns it gives a tuple.
        self._pick = operator.itemgetter(*self.columns) if len(self.columns) > 1 else None

    def with_columns(self, columns: tuple[str, ...]) -> "Table":
        """Return the table of these columns by the same settings; where those name the columns, it is this one."""
        return self if self.layout.fields or columns == self.columns else Table(self.layout, columns)

    def encode(self, records: Sequence[Mapping[str, Any]], ids: Sequence[str]) -> Encoded:
        """Return records as lines. Fields that are new make a wider table, unless the settings name the fields."""
        rows = self._same(records)
        if rows is not None:
            return Encoded(self, self._lines(rows, ids), {})
        table, rejected = self._widened(records)
        rows, kept = [], []
        for index, record in enumerate(records):
            if index in rejected:
                continue
            try:
                rows.append(table._row(map(record.get, table.columns)))
                kept.append(ids[index])
            except TypeError:
                rejected[index] = table._explain(record)
        return Encoded(table, table._lines(rows, kept), rejected)

    def _same(self, records: Sequence[Mapping[str, Any]]) -> list[str] | None:
        """Return the rows of records that have just these fields, which is how they mostly come; else None."""
        pick, width = self._pick, len(self.columns)
        if pick is None or any(len(record) != width for record in records):
            return None
        row = self._row
        try:
            return [row(pick(record)) for record in records]
        except (KeyError, TypeError):
            return None

    def _row(self, values: Iterable[Any]) -> str:
        """Return the cells of a row, without its outermost quotes. Raises TypeError for a value without text.

        All that may begin a formula sorts below "A", so most text is passed by one comparison.
        """
        risky = self._risky
        return '","'.join(
            [
                (value if value >= "A" or value[:1] not in risky else f"'{value}").replace('"', '""')
                if type(value) is str
                else self._cell(value)
                for value in values
            ]
        )

    def _cell(self, value: object) -> str:
        cell = text(value)
        if isinstance(value, str | bytes) and cell[:1] in self._risky:
            cell = f"'{cell}"
        return cell.replace('"', '""')

    def _lines(self, rows: list[str], ids: Sequence[str]) -> bytes:
        if not rows:
            return b""
        if self.layout.id_field:
            rows = [f'{id_}","{row}' for id_, row in zip(ids, rows, strict=True)]
        end = f'"{self.layout.newline}'
        return encoded('"' + f'{end}"'.join(rows) + end)

    def _names(self) -> tuple[str, ...]:
        return (self.layout.id_field, *self.columns) if self.layout.id_field else self.columns

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

    def _explain(self, record: Mapping[str, Any]) -> str:
        for name in self.columns:
            try:
                text(record.get(name))
            except TypeError as error:
                return f"field {name!r:.80}: {error}"
        return "a value has no text"


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
