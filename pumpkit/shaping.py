"""Which records a pump wants and how they look to its sink, compiled once from its configuration.

Order: filters, omit-detail, `fields` (by original names), rename, add.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pumpkit.config import Filters, PumpConfig
from pumpkit.hookspecs import Predicate, Record, Shorten

_MISSING = object()


def wanted(filters: Filters, more: Iterable[Predicate] = ()) -> Predicate | None:
    """Return a predicate over a record: the configuration's filters and every one of the plugin's. None: all."""
    tests = [_one_of(field, values) for field, values in filters.include.items()]
    tests += [_none_of(field, values) for field, values in filters.exclude.items()]
    tests += more
    if len(tests) < 2:
        return tests[0] if tests else None
    return lambda record: all(test(record) for test in tests)


def _one_of(field: str, values: Sequence[Any]) -> Predicate:
    holds = _membership(values)
    return lambda record: holds(record.get(field, _MISSING))


def _none_of(field: str, values: Sequence[Any]) -> Predicate:
    holds = _membership(values)
    return lambda record: not holds(record.get(field, _MISSING))


def _membership(values: Sequence[Any]) -> Callable[[Any], bool]:
    """Return a test for being one of the values; unlike `in`, true is not 1."""
    booleans = {value for value in values if isinstance(value, bool)}
    others = {value for value in values if not isinstance(value, bool)}

    def holds(value: Any) -> bool:
        try:
            return value in (booleans if isinstance(value, bool) else others)
        except TypeError:  # a list or a map: never equal to a scalar
            return False

    return holds


def shortener(config: PumpConfig, omit_detail: Shorten | None) -> Shorten | None:
    """Return how a record looks to the sink, or None if it stays as it is. `omit_detail` is the plugin's own way."""
    steps: list[Shorten] = []
    if config.omit_detailed_recording:
        steps.append(omit_detail or _blank(config.detail_fields))
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


def _only(fields: Sequence[str]) -> Shorten:
    return lambda record: {field: record[field] for field in fields if field in record}


def _renamed(names: dict[str, str]) -> Shorten:
    return lambda record: {names.get(field, field): value for field, value in record.items()}
