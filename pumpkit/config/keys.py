"""Declaring keys of the file on attrs classes, and reading those declarations back."""

import typing
from collections.abc import Callable
from typing import Any

import attrs

_NO_KEY = "pumpkit.no-key"
_ALIASES = "pumpkit.aliases"


def key(
    default: Any = attrs.NOTHING,
    *,
    about: str,
    factory: Callable[[], Any] | None = None,
    validator: Any = None,
    repr: bool = True,
    aliases: tuple[str, ...] = (),
) -> Any:
    """Declare one key of the file, in pumpkit.yaml or in a plugin's `meta`.

    Without `default` and `factory` the key is required. `about` is the sentence that the reference prints;
    `validator` is an attrs validator, whose ValueError is shown at the key; `repr=False` keeps the value out of the
    object's repr; `aliases` are other names that the key goes by, those of another program for one.

    A class may have `gone_keys: ClassVar[dict[str, str]]`: keys that it no longer has, and what to do instead.
    """
    metadata = {"about": about, _ALIASES: aliases}
    if factory is not None:
        return attrs.field(factory=factory, metadata=metadata, validator=validator, repr=repr, kw_only=True)
    return attrs.field(default=default, metadata=metadata, validator=validator, repr=repr, kw_only=True)


def no_key(factory: Callable[[], Any], *, repr: bool = True) -> Any:
    """Declare a field that no key of the file sets: whoever makes the object does."""
    return attrs.field(factory=factory, metadata={_NO_KEY: True}, repr=repr, kw_only=True)


@attrs.frozen
class Key:
    """One key of a class: `name` in kebab-case, the attribute behind it, and its type."""

    name: str
    attribute: "attrs.Attribute[Any]"
    type: Any

    @property
    def required(self) -> bool:
        """Whether the file must have it."""
        return self.attribute.default is attrs.NOTHING

    @property
    def argument(self) -> str:
        """The name of the argument of the class's `__init__`."""
        return self.attribute.alias or self.attribute.name

    @property
    def about(self) -> str:
        """The sentence that explains it, empty for an attribute declared without `key`."""
        return str(self.attribute.metadata.get("about", ""))

    @property
    def aliases(self) -> tuple[str, ...]:
        """Other names that it goes by."""
        return tuple(self.attribute.metadata.get(_ALIASES, ()))

    def default(self, instance: object = None) -> Any:
        """Return its default; `instance` is for a factory that takes one. Raises LookupError if it is required."""
        default: Any = self.attribute.default
        if default is attrs.NOTHING:
            raise LookupError(f"{self.name} has no default")
        if not hasattr(default, "takes_self"):
            return default
        return default.factory(instance) if default.takes_self else default.factory()


def keys(cls: type) -> dict[str, Key]:
    """Return the keys of an attrs class, by name. Raises TypeError for any other class."""
    if not attrs.has(cls):
        raise TypeError(f"{cls!r} is not an attrs class; settings are declared with @attrs.define or @attrs.frozen")
    try:
        hints = typing.get_type_hints(cls)
    except Exception as error:  # names known to the type checker alone, for one
        raise TypeError(f"the annotations of {cls.__name__} cannot be read: {error}") from error
    found = {}
    for attribute in attrs.fields(cls):
        if attribute.init and _NO_KEY not in attribute.metadata:
            name = attribute.name.strip("_").replace("_", "-")
            found[name] = Key(name, attribute, hints.get(attribute.name, attribute.type or Any))
    return found
