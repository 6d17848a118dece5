"""Every way in which a Python process starts and ends: what becomes of its records is what the docs say.

`pytest tests/ways --write-ways` writes what is measured into docs/reference/processes.md.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.programs import Program
from tests.ways import table
from tests.ways.every import WAYS
from tests.ways.way import Way, can_run, measure


@pytest.fixture
def make_program(tmp_path: Path) -> Iterator[Callable[[str], Program]]:
    """Return a maker of programs, each with a folder and a buffer of its own."""
    made: list[Program] = []

    def make(name: str) -> Program:
        folder = tmp_path / name
        folder.mkdir()
        made.append(Program(folder))
        return made[-1]

    yield make
    for program in made:
        program.stop()


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.id)
def test_the_docs_say_what_happens(
    way: Way, make_program: Callable[[str], Program], request: pytest.FixtureRequest
) -> None:
    """What is measured of a way is its row in the page."""
    if not can_run(way):
        pytest.skip(f"needs Python {'.'.join(map(str, way.python))}")
    outcome = measure(way, make_program)
    if request.config.getoption("--write-ways"):
        table.write(WAYS, way, outcome)
    assert table.row(way, outcome) == table.rows().get(way.name)


def test_every_row_has_a_test(request: pytest.FixtureRequest) -> None:
    """The page has a row for each way, in this order, and no other."""
    if request.config.getoption("--write-ways"):
        pytest.skip("the page is being written")
    assert list(table.rows()) == [way.name for way in WAYS]
