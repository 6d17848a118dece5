"""Reading YAML: plain values and the line of every key, from the parser's events.

What a settings file does not need is refused: aliases, tags, keys that are no text, a second document.
"""

import re
from collections.abc import Iterator
from typing import Any

import attrs
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from pumpkit.config.problems import Finding, join
from pumpkit.config.schema import resolve

MAX_SIZE = 1 << 20  # bytes of a file
MAX_DEPTH = 32  # levels of mappings and lists


class Unreadable(Exception):
    """Text that is not YAML, or more than a settings file needs; `line` is None where it is not known."""

    def __init__(self, text: str, line: int | None = None) -> None:
        super().__init__(text)
        self.line = line


@attrs.frozen
class Document:
    """A file's values, the line of every key path, and what is wrong with single keys and values."""

    values: Any
    lines: dict[str, int]
    findings: list[Finding]


def parse(data: bytes) -> Document:
    """Return the one YAML document in `data`. Raises Unreadable."""
    builder = _Builder(_events(_decode(data)))
    try:
        values = builder.document()
    except MarkedYAMLError as error:
        # Never the error's own text as a whole: it quotes the line, which may hold a secret.
        mark = error.problem_mark or error.context_mark
        reason = "; ".join(str(part) for part in (error.problem, error.context) if part)
        raise Unreadable(f"is not YAML: {reason}", mark.line + 1 if mark else None) from None
    return Document(values, builder.lines, builder.findings)


def _decode(data: bytes) -> str:
    if len(data) > MAX_SIZE:
        raise Unreadable(f"is larger than {MAX_SIZE} bytes")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Unreadable("is UTF-16; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable("is not UTF-8 text; save it as UTF-8", data.count(b"\n", 0, error.start) + 1) from None
    for match in re.finditer(r"[^\t\n\r\x20-\x7e\x85\xa0-\ufffd\U00010000-\U0010ffff]", text):
        raise Unreadable(
            f"has the character U+{ord(match[0]):04X}, which YAML does not allow; escape it in double quotes",
            text.count("\n", 0, match.start()) + 1,
        )
    return text


def _events(text: str) -> Iterator[Event]:
    line = 1
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            line = _line(event)
            yield event
    except MarkedYAMLError:
        raise
    except Exception as error:  # on some input the parser stumbles, over an escape such as \UFFFFFFFF for one
        raise Unreadable(f"is not YAML, at or below this line: {type(error).__name__}", line) from error


class _Builder:
    """Builds values of events."""

    def __init__(self, events: Iterator[Event]) -> None:
        self.events = events
        self.lines: dict[str, int] = {}
        self.findings: list[Finding] = []

    def document(self) -> Any:
        documents = 0
        values = None
        for event in self.events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise Unreadable("has a second document after `---`; a settings file is one", _line(event))
            elif isinstance(event, NodeEvent):
                values = self._value(event, "", 0)
        return values

    def _value(self, event: Event, path: str, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise Unreadable(f"nests deeper than {MAX_DEPTH} levels", _line(event))
        if isinstance(event, AliasEvent):
            raise Unreadable(f"has the alias *{event.anchor}; aliases are not read, write the value out", _line(event))
        if getattr(event, "ctag", None) is not None:
            raise Unreadable("has a tag (`!...`); tags are not read, quote text instead", _line(event))
        if isinstance(event, MappingStartEvent):
            return self._mapping(path, depth)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(path, depth)
        assert isinstance(event, ScalarEvent)
        return self._scalar(event, path)

    def _mapping(self, path: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := next(self.events), MappingEndEvent):
            event = self._key(event)
            key, line = _paired(event.value), _line(event)
            below = join(path, key)
            if key in found:
                first = self.lines[below]
                self.findings.append((below, f"stands twice in this mapping, in lines {first} and {line}; keep one"))
                self._skip()
                continue
            self.lines[below] = line
            if not isinstance(self._scalar(event, below), str):
                self.findings.append((below, "is a key, and keys are text; quote it"))
            found[key] = self._value(next(self.events), below, depth + 1)
        return found

    def _key(self, event: Event) -> ScalarEvent:
        if not isinstance(event, ScalarEvent) or event.ctag is not None:
            raise Unreadable("has a key that is a list, a mapping, an alias or tagged; keys are text", _line(event))
        return event

    def _skip(self) -> None:
        depth = 0
        while True:
            event = next(self.events)
            depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
            if not depth:
                return

    def _sequence(self, path: str, depth: int) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := next(self.events), SequenceEndEvent):
            below = join(path, len(found))
            self.lines[below] = _line(event)
            found.append(self._value(event, below, depth + 1))
        return found

    def _scalar(self, event: ScalarEvent, path: str) -> Any:
        text = _paired(event.value)
        try:
            text.encode()
            return text if event.style else resolve(text)
        except UnicodeEncodeError:
            self.findings.append((path, "has half a surrogate pair, which is no character; write the whole pair"))
        except ValueError as error:
            self.findings.append((path, str(error)))
        return None


def _paired(text: str) -> str:
    """Return text with the two halves of a character, which JSON writes as two escapes, made one."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _line(event: Event) -> int:
    return int(event.start_mark.line) + 1
