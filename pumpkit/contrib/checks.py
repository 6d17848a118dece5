"""What feeds check: their `reporter=`, when they are made, and values of an application's own."""

import inspect
from typing import Any

from pumpkit.errors import Unpackable
from pumpkit.reporter import Reporter
from pumpkit.values import MAX_DEPTH, MAX_RECORD, SCALARS, pack_record, unpack_record


def check_reporter(reporter: object, *methods: str) -> None:
    """Raise TypeError unless this can be a feed's reporter: None, a `Reporter`, or an object that has its methods.

    methods: names of the methods that are needed; `record` if none is named. They must not be asynchronous.
    """
    if reporter is None or isinstance(reporter, Reporter):
        return
    for name in methods or ("record",):
        method = getattr(reporter, name, None)
        if isinstance(reporter, type) or not callable(method) or inspect.iscoroutinefunction(method):
            raise TypeError(
                f"reporter={reporter!r:.200}: it must be a pumpkit.Reporter, or None for that of the process"
            )


def checked_value(name: object, value: Any, most: int = MAX_RECORD) -> Any:
    """Return the value of a field as a sink would get it: a copy, if it is anything that may change.

    most: bytes that it may take. Raises an exception of any kind if a reporter would not take a record with this field.
    """
    kind = type(value)
    if not isinstance(name, str):
        raise TypeError(f"the name of a field must be str, not {name!r:.200}")
    if kind is str or value is None or kind is bool or kind is float or (kind is int and -(1 << 63) <= value < 1 << 64):
        return value
    blob = pack_record({name: value})
    copy = unpack_record(blob)
    if len(blob) > most or not _fits(copy, MAX_DEPTH):
        raise Unpackable(f"field {name!r:.80} packs to {len(blob)} bytes, or has no form on the wire")
    return copy[name]


def _fits(value: Any, levels: int) -> bool:
    """Return whether a reporter takes a value that was read back: the packer alone lets a little more pass."""
    kind = type(value)
    if kind is dict:
        return levels > 0 and all(type(key) is str and _fits(inner, levels - 1) for key, inner in value.items())
    if kind is list:
        return levels > 0 and all(_fits(inner, levels - 1) for inner in value)
    return kind in SCALARS
