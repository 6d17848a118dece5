"""The URL of a list that a Go pump drains.

    redis-list://[USER:PASSWORD@]HOST[:PORT][/DB]?dialect=iam     rediss-list:// over TLS
    redis-list+sentinel://...   redis-list+cluster://...          as redis+sentinel:// and redis+cluster://

Beside the options below it takes those of a `redis://` URL that say how to connect.
"""

import difflib
from typing import NamedTuple
from urllib.parse import unquote

from pumpkit.buffers.redis import url as redis_url
from pumpkit.buffers.redis.url import Place
from pumpkit.dialects import DEFAULT_KEYS, SPREAD_SUFFIXES, Dialect
from pumpkit.errors import BufferConfigError

#: Every scheme with the one that it connects by.
SCHEMES = {
    "redis-list": "redis",
    "rediss-list": "rediss",
    "redis-list+sentinel": "redis+sentinel",
    "redis-list+cluster": "redis+cluster",
}

#: Every option of a list, with what it says.
OPTIONS = {
    "dialect": "iam or tyk: whose pump drains the list, and so how records are written",
    "key": "the list; by default the one that the Go program fills",
    "suffix": "0 to 9: one of the ten lists of a Tyk Gateway that uses several",
}

#: Options of a `redis://` URL that mean nothing here.
_USELESS = ("name", "shards")


class ListPlace(NamedTuple):
    """Where a list is, and who reads it."""

    place: Place
    dialect: Dialect
    key: str


def parse(url: str) -> ListPlace:
    """Take a URL apart. Raises BufferConfigError, whose text shows neither user nor password."""
    scheme, _, rest = url.partition("://")
    if scheme not in SCHEMES:
        raise BufferConfigError(f"not the URL of a list in Redis: write {' or '.join(f'{one}://' for one in SCHEMES)}")
    location, _, query = rest.partition("?")
    own: dict[str, str] = {}
    others = []
    for pair in query.split("&") if query else []:
        name, _, value = pair.partition("=")
        if name in OPTIONS:
            if name in own:
                raise BufferConfigError(f"{scheme}: the option {name} is given twice")
            own[name] = unquote(value)
        else:
            _check_name(scheme, name)
            others.append(pair)
    dialect = _dialect(scheme, own)
    key = _key(scheme, dialect, own)
    place = redis_url.parse(f"{SCHEMES[scheme]}://{location}{'?' if others else ''}{'&'.join(others)}")
    return ListPlace(place._replace(name=key), dialect, key)


def _check_name(scheme: str, name: str) -> None:
    known = [*OPTIONS, *(option for option in redis_url.OPTIONS if option not in _USELESS)]
    if name.replace("_", "-") not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(known)}"
        raise BufferConfigError(f"{scheme}: unknown option {name!r}{hint}")


def _dialect(scheme: str, own: dict[str, str]) -> Dialect:
    said = own.get("dialect", "")
    for dialect in DEFAULT_KEYS:
        if said == dialect:
            return dialect
    wrong = f"dialect must be iam or tyk, not {said!r}" if said else "add dialect=iam or dialect=tyk"
    raise BufferConfigError(f"{scheme}: {wrong}: {OPTIONS['dialect']}")


def _key(scheme: str, dialect: Dialect, own: dict[str, str]) -> str:
    key = own.get("key", DEFAULT_KEYS[dialect])
    if not key or not key.isprintable() or set(key) & set("{}"):
        raise BufferConfigError(f"{scheme}: key must be the name of a list, without braces, not {key!r}")
    if "suffix" not in own:
        return key
    suffix = "_" + own["suffix"]
    if dialect != "tyk" or suffix not in SPREAD_SUFFIXES:
        raise BufferConfigError(f"{scheme}: suffix must be from 0 to 9, for the dialect tyk, not {own['suffix']!r}")
    return key + suffix
