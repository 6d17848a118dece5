"""What is wrong in a configuration: every problem with file, line, key path and what to do."""

from collections.abc import Iterable, Sequence

import attrs

from pumpkit.errors import ConfigError


def printable(text: str) -> str:
    """Return text on one line: a line break, a control character or half a surrogate pair as its escape."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def join(path: str, key: str | int) -> str:
    """Return the key path of an entry of the mapping or list at `path`. Keys are spelled as the file spells them."""
    spelled = printable(str(key)) or '""'
    return f"{path}.{spelled}" if path else spelled


@attrs.frozen
class Where:
    """Where settings come from: the file's name and the line of every key path in it."""

    file: str = ""
    lines: dict[str, int] = attrs.field(factory=dict, repr=False)

    def line(self, path: str) -> int | None:
        """Return the line of a key path, or of the nearest parent that has one."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path.rpartition(".")[0]
        return None


@attrs.frozen
class Problem:
    """One thing that is wrong: `path` is the key path, `text` says what and what to do about it."""

    path: str
    text: str = attrs.field(converter=printable)
    file: str = ""
    line: int | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.path, self.text) if part)


class ConfigInvalid(ConfigError):
    """A configuration that cannot be used; `problems` holds everything that is wrong with it, not just the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(map(str, self.problems)))


#: A key path and what is wrong there, before file and line are known.
Finding = tuple[str, str]


class Refused(ValueError):
    """What is wrong with one value: findings whose paths start at that value (`""` is the value itself)."""

    def __init__(self, *findings: Finding) -> None:
        self.findings = findings
        super().__init__("; ".join(f"{path}: {text}" if path else text for path, text in findings))

    def under(self, path: str) -> list[Finding]:
        """Return the findings as seen from the value's parent, where it stands at `path`."""
        return [(f"{path}.{below}" if below and path else below or path, text) for below, text in self.findings]


def locate(findings: Iterable[Finding], where: Where) -> list[Problem]:
    """Return findings as problems, the first one of every key path, in the file's order."""
    first = dict(reversed(list(findings)))
    problems = [Problem(path, text, where.file, where.line(path)) for path, text in first.items()]
    return sorted(problems, key=lambda problem: (problem.line or 0, problem.path))
