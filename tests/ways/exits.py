"""The ends of a program, as Python knows them."""

import signal

from tests.ways.way import Stage, Way

_GROUP = "A program that ends"


def _plain(stage: Stage) -> None:
    stage.run(
        """
        from recording import ending, record
        record("main")
        ending()
        """
    )


def _sigkill(stage: Stage) -> None:
    stage.run(
        """
        import os, signal
        from recording import ending, flush, record
        record("flushed")
        flush()
        record("waits", kept=False)
        ending()
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        status=-signal.SIGKILL,
    )


WAYS = [
    Way(
        "plain-exit",
        _GROUP,
        "the last line",
        "the reporter sends what waits, within `exit_timeout`",
        _plain,
        conditions=("fine", "away", "hanging", "slow"),
    ),
    Way("sigkill", _GROUP, "SIGKILL", "no code of the process runs any more", _sigkill, conditions=("fine",)),
]
