"""What holds between and beyond types: bounds, addresses, settings that contradict each other.

Each is an attrs validator of one attribute; `owner` is the object it belongs to.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pumpkit.config.problems import Refused, join
from pumpkit.config.types import split_address

if TYPE_CHECKING:
    import attrs

    Attribute = attrs.Attribute[Any]

Rule = Callable[[Any, "Attribute", Any], None]

#: Schemes of lists, which only reporters write to.
_LISTS = ("redis-list", "rediss-list", "redis-list+sentinel", "redis-list+cluster")

#: What the URLs of buffers in Redis begin with.
_REDIS = ("redis:", "rediss:", "redis+sentinel:", "redis+cluster:", "redis+unix:", "unix:")

#: What the health endpoint serves beside the path that can be chosen.
_TAKEN_PATHS = ("livez", "readyz", "metrics", "status.json")


def between(low: int, high: int, show: Callable[[int], str] = str) -> Rule:
    """A number has bounds, both included; None passes. `show` writes a number for the message."""

    def rule(owner: Any, attribute: "Attribute", value: int | None) -> None:
        if value is not None and not low <= value <= high:
            raise ValueError(f"must be from {show(low)} to {show(high)}, not {show(value)}")

    return rule


def address(owner: Any, attribute: "Attribute", value: str | None) -> None:
    """`host:port`, or None."""
    if value is not None:
        split_address(value)


def url_path(owner: Any, attribute: "Attribute", value: str) -> None:
    """A path of the health endpoint, none of those it serves anyway."""
    path = value.strip("/")
    if not re.fullmatch(r"[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*", path):
        raise ValueError("must be a path of letters, digits, `-`, `.`, `_`, `~` and `/`, such as healthz")
    if path in _TAKEN_PATHS:
        raise ValueError(f"must be another path: {', '.join(_TAKEN_PATHS)} are served anyway")


def is_redis(url: str) -> bool:
    """Whether a buffer's URL names one in Redis."""
    return url.startswith(_REDIS)


def buffer_url(owner: Any, attribute: "Attribute", value: str | None) -> None:
    """A URL; no message shows it, for it may hold a password."""
    if value is None:
        return
    scheme, _, rest = value.partition(":")
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme) or not rest.startswith("//"):
        raise ValueError("must be a URL such as sqlite:///buffer.db")
    if scheme in _LISTS:
        raise ValueError(
            "is a list that another program drains, for reporters only; name a buffer here, and the list among `inputs`"
            " if pumpkit is to drain it"
        )
    if is_redis(value):
        from pumpkit.buffers.redis import url as redis_url
        from pumpkit.errors import BufferConfigError

        try:
            redis_url.parse(value)
        except BufferConfigError as error:
            raise ValueError(str(error)) from None
    if scheme != "sqlite":
        return
    if not rest.startswith("///"):
        raise ValueError(
            "needs three slashes before a relative path and four before an absolute one: sqlite:///buffer.db"
        )
    if not rest.strip("/") or rest.endswith("/") or "\0" in rest:
        raise ValueError("names no file; write it as in sqlite:///buffer.db")
    if rest.startswith("///~"):
        raise ValueError("`~` is not expanded here, write sqlite:///${HOME}/buffer.db")


def shards(owner: Any, attribute: "Attribute", value: int | None) -> None:
    """A number of streams, which only a buffer in Redis has; None passes. The URL does not say another one."""
    if value is None:
        return
    between(1, 64)(owner, attribute, value)
    if owner.url is None or not is_redis(owner.url):
        raise ValueError("is for a buffer in Redis: name one by `url: redis://HOST`, or remove `shards`")
    said = re.search(r"[?&]shards=(\d+)", owner.url)
    if said and int(said[1]) != value:
        raise ValueError(f"says {value}, and the URL says shards={said[1]}; write it once")


def slot_name(owner: Any, attribute: "Attribute", value: str | None) -> None:
    """A short name, or None."""
    if value is not None and not re.fullmatch(r"[a-zA-Z0-9._-]{1,63}", value):
        raise ValueError("must be 1 to 63 letters, digits, `.`, `_` or `-`, such as the name of this machine")


def some_field(owner: Any, attribute: "Attribute", value: list[str] | None) -> None:
    """The list of the only fields is not empty."""
    if value == []:
        raise ValueError("names no field, so records would be empty; remove it to keep all of them")


def one_name_each(owner: Any, attribute: "Attribute", value: dict[str, str]) -> None:
    """No two fields end up under one name, and only fields that are kept get a new one."""
    findings = []
    kept: list[str] | None = owner.fields
    ignored: list[str] = owner.ignore_fields
    taken: dict[str, str] = {field: field for field in kept or () if field not in value}
    for field, new in value.items():
        if field in ignored:
            findings.append((join("", field), "is in `ignore-fields`, so it is never there to be renamed; keep one"))
        elif kept is not None and field not in kept:
            findings.append((join("", field), "is not in `fields`, so it is never there to be renamed; add it there"))
        elif new in taken:
            findings.append((join("", field), f"becomes {new}, as does {taken[new]}; give it another name"))
        elif not new:
            findings.append((join("", field), "becomes a field without a name; write one"))
        taken[new] = field
    if findings:
        raise Refused(*findings)
