"""All ways, in the order of the page."""

from tests.ways import children, exits, forks, loops, subinterpreters

WAYS = [*exits.WAYS, *forks.WAYS, *children.WAYS, *loops.WAYS, *subinterpreters.WAYS]
