"""A look at the lists that Go programs fill, and at whether their own pump drains them."""

from collections.abc import Sequence
from contextlib import closing
from typing import NamedTuple

from pumpkit.buffers.redis import url as urls
from pumpkit.buffers.redis.link import Link

#: The lock that an iam-pump holds while it drains, always in database 0; it lasts ten minutes after a crash.
_LOCK = "iam-pump"


class ListState(NamedTuple):
    """A key: `kind` is the type that the server says, `none` if there is nothing; `length` is a list's.

    `expires` is in how many seconds the server deletes it, None for never.
    """

    key: str
    kind: str
    length: int
    expires: float | None


def look_at_lists(url: str, keys: Sequence[str]) -> list[ListState]:
    """Return what is under each of these keys. Raises BufferUnavailable, BufferConfigError."""
    found = []
    with closing(Link(urls.parse(url))) as link:
        for key in keys:
            kind = link.command("TYPE", key).decode()
            length = int(link.command("LLEN", key)) if kind == "list" else 0
            found.append(ListState(key, kind, length, _seconds(link.command("PTTL", key))))
    return found


def go_pump_lock(url: str) -> float | None:
    """Return for how many seconds an iam-pump's lock is good, None without one. Raises as `look_at_lists`."""
    with closing(Link(urls.parse(url)._replace(db=0))) as link:
        return _seconds(link.command("PTTL", _LOCK))


def _seconds(milliseconds: int) -> float | None:
    """Return an answer of PTTL, which is negative where nothing expires, in seconds."""
    return milliseconds / 1000 if milliseconds >= 0 else None
