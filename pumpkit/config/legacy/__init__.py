"""Files of the Go originals, iam-pump and Tyk Pump, read unchanged: as what they mean in a pumpkit.yaml."""

from typing import Any

from pumpkit.config.legacy import iam, tyk
from pumpkit.config.legacy.detect import Dialect, dialect, unread_variables
from pumpkit.config.legacy.translation import Translation

__all__ = ["Translation", "dialect", "translate", "unread_variables"]


def translate(values: Any, lines: dict[str, int], whose: Dialect | None) -> Translation:
    """Return what a file means, whoever's it is; `lines` are those of every key path in it."""
    translation = Translation(lines)
    if whose is None:
        translation.values, translation.lines = values, lines
        return translation
    original = iam if whose == "iam" else tyk
    translation.note("", f"is read as a configuration of {original.PROGRAM}; `pumpkit config show` tells what it means")
    original.translate(values, translation)
    return translation
