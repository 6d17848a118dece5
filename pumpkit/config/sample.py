"""The commented configuration that `pumpkit config init` writes, made of the classes so that it cannot go stale."""

import textwrap
from collections.abc import Iterator
from typing import Any

from pumpkit.config.describe import default_text, inner_class, value_text
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
    return _HEAD + "\n" + "\n".join(_keys(Config, SETTINGS, "")).rstrip() + "\n"


def _keys(cls: type, settings: dict[str, Any], indent: str) -> Iterator[str]:
    for name, key in keys(cls).items():
        yield from _about(key, indent)
        yield from _key(key, settings.get(name), f"{indent}{'' if name in settings else '#'}{name}:", indent)
        if not indent:
            yield ""


def _key(key: Key, value: Any, start: str, indent: str) -> Iterator[str]:
    inner, within = inner_class(key.type)
    if inner is None or (value is None and within):
        yield f"{start} {default_text(key) if value is None else value_text(value)}"
    elif not within:
        yield start
        yield from _keys(inner, value or {}, indent + "  ")
    else:
        yield start
        for name, settings in value.items():
            yield f"{indent}  {name}:"
            yield from _keys(inner, settings, indent + "    ")


def _about(key: Key, indent: str) -> list[str]:
    return textwrap.wrap(key.about, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
