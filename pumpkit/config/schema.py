"""What text without quotes stands for in YAML.

The rules are those of YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema), with numbers in decimal
only: `true` and `false` are booleans; `yes`, `0o17`, `0x1F`, `12:30` and `2024-01-01` are text; `010` is ten.
"""

import re

_NULL = ("", "null", "Null", "NULL", "~")
_TRUE = ("true", "True", "TRUE")
_FALSE = ("false", "False", "FALSE")
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def resolve(text: str) -> str | int | float | bool | None:
    """Return what a scalar without quotes stands for. Raises ValueError for numbers that no setting can have."""
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if _INT.fullmatch(text):
        if len(text) > 20 or not -(1 << 63) <= int(text) < 1 << 63:
            raise ValueError("is a number of more than 64 bits; quote it if it is text")
        return int(text)
    if _FLOAT.fullmatch(text):
        if (number := float(text)) in (float("inf"), float("-inf")):
            raise ValueError("is a number too large; quote it if it is text")
        return number
    if _NOT_FINITE.fullmatch(text):
        raise ValueError("must be a finite number; quote it if it is text")
    return text


def is_text(text: str) -> bool:
    """Return whether it stands for itself without quotes, as far as these rules go."""
    try:
        return resolve(text) == text
    except ValueError:
        return False
