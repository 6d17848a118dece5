"""The reporter of the process, for programs that need one only."""

from typing import Unpack

from pumpkit.reporter.reporter import FlushResult, Reporter
from pumpkit.reporter.settings import Options, Settings

_reporter = Reporter()

#: Hand a record to the process-wide reporter; see `Reporter.record`. The same function before and after `configure`.
record = _reporter.record


def configure(**options: Unpack[Options]) -> Reporter:
    """Set the process-wide reporter up, with the arguments of `Reporter`, and return it.

    Without it the first record finds a reporter with the defaults. Call it once, before anything is recorded: an
    earlier set-up is closed first, and what is recorded in between is dropped. Raises ValueError for a wrong argument.
    """
    settings = Settings(**options).checked()
    _reporter.close()
    _reporter._set_up(settings)
    return _reporter


def get_reporter() -> Reporter:
    """Return the process-wide reporter."""
    return _reporter


def flush(timeout: float = 5.0) -> FlushResult:
    """Wait until all that was recorded before is confirmed, spilled or dropped; see `Reporter.flush`."""
    return _reporter.flush(timeout)
