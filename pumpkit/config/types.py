"""The types of settings beyond Python's own, used in pumpkit.yaml and in a plugin's meta class."""

from typing import NewType

#: A duration in seconds, written as `10`, `0.2`, `200ms`, `10s`, `5m` or `1h`.
Seconds = NewType("Seconds", float)

#: A size in bytes, written as `4096`, `64KiB`, `4MiB` or `1GiB` (`kB`, `MB` and `GB` are powers of 1,000).
ByteSize = NewType("ByteSize", int)


class Secret:
    """Text that never shows: not in repr, logs, errors or status. `reveal()` gives it to the driver."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)
