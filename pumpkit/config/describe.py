"""Telling what keys a class has, in words: for the reference, `pumpkit plugins ls` and the sample configuration."""

import json
import re
import types
import typing
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import attrs

from pumpkit.config.keys import Key, keys
from pumpkit.config.types import ByteSize, Seconds, Secret, format_seconds, format_size

_NAMES = {
    Any: "anything",
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    bytes: "text",
    Path: "path",
    Secret: "secret text",
    Seconds: "duration",
    ByteSize: "size",
    type(None): "null",
}


@attrs.frozen
class Setting:
    """One key in words. `key` is its path (`log.level`, `pumps.NAME.type`); `default` is as the file would have it."""

    key: str
    type: str
    default: str
    about: str
    required: bool
    secret: bool


def describe(cls: type) -> list[Setting]:
    """Return every key of an attrs class, each mapping's own keys after it. Raises TypeError for any other class."""
    return list(_describe(cls, ""))


def _describe(cls: type, path: str) -> Iterator[Setting]:
    for name, key in keys(cls).items():
        below = f"{path}{name}"
        secret = Secret in (key.type, *typing.get_args(key.type))
        yield Setting(below, type_text(key.type), default_text(key), key.about, key.required, secret)
        if attrs.has(key.type):
            yield from _describe(key.type, f"{below}.")
        elif (inner := mapping_of(key.type)) is not None:
            yield from _describe(inner, f"{below}.NAME.")


def mapping_of(kind: Any) -> type | None:
    """Return the attrs class that a mapping of names has for values, if it is such a mapping."""
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is dict and attrs.has(arguments[1]):
        inner: type = arguments[1]
        return inner
    return None


def type_text(kind: Any) -> str:
    """Return what a key of this type takes, in words."""
    if kind in _NAMES:
        return _NAMES[kind]
    origin, arguments = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin is list:
        return f"list of {type_text(arguments[0])}" if arguments else "list"
    if origin is dict:
        return f"mapping of names to {type_text(arguments[1])}" if arguments else "mapping"
    if origin in (typing.Union, types.UnionType):
        return _either([type_text(member) for member in arguments])
    if origin is Literal:
        return _either([value_text(choice) for choice in arguments])
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _either([value_text(member.value) for member in kind])
    return "mapping"


def _either(words: list[str]) -> str:
    words = list(dict.fromkeys(words))
    return " or ".join((", ".join(words[:-1]), words[-1])) if words[1:] else words[0]


def default_text(key: Key) -> str:
    """Return a key's default as YAML on one line; nothing for a required key, a secret and a mapping of keys."""
    if key.required or attrs.has(key.type):
        return ""
    default = key.default()
    kinds = (key.type, *typing.get_args(key.type))
    if default is None or Secret not in kinds:
        if default is not None and Seconds in kinds:
            return format_seconds(default)
        if default is not None and ByteSize in kinds:
            return format_size(default)
        return value_text(default)
    return ""


def value_text(value: Any) -> str:
    """Return a plain value as YAML on one line."""
    if isinstance(value, Enum):
        return value_text(value.value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{value_text(key)}: {value_text(child)}" for key, child in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(value_text, value)) + "]"
    if isinstance(value, str | Path):
        text = str(value)
        plain = re.fullmatch(r"[A-Za-z./][A-Za-z0-9_./:-]*[A-Za-z0-9_./-]|[A-Za-z.]", text)
        reserved = text.lower() in ("true", "false", "null", ".inf", ".nan") or ": " in text
        return text if plain and not reserved else json.dumps(text, ensure_ascii=False)
    return json.dumps(value)
