"""All ways, in the order of the page."""

from tests.ways import exits

WAYS = [*exits.WAYS]
