"""The matrix of ways in which processes start and end: what a way is, and how what becomes of its records is judged.

To add rows, write a module with a list `WAYS` beside this one, name it in `every.py`, and run
`pytest tests/ways --write-ways`. A way's programs record with `recording.py`, which notes what they recorded, so that
`Stage.judge` knows what to expect; an `ending()`, of the program or of the stage, begins the time that the exit takes.
"""

import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import apsw

from pumpkit.buffers import open_buffer
from tests.programs import Program

#: Seconds that a process may take to end; one that needs longer is locked up.
LIMIT = 60.0

#: Seconds of `exit_timeout`: while the buffer works, and while it is away.
EXIT_TIMEOUT = 30.0
EXIT_TIMEOUT_AWAY = 0.5

#: Seconds that an exit may take beyond `exit_timeout`: a slow machine, never a wait without end.
SLACK = 15.0

#: Conditions of the buffer under which nobody can write to it.
AWAY = ("away", "refusing", "nowhere", "hanging")

#: Cells of the table.
ALL = "all"
WAITED = "not what waited"
NONE = "none"
IN_TIME = "in time"
NOT_ASKED = "–"


class Outcome(NamedTuple):
    """What was measured of a way, as the cells of its row."""

    arrive: str
    twice: str
    deadlock: str
    away: str  # how it ends while the buffer is away
    told: str  # who knows of the records that are lost


class Way(NamedTuple):
    """A way in which processes start and end.

    id: name of the test.
    group: heading of the table that its row is in.
    name, happens, do: what its row begins with, in Markdown; `do` only where something has to be done.
    run: does it once, on a stage, and returns when all of its processes have ended. It may skip (`missing()`).
    conditions: of the buffer, each of which it is run under: "fine", "away" (locked by somebody else),
        "refusing" (a Redis that is not there), "nowhere" (a file in a folder that cannot be made), "hanging" (an append
        does not return), "slow" (an append takes 0.3 s).
    python: the first version of Python that has it.
    """

    id: str
    group: str
    name: str
    happens: str
    run: "Callable[[Stage], None]"
    do: str = ""
    conditions: tuple[str, ...] = ("fine", "away")
    python: tuple[int, int] = (3, 11)


class Stage:
    """One run of a way, under one condition of the buffer."""

    def __init__(self, program: Program, condition: str, cleanup: ExitStack) -> None:
        self.program = program
        self.condition = condition
        #: What has to be called when the stage has been judged.
        self.cleanup = cleanup
        self.away = condition in AWAY
        self.exit_timeout = EXIT_TIMEOUT_AWAY if self.away else EXIT_TIMEOUT
        self.locked_up = False
        self.errors: list[str] = []
        self._file = program.folder / "recorded"
        self._file.touch()
        self._longest_exit = 0.0
        (program.folder / "recording.py").write_text(Path(__file__).with_name("recording.py").read_text())
        program.environment |= {
            "WAY_CONDITION": condition,
            "WAY_EXIT_TIMEOUT": str(self.exit_timeout),
            "WAY_FILE": str(self._file),
        }

    # For ways ---------------------------------------------------------------------------------------------------

    def run(self, code: str, *arguments: str, status: int = 0) -> str:
        """Run a program, which may import `recording`, to its end; return what it printed."""
        return self.end(self.program.start(code, *arguments), status)

    def run_until_signalled(self, number: signal.Signals, code: str, status: int) -> None:
        """Run a program that prints "ready" and waits for a signal; send it that, and wait for its end."""
        process = self.program.start(code)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        self.ending()
        process.send_signal(number)
        self.end(process, status)

    def end(self, process: "subprocess.Popen[str]", status: int = 0) -> str:
        """Wait for a process that the stage's program started; return what it printed to stdout."""
        try:
            out, err = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            self.locked_up = True
            self.program.stop()
            return ""
        now = time.monotonic()
        assert process.returncode == status, (process.returncode, out, err)
        began = self._lines("ending")
        if began:
            self._longest_exit = max(self._longest_exit, now - max(float(began) for (began,) in began))
        self.errors.append(err)
        return out

    def ending(self) -> None:
        """Note that the end begins now, where the test begins it, with a signal say."""
        with self._file.open("a") as file:
            file.write(f"ending {time.monotonic()}\n")

    # What came of it --------------------------------------------------------------------------------------------

    def judge(self) -> Outcome:
        """Return what became of the records that the program said it had recorded."""
        recorded: set[tuple[str, int]] = set()
        risked: set[tuple[str, int]] = set()
        for by, number, kind in self._lines("recorded"):
            records = {(by, n) for n in range(int(number))}
            assert not records & recorded, f"{by!r} was recorded twice: the way is wrong"
            recorded |= records
            if kind == "risked":
                risked |= records
        assert recorded, "nothing was recorded: the way is wrong"
        arrived = Counter((record["by"], record["n"]) for record in self.program.records())
        missing = recorded - set(arrived)
        twice = [record for record, times in arrived.items() if times > 1]
        assert set(arrived) <= recorded, set(arrived) - recorded
        in_time = self._longest_exit <= self.exit_timeout + SLACK
        return Outcome(
            ALL if not missing else WAITED if missing <= risked else f"not {_few(missing - risked)}",
            NONE if not twice else _few(twice),
            NONE if not self.locked_up else "yes",
            IN_TIME if in_time else f"after {self._longest_exit:.1f} s",
            self._told(len(missing)),
        )

    def _told(self, missing: int) -> str:
        """Return who knows how many records are lost."""
        stats = self.program.stats()
        lines = [line for text in self.errors for line in text.splitlines() if "could not be sent" in line]
        ways = {
            "on stderr": sum(int(n) for line in lines for n in re.findall(r"(\d+) records could not be sent", line)),
            "by `flush()`": sum(int(number) for (number,) in self._lines("told")),
            "in the log": sum(stats.drops.values()) + stats.lost,
        }
        known = {name: number for name, number in ways.items() if number}
        if not missing and not known:
            return NONE
        if not known:
            return "by nobody"
        return ", ".join(known) if sum(known.values()) == missing else f"{missing} missing, told {known}"

    def _lines(self, kind: str) -> list[list[str]]:
        words = [line.split() for line in self._file.read_text().splitlines()]
        return [rest for first, *rest in words if first == kind]


def _few(records: object) -> str:
    return ", ".join(map(str, sorted(records)[:5]))  # type: ignore[call-overload]


@contextmanager
def condition(program: Program, name: str) -> Iterator[None]:
    """Make the buffer be as a condition says."""
    open_buffer(program.url).close()
    if name in ("hanging", "slow"):
        _install(program, name)
    elif name == "refusing":
        program.environment["PUMPKIT_BUFFER"] = "redis://127.0.0.1:1"
    elif name == "nowhere":
        program.environment["PUMPKIT_BUFFER"] = f"sqlite:///{program.folder}/recorded/buffer.db"
    if name != "away":
        yield
        return
    connection = apsw.Connection(program.url.removeprefix("sqlite:///"))
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.close()


_DRIVER = """
import time
from pumpkit.buffers import sqlite


class Log:
    may_forget = False

    def __init__(self):
        self.log = sqlite.open({url!r}, create=True)

    def append(self, frames, **options):
        time.sleep({seconds})
        return self.log.append(frames, **options)

    def close(self):
        self.log.close()


def open(url, *, create, timeout=5.0):
    return Log()
"""


def _install(program: Program, name: str) -> None:
    """Install a buffer that hangs, or is slow, where the program finds modules."""
    seconds = 3600 if name == "hanging" else 0.3
    (program.folder / f"{name}_buffer.py").write_text(_DRIVER.format(url=program.url, seconds=seconds))
    info = program.folder / f"{name}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[pumpkit.buffers]\n{name} = {name}_buffer\n")
    program.environment["PUMPKIT_BUFFER"] = f"{name}:"


def measure(way: Way, make_program: Callable[[str], Program]) -> Outcome:
    """Run a way under each of its conditions; return its row's cells."""
    outcomes = {}
    for name in way.conditions:
        program = make_program(name)
        with ExitStack() as cleanup:
            stage = Stage(program, name, cleanup)
            with condition(program, name):
                way.run(stage)
            outcomes[name] = stage.judge()
    return together(outcomes)


def together(outcomes: dict[str, Outcome]) -> Outcome:
    """Return one row for what was measured under several conditions of the buffer.

    Nothing can arrive while it is away, so then only the exit counts, and who knows of the loss.
    """
    works = [outcome for name, outcome in outcomes.items() if name in ("fine", "slow")]
    gone = [outcome for name, outcome in outcomes.items() if name in AWAY]
    every = works + gone
    return Outcome(
        _one(outcome.arrive for outcome in works),
        _one(outcome.twice for outcome in every),
        _one(outcome.deadlock for outcome in every),
        _one(outcome.away for outcome in gone) if gone else NOT_ASKED,
        _one(outcome.told for outcome in every if outcome.told != NONE) or NONE,
    )


def _one(cells: Iterator[str] | object) -> str:
    return "; ".join(dict.fromkeys(cells))  # type: ignore[call-overload]


def can_run(way: Way) -> bool:
    """Whether this Python has it."""
    return sys.version_info >= way.python
