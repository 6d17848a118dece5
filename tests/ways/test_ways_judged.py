"""The matrix notices what it is there for: records that are missing or doubled, ends that hang or are late."""

import signal
from contextlib import ExitStack

import pytest

from tests.programs import Program
from tests.ways import way as ways
from tests.ways.way import ALL, IN_TIME, NONE, Outcome, Stage, together


def _outcome(program: Program, code: str, status: int = 0) -> Outcome:
    with ExitStack() as cleanup:
        stage = Stage(program, "fine", cleanup)
        stage.run(code, status=status)
        return stage.judge()


_KILLED = """
    import os, signal
    from recording import flush, record
    record("first", 2)
    flush()
    record("second", 2%s)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_records_that_are_missing_are_seen(program: Program) -> None:
    """A loss that the way did not announce is named, and that nobody tells of it."""
    outcome = _outcome(program, _KILLED % "", -signal.SIGKILL)
    assert outcome == ("not ('second', 0), ('second', 1)", NONE, NONE, IN_TIME, "by nobody")


def test_a_loss_that_is_announced_is_told_apart(program: Program) -> None:
    """Records that may be lost are not among those that arrive."""
    outcome = _outcome(program, _KILLED % ", kept=False", -signal.SIGKILL)
    assert outcome == (ways.WAITED, NONE, NONE, IN_TIME, "by nobody")


def test_records_that_arrive_twice_are_seen(program: Program) -> None:
    """A record that two processes have sent is named."""
    code = """
        import pumpkit
        from recording import record
        record("main", 2)
        pumpkit.record({"by": "main", "n": 1})
        """
    assert _outcome(program, code) == (ALL, "('main', 1)", NONE, IN_TIME, NONE)


def test_a_wrong_count_of_what_is_lost_is_seen(program: Program) -> None:
    """Saying more or less than what is missing is not telling."""
    code = """
        import sys
        from recording import record
        record("main", 2)
        print("pumpkit: 3 records could not be sent before the end; dropped: none", file=sys.stderr)
        """
    assert _outcome(program, code).told == "0 missing, told {'on stderr': 3}"


def test_an_end_that_never_comes_is_seen(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that does not end is killed, and called locked up."""
    monkeypatch.setattr(ways, "LIMIT", 1.0)
    outcome = _outcome(program, "import time\nfrom recording import record\nrecord('main', 1)\ntime.sleep(600)")
    assert outcome.deadlock == "yes"


def test_an_end_that_comes_late_is_seen(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exit that takes longer than the deadline and what a slow machine may add is not in time."""
    monkeypatch.setattr(ways, "SLACK", 0.1 - ways.EXIT_TIMEOUT)
    code = "import time\nfrom recording import ending, record\nrecord('main', 1)\nending()\ntime.sleep(0.3)"
    assert _outcome(program, code).away.startswith("after ")


def test_one_row_is_made_of_what_all_conditions_show() -> None:
    """Arrival counts while the buffer works, the exit while it does not; any fault shows."""
    fine = Outcome(ALL, NONE, NONE, IN_TIME, NONE)
    away = Outcome("not everything", NONE, NONE, IN_TIME, "on stderr")
    assert together({"fine": fine, "away": away}) == (ALL, NONE, NONE, IN_TIME, "on stderr")
    assert together({"fine": fine}) == (ALL, NONE, NONE, ways.NOT_ASKED, NONE)
    late = away._replace(away="after 99.0 s", deadlock="yes")
    assert together({"fine": fine, "away": away, "hanging": late}) == (
        ALL,
        NONE,
        "none; yes",
        "in time; after 99.0 s",
        "on stderr",
    )
