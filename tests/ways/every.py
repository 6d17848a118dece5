"""All ways, in the order of the page."""

from tests.ways import children, exits

WAYS = [*exits.WAYS, *children.WAYS]
