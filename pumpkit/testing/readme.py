"""The examples in the README of a plugin's distribution."""

import re
import textwrap
from pathlib import Path

from pumpkit.config import Config, ConfigInvalid, Meta, PumpConfig
from pumpkit.config.load import load
from pumpkit.config.snapshot import restore, snapshot
from pumpkit.testing.case import Failed

#: A block of YAML, perhaps in a list: its indentation, and its text.
_BLOCK = re.compile(r"^([ \t]*)```ya?ml[^\n]*\n(.*?)^[ \t]*```[ \t]*$", re.M | re.S)

#: Where a configuration begins.
_PUMPS = re.compile(r"^pumps:", re.M)

#: A reference without a default: what it stands for is not here.
_REFERENCE = re.compile(r"(?<!\$)\$\{(?:file:[^}]*|[A-Za-z_][A-Za-z0-9_]*)\}")

#: What stands for it instead: text that a whole number may be too.
_INSTEAD = "${PUMPKIT_EXAMPLE:-1}"


def examples(readme: str, plugin: str, folder: Path) -> list[tuple[PumpConfig, Meta]]:
    """Return every pump of a plugin in the examples of a README. Raises Failed if one is no configuration.

    `folder` is where an example is put, as a file.
    """
    found = []
    for block in _BLOCK.finditer(readme):
        text = textwrap.dedent(block[2])
        if _PUMPS.search(text):
            line = readme.count("\n", 0, block.start()) + 1
            config = _load(text, folder, f"the example in line {line} of the README")
            found += [restore(snapshot(config, name)) for name, pump in config.pumps.items() if pump.type == plugin]
    return found


def _load(text: str, folder: Path, words: str) -> Config:
    file = folder / "pumpkit.yaml"
    file.write_text(_REFERENCE.sub(_INSTEAD, text), encoding="utf-8")
    try:
        return load(file)
    except ConfigInvalid as error:
        raise Failed(f"{words} is not valid: {error}") from error
