"""Which records a pump wants and how they look to its sink, compiled once from its configuration.

Order: filters, base64, omit-detail, the size of detail, `ignore-fields` and `fields` (by original names), rename, add.
"""

import base64
import contextlib
from collections.abc import Container, Iterable, Sequence
from typing import Any

from pumpkit.config import Filters, PumpConfig
from pumpkit.hookspecs import Predicate, Record, Shorten

_MISSING = object()


def wanted(filters: Filters, more: Iterable[Predicate] = ()) -> Predicate | None:
    """Return a predicate over a record: the configuration's filters and every one of the plugin's. None: all."""
    tests = [_passes(filters)] if filters.include or filters.exclude else []
    tests += more
    if len(tests) < 2:
        return tests[0] if tests else None
    return lambda record: all(test(record) for test in tests)


def _passes(filters: Filters) -> Predicate:
    """Return the configuration's part: one function for all fields, as it runs for every record."""
    include = [(field, _values(values)) for field, values in filters.include.items()]
    exclude = [(field, _values(values)) for field, values in filters.exclude.items()]

    def passes(record: Record) -> bool:
        try:
            for field, values in include:
                if record.get(field, _MISSING) not in values:
                    return False
            for field, values in exclude:
                if record.get(field, _MISSING) in values:
                    return False
        except TypeError:  # a list or a map, which equals no value of a filter: as good as missing
            return passes({field: value for field, value in record.items() if not isinstance(value, list | dict)})
        return True

    return passes


def _values(values: Sequence[Any]) -> Container[Any]:
    """Return values to look a field's up in; unlike in Python, true is not 1 and false is not 0."""
    if any(value in (0, 1) for value in values):
        return _Exactly(values)
    return frozenset(values)


class _Exactly:
    """A set that tells booleans from numbers."""

    def __init__(self, values: Iterable[Any]) -> None:
        self._values = frozenset((isinstance(value, bool), value) for value in values)

    def __contains__(self, value: object) -> bool:
        return (isinstance(value, bool), value) in self._values


def shortener(config: PumpConfig, omit_detail: Shorten | None) -> Shorten | None:
    """Return how a record looks to the sink, or None if it stays as it is. `omit_detail` is the plugin's own way."""
    steps: list[Shorten] = []
    if config.decode_base64:
        steps.append(_decoded(config.decode_base64))
    if config.omit_detailed_recording:
        steps.append(omit_detail or _blank(config.detail_fields))
    if config.max_detail_bytes is not None:
        steps.append(_cut(config.detail_fields, config.max_detail_bytes))
    if config.ignore_fields:
        steps.append(_without(frozenset(config.ignore_fields)))
    if config.fields is not None:
        steps.append(_only(config.fields))
    if config.rename_fields:
        steps.append(_renamed(config.rename_fields))
    if config.add_fields:
        added = dict(config.add_fields)
        steps.append(lambda record: record | added)
    if len(steps) < 2:
        return steps[0] if steps else None

    def shorten(record: Record) -> Record:
        for step in steps:
            record = step(record)
        return record

    return shorten


def _blank(fields: Sequence[str]) -> Shorten:
    def blank(record: Record) -> Record:
        for field in fields:
            if field in record:
                record[field] = ""
        return record

    return blank


def _decoded(fields: Sequence[str]) -> Shorten:
    def decoded(record: Record) -> Record:
        for field in fields:
            if isinstance(value := record.get(field), str | bytes):
                record[field] = _from_base64(value)
        return record

    return decoded


def _from_base64(value: str | bytes) -> str | bytes:
    """Return what a value encodes, as text if it is some; a value that is no base64 as it is."""
    try:
        data = base64.b64decode(value, validate=True)
    except ValueError:  # binascii.Error is one, and so is what text that is not ASCII gives
        return value
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _cut(fields: Sequence[str], size: int) -> Shorten:
    def cut(record: Record) -> Record:
        for field in fields:
            value = record.get(field)
            if isinstance(value, bytes):
                record[field] = value[:size]
            elif isinstance(value, str) and len(value) * 4 > size:
                data = value.encode("utf-8", "surrogatepass")
                if len(data) > size:
                    record[field] = _whole_characters(data[:size])
        return record

    return cut


def _whole_characters(data: bytes) -> str:
    """Return the text in the beginning of UTF-8 data, without a character that is cut."""
    for end in range(len(data), max(len(data) - 4, 0), -1):
        with contextlib.suppress(UnicodeDecodeError):
            return data[:end].decode("utf-8", "surrogatepass")
    return ""


def _without(fields: frozenset[str]) -> Shorten:
    return lambda record: {field: value for field, value in record.items() if field not in fields}


def _only(fields: Sequence[str]) -> Shorten:
    return lambda record: {field: record[field] for field in fields if field in record}


def _renamed(names: dict[str, str]) -> Shorten:
    def renamed(record: Record) -> Record:
        taken = {new for field, new in names.items() if field in record}
        return {
            names.get(field, field): value for field, value in record.items() if field in names or field not in taken
        }

    return renamed
