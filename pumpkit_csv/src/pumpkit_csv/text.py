"""How a value of a record reads in a cell, and what is done to text that a CSV file must not hold as it is.

| value | text |
|---|---|
| str | as it is |
| None | empty |
| bool | `true`, `false` |
| int | decimal |
| float | the shortest that reads back as the same number (`0.1`, `1e+16`), `nan`, `inf`, `-inf` |
| datetime | ISO 8601 in UTC with microseconds: `2026-11-25T17:00:00.000000Z`; as text it sorts by time |
| bytes | base64, standard alphabet, padded |
| list, map | JSON without spaces, not escaped to ASCII; inside it datetime and bytes as above, nan and inf as text |
"""

import base64
import datetime
import functools
import json
import math
import re
from collections.abc import Callable
from typing import Any

#: A spreadsheet takes text that begins so for a formula. Source: OWASP, "CSV Injection".
FORMULA_STARTS = frozenset("=+-@\t\r")

_UNWRITABLE = re.compile("[\0\ud800-\udfff]")

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


@functools.lru_cache(1_024)
def _second(days: int, seconds: int) -> str:
    """Return the second that is so long after the epoch. Times come in about their order, many in one second."""
    return (_EPOCH + datetime.timedelta(days, seconds)).replace(tzinfo=None).isoformat()


def _datetime(value: datetime.datetime) -> str:
    if value.tzinfo is datetime.UTC:  # as it comes from the log: less than half the time of isoformat()
        since = value - _EPOCH
        return f"{_second(since.days, since.seconds)}.{since.microseconds:06}Z"
    aware = value if value.tzinfo else value.replace(tzinfo=datetime.UTC)
    return aware.astimezone(datetime.UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _bytes(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _json(value: object) -> str:
    try:
        return _strict_json(value)
    except (TypeError, ValueError):  # keys of bytes, nan, inf
        return _strict_json(_plain(value))


def _strict_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=text)


def _plain(value: object) -> object:
    """Return what JSON can hold of a value; for the rare ones that it cannot hold as they are."""
    match value:
        case dict():
            return {text(name): _plain(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case float() if not math.isfinite(value):
            return repr(value)
    return value


#: How a value becomes text that needs neither quoting nor escaping.
PLAIN: dict[type, Callable[[Any], str]] = {
    type(None): lambda value: "",
    bool: lambda value: "true" if value else "false",
    int: int.__repr__,
    float: float.__repr__,
    datetime.datetime: _datetime,
}
_TEXTS: dict[type, Callable[[Any], str]] = PLAIN | {
    str: str,
    bytes: _bytes,
    list: _json,
    dict: _json,
    tuple: _json,  # a msgpack extension is a tuple (code, bytes)
}


def text(value: object) -> str:
    """Return the text of a value, by the table above. Raises TypeError for a type that is not in it."""
    convert = _TEXTS.get(type(value))
    if convert is None:
        convert = next((function for kind, function in _TEXTS.items() if isinstance(value, kind)), None)
    if convert is None:
        raise TypeError(f"a value of type {type(value).__qualname__} has no text")
    return convert(value)


def writable(line: str) -> str:
    r"""Return text without NUL and lone surrogates, which stand as `\u0000` and `\udcff` in it, like in JSON.

    UTF-8 cannot hold the one, and many readers of CSV stop at the other. A line with either is kept all the same:
    an audit line must not be lost to the bytes of a path.
    """
    return _UNWRITABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def encoded(lines: str) -> bytes:
    """Return text as UTF-8, made writable if need be."""
    if "\0" in lines:
        lines = writable(lines)
    try:
        return lines.encode()
    except UnicodeEncodeError:
        return writable(lines).encode()
