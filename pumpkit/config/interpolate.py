"""Filling in `${NAME}`, `${NAME:-default}` and `${file:PATH}`: after parsing, on text alone, once.

So a value can break neither the YAML around it nor inject keys, and what was filled in is then coerced by its key's
type: `${PORT}` serves a whole number. `$${` writes `${` itself.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pumpkit.config.problems import Finding, Refused, join

MAX_FILE = 64 << 10  # bytes of one `${file:...}`

_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)


class Filled(str):
    """Text that was filled in. Messages show `source`, as the file has it: the text itself may be a secret."""

    __slots__ = ("source",)
    source: str

    def __new__(cls, text: str, source: str) -> "Filled":
        filled = super().__new__(cls, text)
        filled.source = source
        return filled


def fill(value: Any, folder: Path, environ: Mapping[str, str], path: str = "") -> tuple[Any, list[Finding]]:
    """Return a parsed value with every reference in it filled in, and what could not be. Keys stay as they are."""
    findings: list[Finding] = []

    def visit(value: Any, path: str) -> Any:
        if isinstance(value, dict):
            return {key: visit(child, join(path, key)) for key, child in value.items()}
        if isinstance(value, list):
            return [visit(child, join(path, index)) for index, child in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        try:
            return _fill_text(value, folder, environ)
        except Refused as error:
            findings.extend(error.under(path))
            return value

    return visit(value, path), findings


def _fill_text(text: str, folder: Path, environ: Mapping[str, str]) -> str:
    missing: list[str] = []
    references = 0

    def replace(match: re.Match[str]) -> str:
        nonlocal references
        if match[0] == "$${":
            return "${"
        references += 1
        try:
            if not match[2]:
                raise ValueError("has a `${` without its `}`; write `$${` for the characters themselves")
            return _look_up(match[1], folder, environ)
        except ValueError as error:
            missing.append(str(error))
            return ""

    filled = _REFERENCE.sub(replace, text)
    if missing:
        raise Refused(("", "; ".join(dict.fromkeys(missing))))
    return Filled(filled, text) if references else filled


def _look_up(reference: str, folder: Path, environ: Mapping[str, str]) -> str:
    if reference.startswith("file:"):
        return _read(folder / reference.removeprefix("file:"), reference)
    match = _NAME.fullmatch(reference)
    if match is None:
        raise ValueError(f"${{{reference}}} is none of ${{NAME}}, ${{NAME:-default}} and ${{file:PATH}}")
    name, default = match.groups()
    if default is not None:
        return environ.get(name) or default
    if name not in environ:
        raise ValueError(f"the environment variable {name} is not set; set it, or write ${{{name}:-default}}")
    return environ[name]


def _read(file: Path, reference: str) -> str:
    """Return a file's text without the line break at its end."""
    try:
        if not file.is_file():  # a pipe would block, a device never end
            raise ValueError(f"${{{reference}}}: there is no such file: {file}")
        with file.open("rb") as stream:
            data = stream.read(MAX_FILE + 1)
    except OSError as error:
        raise ValueError(f"${{{reference}}} cannot be read: {error.strerror}: {file}") from error
    if len(data) > MAX_FILE:
        raise ValueError(f"${{{reference}}} is larger than {MAX_FILE} bytes: {file}")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise ValueError(f"${{{reference}}} is not UTF-8 text: {file}") from None
    return text.removesuffix("\n").removesuffix("\r")
