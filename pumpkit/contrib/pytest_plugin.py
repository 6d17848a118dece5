"""A pytest plugin with one fixture, `captured_records`. Loaded by every pytest run where pumpkit is installed.

So it imports nothing of the reporter before a test asks for the fixture. `-p no:pumpkit` leaves it out.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pumpkit import CapturedRecords


@pytest.fixture
def captured_records() -> Iterator["CapturedRecords"]:
    """The records of this test, as a sink would get them; nothing is sent. See `pumpkit.captured`.

    A record that cannot be packed is an error at the end of the test, unless the test takes it out of `rejected`.
    """
    from pumpkit import captured

    try:
        with captured() as records:
            yield records
    except AssertionError as error:
        rejected = str(error)
    else:
        return
    pytest.fail(rejected, pytrace=False)
