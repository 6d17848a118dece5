"""What the msgpack dialects share: strict unpacking of one map, and the errors of both directions."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgpack

from pumpkit.errors import BadItem, Unpackable


def _refuse(code: int, data: bytes) -> None:
    raise ValueError(f"extension type {code}")


#: How every string of Go's is read and written: as bytes that are mostly UTF-8.
_TEXT = "surrogateescape"

_unpackb = msgpack.unpackb


def unpack_map(item: bytes, read: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """Return what `read` makes of the one map that an item is. Raises BadItem for anything else."""
    try:
        try:
            fields = _unpackb(item, timestamp=3, unicode_errors=_TEXT, ext_hook=_refuse)
        except OverflowError:  # a time outside a datetime's range
            fields = _unpackb(item, timestamp=0, unicode_errors=_TEXT, ext_hook=_refuse)
        if type(fields) is dict:
            return read(fields)
        raise TypeError(f"must be a map, not {type(fields).__name__}")
    except Exception as error:  # msgpack raises many kinds
        raise BadItem(f"{type(error).__name__}: {error}"[:500]) from None


def packer() -> Any:
    """Return a packer of Go's strings."""
    return msgpack.Packer(unicode_errors=_TEXT)


@contextmanager
def writing() -> Iterator[None]:
    """Raise Unpackable for whatever goes wrong while a record is written."""
    try:
        yield
    except Exception as error:
        raise Unpackable(f"no record of this dialect: {type(error).__name__}: {error}") from error
