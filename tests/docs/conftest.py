"""The documentation as tests see it: its pages, and the fenced blocks in them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]


class Block(NamedTuple):
    """One fenced block: where it stands, its language, and its text."""

    page: str
    line: int
    language: str
    text: str


def pages() -> list[Path]:
    """Return every page: the README, and the site without the examples' own files."""
    site = (page for page in (ROOT / "docs").rglob("*.md") if "examples" not in page.parts)
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(site)]


def blocks() -> Iterator[Block]:
    """Yield every fenced block of a plain language (no directive)."""
    for page in pages():
        text = page.read_text()
        for found in re.finditer(r"^```([a-z]+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            line = text.count("\n", 0, found.start()) + 2
            yield Block(str(page.relative_to(ROOT)), line, found[1], found[2])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that asks for `LANGUAGE_block` every block of that language."""
    for name in metafunc.fixturenames:
        if name.endswith("_block"):
            some = [block for block in blocks() if block.language == name.removesuffix("_block")]
            metafunc.parametrize(name, some, ids=[f"{block.page}:{block.line}" for block in some])


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the checkout."""
    return ROOT
