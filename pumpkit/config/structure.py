"""Making attrs classes of parsed settings, strictly and with every problem at once.

cattrs finds the hook of a type; the hooks are ours. A hook refuses a value by `Refused`, and whatever holds the value
gathers the refusals of all its parts under their keys.
"""

import contextlib
import difflib
import re
import types
import typing
from collections.abc import Callable, Iterator
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import attrs
from cattrs import Converter

from pumpkit.config import scalars
from pumpkit.config.interpolate import Filled
from pumpkit.config.keys import Key, keys
from pumpkit.config.problems import ConfigInvalid, Finding, Refused, Where, join, locate
from pumpkit.config.types import ByteSize, Seconds, Secret

T = TypeVar("T")
Hook = Callable[[Any, Any], Any]


def structure(values: Any, cls: type[T], where: Where, path: str, base: Path) -> T:
    """Return `values` as an attrs class; relative paths in it start at `base`.

    Raises ConfigInvalid with every problem, TypeError if the class itself cannot hold settings.
    """
    keys(cls)  # any other class would be taken for a value
    try:
        made: T = converter(base).structure(values, cls)
    except Refused as error:
        raise ConfigInvalid(locate(error.under(path), where)) from None
    return made


def converter(base: Path) -> Converter:
    """Return a converter that knows the types of settings and refuses, as a fault of the class, every other."""
    made = Converter(detailed_validation=False)
    made.register_structure_hook_factory(lambda cls: True, _unsupported)
    made.register_structure_hook_func(lambda cls: cls is Any, lambda value, _: scalars.anything(value))
    simple: dict[Any, Callable[[Any], Any]] = {
        bool: scalars.boolean,
        int: scalars.whole,
        float: scalars.number,
        str: scalars.text,
        bytes: scalars.octets,
        Path: partial(scalars.path, base=base),
        Secret: scalars.secret,
    }
    for cls, read in simple.items():
        made.register_structure_hook(cls, _exactly(cls, read))
    made.register_structure_hook(Enum, lambda value, cls: _choose(value, _members(cls)))
    made.register_structure_hook(Seconds, lambda value, _: scalars.duration(value))
    made.register_structure_hook(ByteSize, lambda value, _: scalars.size(value))
    for fits, factory in (
        (_is(list), _list_hook),
        (_is(dict), _dict_hook),
        (_is(typing.Union, types.UnionType), _union_hook),
        (_is(typing.Literal), _literal_hook),
        (attrs.has, attrs_hook),
    ):
        made.register_structure_hook_factory(fits, factory)
    return made


def _is(*origins: Any) -> Callable[[Any], bool]:
    return lambda cls: (typing.get_origin(cls) or cls) in origins


def _exactly(cls: type, read: Callable[[Any], Any]) -> Hook:
    """Return the hook of a class, which cattrs asks for subclasses too: an enum of text, say."""

    def hook(value: Any, wanted: Any) -> Any:
        if wanted is cls:
            return read(value)
        if issubclass(wanted, Enum):
            return _choose(value, _members(wanted))
        return _unsupported(wanted)

    return hook


def _unsupported(cls: Any, _: Converter | None = None) -> typing.NoReturn:
    name = cls.__name__ if isinstance(cls, type) else str(cls)
    raise TypeError(
        f"settings cannot have the type {name}; they can be bool, int, float, str, bytes, Path, Secret, Seconds,"
        " ByteSize, Any, Literal, enums, attrs classes, and lists, dicts and unions of these"
    )


def _list_hook(cls: Any, converter: Converter) -> Hook:
    (item,) = typing.get_args(cls) or (Any,)
    return lambda value, _: scalars.sequence(value, lambda child: converter.structure(child, item))


def _dict_hook(cls: Any, converter: Converter) -> Hook:
    key, item = typing.get_args(cls) or (str, Any)
    if key is not str:
        _unsupported(cls)
    return lambda value, _: scalars.mapping(value, lambda child: converter.structure(child, item))


def _union_hook(cls: Any, converter: Converter) -> Hook:
    members = typing.get_args(cls)

    def hook(value: Any, _: Any) -> Any:
        if value is None and type(None) in members:
            return None
        kind = str if isinstance(value, str) else type(value)
        rest = [member for member in members if (typing.get_origin(member) or member) is kind]
        findings: dict[str, str] = {}
        for member in rest or (member for member in members if member is not type(None)):
            try:
                return converter.structure(value, member)
            except Refused as error:
                for path, text in error.findings:
                    findings[path] = f"{findings[path]}; or {text}" if path in findings else text
        raise Refused(*findings.items())

    return hook


def _literal_hook(cls: Any, _: Converter) -> Hook:
    choices = [(choice.value if isinstance(choice, Enum) else choice, choice) for choice in typing.get_args(cls)]
    return lambda value, _: _choose(value, choices)


def _members(cls: type[Enum]) -> list[tuple[Any, Enum]]:
    return [(member.value, member) for member in cls]


def _choose(value: Any, choices: list[tuple[Any, Any]]) -> Any:
    """Return what belongs to the choice that a value is; a whole number may be in decimal digits."""
    for choice, made in choices:
        digits = isinstance(choice, int) and str(choice) == value
        if (choice == value or digits) and isinstance(choice, bool) == isinstance(value, bool):
            return made
    shown = [choice if isinstance(choice, str) else scalars.show(choice) for choice, _ in choices]
    raise scalars.must_be(scalars.either(shown), value)


def attrs_hook(cls: type, converter: Converter, advice: str = "") -> Hook:
    """Return the hook of an attrs class: kebab-case or snake_case keys, no unknown ones, validators at their keys.

    `advice` is given for a key unlike any that is known.
    """
    known = keys(cls)
    gone = {_kebab(name): advice for name, advice in getattr(cls, "gone_keys", {}).items()}
    advice = advice or f"known here are: {', '.join(known) or 'none'}"

    def unknown(name: str) -> str:
        if name in gone:
            return f"is gone: {gone[name]}"
        near = difflib.get_close_matches(name.lower(), known, 1)
        return f"unknown key; did you mean {near[0]}?" if near else f"unknown key; {advice}"

    return lambda values, _: _Maker(cls, known, unknown, converter).make(values)


def _kebab(spelling: str) -> str:
    """Return the name of a key in snake_case; one that has hyphens is a name already."""
    return spelling if "-" in spelling else spelling.replace("_", "-")


class _Maker:
    """Makes one object of one mapping, gathering findings."""

    def __init__(self, cls: Any, known: dict[str, Key], unknown: Callable[[str], str], converter: Converter) -> None:
        self.cls, self.known, self.unknown, self.converter = cls, known, unknown, converter
        self.aliases = {_kebab(alias): name for name, key in known.items() for alias in key.aliases}
        self.findings: list[Finding] = []
        self.filled: list[Filled] = []

    def make(self, values: Any) -> Any:
        raw = self._sorted_out(scalars.mapping(values, lambda value: value))
        self.filled = list(_filled(values))
        made = {}
        for name, (spelling, value) in raw.items():
            try:
                made[name] = self.converter.structure(value, self.known[name].type)
            except Refused as error:
                self.findings += error.under(join("", spelling))
        self._require(raw)
        self._validate({name: join("", spelling) for name, (spelling, _) in raw.items()}, made)
        if not self.findings:
            try:
                return self.cls(**{self.known[name].argument: value for name, value in made.items()})
            except Exception as error:
                self._refuse("", error)
        raise Refused(*self.findings)

    def _sorted_out(self, values: dict[str, Any]) -> dict[str, tuple[str, Any]]:
        """Return name -> (spelling in the file, value), with findings for unknown and doubled keys."""
        raw: dict[str, tuple[str, Any]] = {}
        for spelling, value in values.items():
            name, path = _kebab(spelling), join("", spelling)
            name = self.aliases.get(name, name)
            if name not in self.known:
                self.findings.append((path, self.unknown(name)))
            elif name in raw:
                self.findings.append((path, f"stands here twice, also as {raw[name][0]}; keep one of them"))
            else:
                raw[name] = spelling, value
        return raw

    def _require(self, raw: dict[str, Any]) -> None:
        for name, key in self.known.items():
            if key.required and name not in raw:
                self.findings.append((name, "is missing" + (f": {key.about}" if key.about else "; add it")))

    def _validate(self, paths: dict[str, str], made: dict[str, Any]) -> None:
        """Run every validator, where attrs would stop at the first that fails, on an object of what is known so far.

        A validator or a default may look at other attributes; if one of these is missing for a finding of its own,
        there is nothing to say yet. Attributes with a converter are left to the class.
        """
        probe = self.cls.__new__(self.cls)
        there = {}
        for name, key in self.known.items():
            with contextlib.suppress(Exception):
                there[name] = made[name] if name in paths else key.default(probe)
                object.__setattr__(probe, key.attribute.name, there[name])
        for name, key in self.known.items():
            if name not in there or not key.attribute.validator or key.attribute.converter:
                continue
            try:
                key.attribute.validator(probe, key.attribute, there[name])
            except Exception as error:
                if not (self.findings and isinstance(error, AttributeError)):
                    self._refuse(paths.get(name, name), error, key.attribute.name)

    def _refuse(self, path: str, error: Exception, attribute: str = "") -> None:
        """Add a finding in the words of the class, without what was filled in: that may be a secret."""
        if isinstance(error, Refused):
            self.findings += error.under(path)
            return
        text = next((arg for arg in error.args if isinstance(arg, str)), "")
        text = text.removeprefix(f"'{attribute}' ")  # how the validators of attrs begin
        if not text or not isinstance(error, ValueError | TypeError):
            text = f"{type(error).__name__}: {text}".removesuffix(": ")
        for value in self.filled:
            text = _hide(value, text)
        self.findings.append((path, text))


def _filled(value: Any) -> Iterator[Filled]:
    if isinstance(value, Filled) and value:
        yield value
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        yield from _filled(child)


def _hide(value: Filled, text: str) -> str:
    """Return text with a value's source in place of the value, and `***` in place of each of its words."""
    words = "|".join(map(re.escape, [value, *re.findall(r"\w+", value)]))
    return re.sub(rf"(?<!\w)({words})(?!\w)", lambda found: value.source if found[0] == value else "***", text)
