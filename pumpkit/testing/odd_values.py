"""Values that a record may hold and few authors think of, and how values are compared with what was read back."""

import math
from datetime import UTC, datetime
from typing import Any

from pumpkit.hookspecs import Record


def _nested(depth: int) -> Any:
    value: Any = "deep"
    for _ in range(depth):
        value = [value]
    return value


#: What one record of its batch holds, by what is said of it. A field keeps its type, where a destination has types.
ODD_VALUES: dict[str, Record] = {
    "an empty text": {"text": ""},
    "text of many scripts": {"text": "na\u00efve \u65e5\u672c \u05e9\u05dc\u05d5\u05dd \U0001f389 e\u0301"},
    "text with NUL": {"text": "a\0b"},
    "text with line ends, quotes and separators": {"text": "a\r\nb\nc\td,e;\"f\" 'g' \\h\u2028\u2029"},
    "text that looks like a formula": {"text": "=1+1"},
    "text with a lone surrogate": {"text": "caf\udce9"},
    "a text of 100 kB": {"text": "long " * 20_000},
    "an integer over 53 bits": {"integer": 2**53 + 1},
    "the largest signed integer": {"integer": 2**63 - 1},
    "the smallest signed integer": {"integer": -(2**63)},
    "the largest unsigned integer": {"integer": 2**64 - 1},
    "a float of 17 digits": {"float": 0.30000000000000004},
    "the smallest float": {"float": 5e-324},
    "the largest float": {"float": 1.7976931348623157e308},
    "nan": {"float": math.nan},
    "an infinity": {"float": -math.inf},
    "true": {"flag": True},
    "none": {"nothing": None},
    "a time with microseconds": {"moment": datetime(2026, 2, 28, 23, 59, 59, 999_999, UTC)},
    "a time long ago": {"moment": datetime(1, 1, 1, tzinfo=UTC)},
    "a time far ahead": {"moment": datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)},
    "bytes that are no text": {"blob": bytes(range(256))},
    "an empty list": {"list": []},
    "a list of many types": {"mixed": [1, "one", None, True, 1.5, {"one": [1]}]},
    "a map of a map": {"map": {"inner": {"\u00e9": None, "empty": {}}}},
    "lists in lists, 60 deep": {"deep": _nested(60)},
    "a name of bytes in a map": {"bytewise": {b"\xff": 1}},
    "an empty name": {"": "unnamed"},
    "a name with a dot": {"dotted.name": 1},
    "a name that begins with a dollar sign": {"$set": 1},
    "a name with NUL": {"a\0b": 1},
    "a name of text that is no ASCII": {"gr\u00f6\u00dfe": 1},
    "a name that many keep for themselves": {"_id": "the record's own"},
}


def same(one: Any, other: Any) -> bool:
    """Return whether two values are the same: nan is itself, and True is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def difference(sent: Record, found: Record) -> str:
    """Return how what was read back differs from what was to be there, "" if it does not."""
    for name in [*sent, *(name for name in found if name not in sent)]:
        if name not in found:
            return f"field {name!r:.80} is missing"
        if name not in sent:
            return f"field {name!r:.80} is there, and was not sent"
        if not same(sent[name], found[name]):
            return f"field {name!r:.80} is {found[name]!r:.80}, and was to be {sent[name]!r:.80}"
    return ""
