"""Names of files: `{prefix}-{hour in UTC}-{number}.csv`, with `.part` behind it while the file grows."""

import re
from typing import NamedTuple

PUBLIC = ".csv"
GROWING = ".csv.part"

#: What a prefix may be: it becomes part of a file name.
PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

_NAME = re.compile(rf"({PREFIX.pattern}-(\d{{8}}T\d\d)-(\d{{6,18}}))({re.escape(PUBLIC)}|{re.escape(GROWING)})")


class Name(NamedTuple):
    """The parts of a file's name."""

    stem: str
    hour: str
    sequence: int
    growing: bool


def stem(prefix: str, hour: str, sequence: int) -> str:
    """Return the name of a file without its suffix; `hour` is like `20261125T17`."""
    return f"{prefix}-{hour}-{sequence:06}"


def parse(name: str) -> Name | None:
    """Take the name of a file apart; None for one that is not ours."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    return Name(found[1], found[2], int(found[3]), found[4] == GROWING)
