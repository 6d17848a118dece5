"""Reading YAML into settings, strictly: a wrong key or value is named by file, line and key path."""

from collections.abc import Iterator
from pathlib import Path

from pumpkit.config import ConfigInvalid, Meta, Problem, Where
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode


def read(file: Path) -> Meta:
    """Return a file's settings; `into(Class)` makes an attrs class of them, or of a part of them.

    Raises ConfigInvalid if the file cannot be read, is not YAML, or holds no mapping.
    """
    yaml = YAML(typ="safe", pure=True)  # YAML 1.2: only true and false are booleans
    try:
        text = file.read_text(encoding="utf-8")
        values = yaml.load(text)
        lines = dict(_lines(yaml.compose(text)))
    except OSError as error:
        raise ConfigInvalid([Problem("", f"cannot be read: {error.strerror}", str(file))]) from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigInvalid([_not_yaml(file, error)]) from None
    if not isinstance(values, dict):
        raise ConfigInvalid([Problem("", "must hold a mapping", str(file))])
    return Meta(values, Where(str(file), lines), "", file.parent.absolute())


def _lines(node: Node | None, path: str = "") -> Iterator[tuple[str, int]]:
    """Yield the line of every key path."""
    entries: list[tuple[object, Node, Node]] = []
    if isinstance(node, MappingNode):
        entries = [(name.value, name, value) for name, value in node.value]
    elif isinstance(node, SequenceNode):
        entries = [(index, value, value) for index, value in enumerate(node.value)]
    for name, begin, value in entries:
        below = f"{path}.{name}" if path else str(name)
        yield below, begin.start_mark.line + 1
        yield from _lines(value, below)


def _not_yaml(file: Path, error: Exception) -> Problem:
    """Say where a file stops being YAML, without quoting it."""
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    reason = error.problem if isinstance(error, MarkedYAMLError) else "not UTF-8 text"
    return Problem("", f"is not YAML: {reason}", str(file), mark.line + 1 if mark else None)
