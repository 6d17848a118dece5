"""A configuration as a pumpkit.yaml that means the same: with references as the file has them."""

import contextlib
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from pumpkit.config.describe import value_text
from pumpkit.config.interpolate import Filled
from pumpkit.config.keys import Key, keys
from pumpkit.config.load import Loaded
from pumpkit.config.masking import Masks
from pumpkit.config.problems import printable
from pumpkit.config.types import ByteSize, Seconds, Secret, format_seconds, format_size, parse_seconds


def show(loaded: Loaded, *, effective: bool = False, masks: Masks | None = None) -> str:
    """Return YAML that loads, in the same folder, as the same configuration.

    Without `effective`, a key that has its default is left out unless the file sets it. `masks` puts variables in the
    place of secrets; they have to be set before the text loads.
    """
    config = loaded.config
    document = _mapping(config, loaded.values, effective)
    if masks is not None:
        document = masks.mask(document)
    lines = [
        f"# What {config.file} means, {'with every default' if effective else 'without what has its default'}.",
        f"# Relative paths start at the folder of this file: keep it in {config.folder}",
    ]
    if config.notes:
        lines += ["#", "# To be known of it:", *(f"#   {note}" for note in config.notes)]
    if masks is not None and masks.hidden:
        lines += ["#", "# Secrets are not shown. Set these variables, or write other references in their place:"]
        lines += [f"#   {name}: {where}" for name, where in masks.hidden.items()]
    return "\n".join([*map(printable, lines), "", *_block(document, "")]) + "\n"


def _mapping(owner: Any, raw: Any, effective: bool) -> dict[str, Any]:
    """Return the keys of an attrs object as the file would have them; `raw` is what it was made of."""
    written = _by_key(raw)
    found = {}
    for name, key in keys(type(owner)).items():
        value = getattr(owner, key.attribute.name)
        below = written.get(name)
        if attrs.has(type(value)):
            inner = _mapping(value, below, effective)
            if inner:
                found[name] = inner
        elif effective or name in written or key.required or value != key.default():
            found[name] = _value(value, below, key, effective)
    return found


def _by_key(raw: Any) -> dict[str, Any]:
    """Return what the file has of a mapping, by kebab-case keys. A buffer may be its URL alone."""
    if isinstance(raw, str):
        return {"url": raw}
    return {name.replace("_", "-"): value for name, value in raw.items()} if isinstance(raw, dict) else {}


def _value(value: Any, raw: Any, key: Key, effective: bool) -> Any:
    kinds = (key.type, *typing.get_args(key.type))
    if isinstance(value, dict) and any(attrs.has(kind) for kind in typing.get_args(key.type)):
        return {name: _mapping(one, raw.get(name), effective) for name, one in value.items()}
    if isinstance(raw, Filled):
        return raw.source
    if Seconds in kinds and isinstance(value, float | int) and value:
        with contextlib.suppress(ValueError):  # such as 1.0005e+06ms
            if parse_seconds(text := format_seconds(value)) == value:
                return text
        return value
    if ByteSize in kinds and isinstance(value, int):
        return format_size(value)
    return _plain(value, raw)


def _plain(value: Any, raw: Any) -> Any:
    """Return a plain value with text as a file has it: references, and `$${` for what is none."""
    source = value if isinstance(value, Filled) else raw
    if isinstance(source, Filled) and not isinstance(value, dict | list):
        return source.source
    if isinstance(value, dict):
        return {name: _plain(child, raw.get(name) if isinstance(raw, dict) else None) for name, child in value.items()}
    if isinstance(value, list):
        same = isinstance(raw, list) and len(raw) == len(value)
        return [_plain(child, raw[index] if same else None) for index, child in enumerate(value)]
    if isinstance(value, Secret):
        value = value.reveal()
    return value.replace("${", "$${") if isinstance(value, str) else value


def _block(values: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield f"{indent}{value_text(name)}:"
            yield from _block(value, indent + "  ")
        else:
            yield f"{indent}{value_text(name)}: {value_text(value)}"
