"""Fixtures of the tests of feeds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contrib.authz_book import Book


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    """Return an empty book of decisions."""
    made = Book(tmp_path)
    yield made
    made.reporter.close()
