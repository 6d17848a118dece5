"""What is wrong in a configuration: every problem with file, line, key path and what to do."""

from collections.abc import Sequence

import attrs

from pumpkit.errors import ConfigError


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
    text: str
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
