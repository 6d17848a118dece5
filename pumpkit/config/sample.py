"""The commented configuration that `pumpkit config init` writes, made of the classes so that it cannot go stale."""

import textwrap
from collections.abc import Iterator
from typing import Any

import attrs

from pumpkit.config.describe import default_text, mapping_of, value_text
from pumpkit.config.keys import Key, keys
from pumpkit.config.model import Config

WIDTH = 100

_HEAD = """\
# What pumpkit run delivers, and where to. `pumpkit check` reads this file and says what is wrong with it.
#
# Lines that start with "# " explain the key below them. Where a "#" stands right before a key, its default holds:
# take the "#" away to set it. Durations: 200ms, 10s, 5m, 1h. Sizes: 64KiB, 4MiB, 1GiB. ${NAME}, ${NAME:-default}
# and ${file:PATH} in a value are filled in from the environment and from files.
"""

#: What the sample sets; everything else stands in it as a comment.
SETTINGS: dict[str, Any] = {
    "health-check-address": "127.0.0.1:7070",
    "health-check-path": "healthz",
    "pumps": {
        "audit": {
            "type": "csv",
            "filters": {"exclude": {"username": ["healthcheck"]}},
            "timeout": "10s",
            "omit-detailed-recording": True,
            "meta": {"csv-dir": "./analytics-data"},
        }
    },
}


def sample() -> str:
    """Return a complete, working configuration with one CSV pump and every other key as a comment."""
    return _HEAD + "\n" + "\n".join(_keys(Config, SETTINGS, "")) + "\n"


def _keys(cls: type, settings: dict[str, Any], indent: str) -> Iterator[str]:
    for name, key in keys(cls).items():
        yield from _about(key, indent)
        value = settings.get(name)
        mark = "" if name in settings else "#"
        inner = mapping_of(key.type)
        if inner is not None and isinstance(value, dict):
            yield f"{indent}{name}:"
            for entry, below in value.items():
                yield f"{indent}  {entry}:"
                yield from _keys(inner, below, indent + "    ")
        elif attrs.has(key.type):
            yield f"{indent}{mark}{name}:"
            yield from _keys(key.type, value or {}, indent + "  ")
        else:
            yield f"{indent}{mark}{name}: {value_text(value) if name in settings else default_text(key)}"
        if not indent:
            yield ""


def _about(key: Key, indent: str) -> list[str]:
    return textwrap.wrap(key.about, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
