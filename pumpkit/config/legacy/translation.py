"""Reading the file of a Go original by tables, and keeping what becomes of every key of it."""

import difflib
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from pumpkit.config import scalars
from pumpkit.config.interpolate import Filled
from pumpkit.config.problems import Finding, Refused, join


@attrs.frozen
class OldKey:
    """One key of an original's file, as its sample spells it; either spelling and any case is read.

    `becomes` says what it is here, for the reference. `read` judges a value, raising Refused. Where it is set to
    anything but null, nothing and the values in `idle`, `note` is said of it, and `refusal` makes that an error.
    """

    name: str
    becomes: str
    read: Callable[[Any], Any] = scalars.anything
    idle: tuple[Any, ...] = ()
    note: str = ""
    refusal: str = ""

    @property
    def plain(self) -> str:
        """The name in snake_case, by which items are found."""
        return _plain(self.name)


@attrs.frozen
class Item:
    """The value of a key as it was read, and `kept` with what was filled in; the key path in the file."""

    value: Any
    kept: Any
    path: str


class Translation:
    """What a file of an original means in our own terms, as far as it has been read."""

    def __init__(self, lines: dict[str, int]) -> None:
        self._their_lines = lines
        self._origins: dict[str, str] = {}  # our key path -> theirs
        #: What a pumpkit.yaml would hold.
        self.values: Any = {}
        #: The line of every one of our key paths, in their file.
        self.lines: dict[str, int] = {}
        #: What is read and cannot be honoured, and what is wrong; by their key paths.
        self.notes: list[Finding] = []
        self.findings: list[Finding] = []

    def put(self, ours: Sequence[str], value: Any, theirs: str) -> None:
        """Set one of our keys to a value, or to a whole mapping, that stands at `theirs` in their file."""
        holder, path = self.values, ""
        for key in ours[:-1]:
            path = join(path, key)
            holder = holder.setdefault(key, {})
            self.lines.setdefault(path, self._their_lines.get(theirs, 1))
        holder[ours[-1]] = value
        path = join(path, ours[-1])
        self._origins[path] = theirs
        whole = isinstance(value, dict | list)
        for at, line in self._their_lines.items():
            if at == theirs or (whole and at.startswith(f"{theirs}.")):
                self.lines[path + at.removeprefix(theirs)] = line

    def theirs(self, ours: str) -> str:
        """Return where in their file stands what is wrong at one of our key paths."""
        head = ours
        while head and head not in self._origins:
            head = head.rpartition(".")[0]
        return self._origins[head] + ours.removeprefix(head) if head else ours

    def note(self, path: str, text: str) -> None:
        """Say that something is not honoured, and what to do."""
        self.notes.append((path, text))

    def refuse(self, path: str, text: str) -> None:
        """Say that something is wrong, or cannot be done without."""
        self.findings.append((path, text))

    def read(self, values: Any, path: str, table: Sequence[OldKey]) -> dict[str, Item]:
        """Return the items of a mapping that the table knows, by their names in snake_case; null is no item."""
        known = {old.plain: old for old in table}
        items: dict[str, Item] = {}
        for spelling, raw in self.mapping(values, path).items():
            name, at = _plain(spelling), join(path, spelling)
            old = known.get(name)
            if old is None:
                self.note(at, _unknown(name, {plain: one.name for plain, one in known.items()}))
            elif name in items:
                self.refuse(at, f"stands here twice, also as {items[name].path.rpartition('.')[2]}; keep one of them")
            elif raw is not None and raw != "":
                self._judge(old, raw, at, items)
        return items

    def _judge(self, old: OldKey, raw: Any, at: str, items: dict[str, Item]) -> None:
        try:
            value = old.read(raw)
        except Refused as error:
            self.findings += error.under(at)
            return
        items[old.plain] = Item(value, raw if isinstance(raw, Filled) else value, at)
        if value in old.idle:
            return
        if old.refusal:
            self.refuse(at, old.refusal)
        elif old.note:
            self.note(at, old.note)

    def mapping(self, values: Any, path: str) -> dict[str, Any]:
        """Return a mapping; null is an empty one, and so is anything that is none, which is refused."""
        try:
            return scalars.mapping({} if values is None else values, lambda value: value)
        except Refused as error:
            self.findings += error.under(path)
            return {}


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


def _unknown(name: str, known: dict[str, str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return "unknown key, ignored as by the original; " + (f"did you mean {known[near[0]]}?" if near else "it may go")


def text(value: Any) -> str:
    """Text; a whole number is taken for its digits, as the originals do."""
    if isinstance(value, Filled):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else scalars.text(value)


def texts(value: Any) -> list[str]:
    """A list of texts, or one text with commas between."""
    if isinstance(value, str):
        value = [value] if "," not in value else [part.strip() for part in value.split(",")]
    return [item for item in scalars.sequence(value, text) if item]


def count(value: Any) -> int:
    """A whole number that is not negative."""
    found = scalars.whole(value)
    if found < 0:
        raise scalars.must_be("a whole number from 0", value)
    return found


def port(value: Any) -> int:
    """The number of a TCP port, or 0 for the default one."""
    found = count(value)
    if found > 65_535:
        raise scalars.must_be("a port up to 65535", value)
    return found


def mapping(value: Any) -> dict[str, Any]:
    """A mapping of anything."""
    return scalars.mapping(value, scalars.anything)


def one_of(*words: str) -> Callable[[Any], str]:
    """Return a reader of one of these words, in any case."""

    def read(value: Any) -> str:
        word = text(value).lower()
        if word not in words:
            raise scalars.must_be(scalars.either(list(words)), value)
        return word

    return read
