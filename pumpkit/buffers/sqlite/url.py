"""The URL of an embedded buffer."""

import difflib
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl

from pumpkit.errors import BufferConfigError

_OPTIONS = ("force-network",)
_BOOLEANS = {"1": True, "true": True, "0": False, "false": False}


class Place(NamedTuple):
    """Where a buffer is; `force_network` allows a file system that is known not to keep its promises."""

    file: Path
    force_network: bool = False


def parse(url: str) -> Place:
    """Take a URL apart: three slashes for a path relative to the working directory, four for an absolute one.

    Slashes are as in SQLAlchemy, and nothing in the path is decoded or expanded. The one option is
    `?force-network=1`. Raises BufferConfigError.
    """
    rest = url.removeprefix("sqlite:")
    path, _, query = rest.removeprefix("///").partition("?")
    if not rest.startswith("///"):
        raise BufferConfigError(f"{url}: write sqlite:///FILE for a relative path, sqlite:////FILE for an absolute one")
    if path in ("", "/", ":memory:") or path.endswith("/"):
        raise BufferConfigError(f"{url}: it names no file")
    if "\0" in path:
        raise BufferConfigError(f"{url!r}: a path cannot hold a NUL")
    if path.startswith("~"):
        raise BufferConfigError(f"{url}: `~` is not expanded; write the whole path, or ./~ for a folder of that name")
    return Place(Path(path).absolute(), _force_network(url, query))


def _force_network(url: str, query: str) -> bool:
    forced = False
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in _OPTIONS:
            near = difflib.get_close_matches(name, _OPTIONS, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(_OPTIONS)}"
            raise BufferConfigError(f"{url}: unknown option {name!r}{hint}")
        if value not in _BOOLEANS:
            raise BufferConfigError(f"{url}: {name} must be 1 or 0, not {value!r}")
        forced = _BOOLEANS[value]
    return forced
