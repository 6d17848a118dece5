"""The page docs/reference/processes.md: its tables are written by the tests, and checked by them."""

import fcntl
import re
from pathlib import Path

from tests.ways.way import Outcome, Way

PAGE = Path(__file__).parents[2] / "docs/reference/processes.md"

_BEGIN = "<!-- Written by `pytest tests/ways --write-ways`, from what the tests measure. -->\n"
_END = "<!-- End of what is written. -->\n"
_HEAD = "| way | what happens | arrive | twice | deadlock | buffer away | loss is told |\n" + 7 * "|---" + "|\n"


def row(way: Way, outcome: Outcome) -> str:
    """Return the line of a way, as it has to stand in the page."""
    happens = f"{way.happens}. **To do:** {way.do}" if way.do else way.happens
    return f"| {' | '.join([way.name, happens, *outcome])} |"


def rows() -> dict[str, str]:
    """Return the lines that stand in the page, by the name of their way."""
    lines = re.findall(r"^\| .*\|$", _parts()[1], re.MULTILINE)
    return {name(line): line for line in lines if name(line) != "way"}


def name(line: str) -> str:
    """Return the first cell of a line."""
    return line.split(" | ")[0].removeprefix("| ")


def write(ways: list[Way], way: Way, outcome: Outcome) -> None:
    """Write the row of a way, and leave out what is no way's."""
    with PAGE.open("r+") as page:
        fcntl.flock(page, fcntl.LOCK_EX)  # tests run beside each other
        known = {**rows(), way.name: row(way, outcome)}
        text = ""
        for group in dict.fromkeys(way.group for way in ways):
            lines = [known[one.name] for one in ways if one.group == group and one.name in known]
            if lines:
                text += f"\n## {group}\n\n{_HEAD}" + "".join(f"{line}\n" for line in lines)
        before, _, after = _parts()
        page.write(before + _BEGIN + text + "\n" + _END + after)
        page.truncate()


def _parts() -> tuple[str, str, str]:
    before, _, rest = PAGE.read_text().partition(_BEGIN)
    inside, _, after = rest.partition(_END)
    return before, inside, after
