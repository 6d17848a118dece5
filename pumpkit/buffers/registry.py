"""Finding a buffer by the scheme of its URL, through the entry-point group `pumpkit.buffers`."""

import difflib
import os
import re
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from pumpkit.buffers.base import Buffer, BufferModule
from pumpkit.errors import BufferConfigError

GROUP = "pumpkit.buffers"


def default_url() -> str:
    """Return `$PUMPKIT_BUFFER`, else a file in the XDG state directory: the same for applications and runner."""
    named = os.environ.get("PUMPKIT_BUFFER")
    if named:
        return named
    return f"sqlite:///{state_folder() / 'buffer.db'}"


def state_folder() -> Path:
    """Return pumpkit's folder in the XDG state directory."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state", "pumpkit").absolute()


def shown(url: str) -> str:
    """Return a URL as it may be logged: without user and password, those among its options too.

    A password that is not percent-encoded may hold an `@`, a `/` or a `?`: what could be part of one is left out.
    """
    scheme, _, rest = url.partition("://")
    if not rest.startswith("/"):  # else it begins with a path, which may have an `@`
        url = re.sub(r"^[^:]*://[^?]*(\?[^=]*)?@", f"{scheme}://***@", url)
    return re.sub(r"(?i)([?&][^=&]*(?:password|secret|token)=)[^&]*", r"\1***", url)


def find(url: str) -> EntryPoint:
    """Return the entry point of what serves a URL; nothing is loaded. Raises BufferConfigError if nobody does."""
    scheme, colon, _ = url.partition(":")
    known = {point.name: point for point in entry_points(group=GROUP)}
    if not colon or scheme not in known:
        near = difflib.get_close_matches(scheme, known, 1)
        hint = f"; did you mean {near[0]}:?" if near else ""
        raise BufferConfigError(f"no buffer serves {scheme + ':'!r} URLs, only {sorted(known)}{hint}")
    return known[scheme]


def driver(url: str) -> BufferModule:
    """Load what serves a URL. Raises BufferConfigError if nobody does."""
    module: BufferModule = find(url).load()
    return module


def open_buffer(url: str | None = None, *, create: bool = True) -> Buffer:
    """Open the buffer at `url`, by default at `default_url()`.

    Raises BufferConfigError for a URL nobody serves, BufferUnavailable if it does not exist and `create` is false.
    """
    url = url or default_url()
    return driver(url).open(url, create=create)
