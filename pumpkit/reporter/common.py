"""Fields that all records of a process have in common: sent once with each frame, not with each record."""

import os
import socket
from collections.abc import Callable, Mapping
from typing import Any

import msgpack

from pumpkit.errors import Unpackable
from pumpkit.frames import MAX_COMMON
from pumpkit.reporter.log_lines import log
from pumpkit.values import SCALARS, RecordPacker, as_map

#: The fields themselves, or what returns them: it is called before the first frame of a reporter in each process.
Common = Mapping[str, Any] | Callable[[], Mapping[str, Any]]

#: Bytes that they may take in the header of a frame; the rest of it is left to drops.
MAX_COMMON_BYTES = 60 << 10


def process_fields() -> dict[str, Any]:
    """Return `host` and `pid` of this process, for `common`: `Reporter(common=process_fields)`."""
    return {"host": socket.gethostname(), "pid": os.getpid()}


def checked(common: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields as they are read back from the wire. Raises ValueError for what cannot be common."""
    try:
        fields = as_map(common)
    except Unpackable as error:
        raise ValueError(f"common={common!r:.200}: {error}") from error
    if not all(isinstance(name, str) for name in fields):
        raise ValueError(f"common={common!r:.200}: it must be a mapping with str keys")
    packed = RecordPacker(MAX_COMMON_BYTES).pack([fields])
    if packed.rejected:
        raise ValueError(f"common={common!r:.200}: {packed.rejected[0]}")
    decoded: dict[str, Any] = msgpack.unpackb(packed.runs[0][0], timestamp=3, unicode_errors="surrogatepass")
    if len(decoded) > MAX_COMMON or not all(type(value) in SCALARS for value in decoded.values()):
        wanted = f"a mapping of up to {MAX_COMMON} fields to values that are no lists and no maps"
        raise ValueError(f"common={common!r:.200}: it must be {wanted}")
    return decoded


def of_process(common: Common | None) -> Mapping[str, Any] | None:
    """Return the common fields of this process, which were checked; what a callable returns is checked here."""
    if common is None or isinstance(common, Mapping):
        return common
    try:
        return checked(common())
    except (Exception, SystemExit) as error:  # from code of the application; it must not end the thread
        log.error("no common fields are sent, because making them failed: %s: %s", type(error).__name__, error)
        return None
