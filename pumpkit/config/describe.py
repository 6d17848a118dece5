"""Telling what keys a class has, in words: for the reference and `pumpkit plugins ls`."""

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
from pumpkit.config.model import Scalar
from pumpkit.config.scalars import either
from pumpkit.config.schema import is_text
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

#: Text that is the same without quotes, if it does not stand for something else.
_PLAIN = re.compile(r"[A-Za-z0-9_./]([A-Za-z0-9_./+-]|:(?=[A-Za-z0-9_./]))*")


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
    """Return every key of an attrs class, those of a class within after it. Raises TypeError for any other class."""
    return [_describe(path, key) for path, key in walk(cls)]


def walk(cls: type, path: str = "", above: tuple[type, ...] = ()) -> Iterator[tuple[str, Key]]:
    """Give every key of an attrs class with its path, as `describe` does. Raises TypeError for any other class."""
    for name, key in keys(cls).items():
        yield f"{path}{name}", key
        inner, within = inner_class(key.type)
        if inner is not None and inner not in (cls, *above):
            yield from walk(inner, f"{path}{name}{within}.", (cls, *above))


def _describe(path: str, key: Key) -> Setting:
    secret = Secret in (key.type, *typing.get_args(key.type))
    about = f"{key.about} Also called {', '.join(key.aliases)}." if key.aliases else key.about
    return Setting(path, type_text(key.type), default_text(key), about, key.required, secret)


def inner_class(kind: Any) -> tuple[type | None, str]:
    """Return the attrs class a type is or holds, if any, and what leads to it: `.NAME` in a dict, `.N` in a list."""
    if attrs.has(kind):
        return kind, ""
    here = {dict: ".NAME", list: ".N"}.get(typing.get_origin(kind), "")
    for argument in typing.get_args(kind):
        inner, within = inner_class(argument)
        if inner is not None:
            return inner, here + within
    return None, ""


def type_text(kind: Any) -> str:
    """Return what a key of this type takes, in words."""
    if kind in _NAMES:
        return _NAMES[kind]
    if kind == Scalar:
        return "single value"
    origin, arguments = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin is list:
        return f"list of {type_text(arguments[0])}" if arguments else "list"
    if origin is dict:
        return f"mapping of names to {type_text(arguments[1])}" if arguments else "mapping"
    if origin in (typing.Union, types.UnionType):
        return either(list(dict.fromkeys(map(type_text, arguments))))
    if origin is Literal:
        return either([value_text(choice) for choice in arguments])
    if isinstance(kind, type) and issubclass(kind, Enum):
        return either([value_text(member.value) for member in kind])
    return "mapping"


def default_text(key: Key) -> str:
    """Return a key's default as YAML on one line; nothing for a required key, a secret and a mapping of keys."""
    if key.required or attrs.has(key.type):
        return ""
    default = key.default()
    kinds = (key.type, *typing.get_args(key.type))
    if Secret in kinds or attrs.has(type(default)):
        return "" if default is not None else "null"
    if Seconds in kinds and isinstance(default, int | float):
        return format_seconds(default)
    if ByteSize in kinds and isinstance(default, int):
        return format_size(default)
    return value_text(default)


def value_text(value: Any) -> str:
    """Return a plain value as YAML on one line."""
    if isinstance(value, Enum):
        return value_text(value.value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{value_text(key)}: {value_text(child)}" for key, child in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(value_text, value)) + "]"
    if isinstance(value, bytes):
        return value_text(value.decode("utf-8", "backslashreplace"))
    if isinstance(value, str | Path):
        text = str(value)
        return (
            text if _PLAIN.fullmatch(text) and is_text(text) else json.dumps(text, ensure_ascii=not text.isprintable())
        )
    return json.dumps(value, default=str)
