"""Our log lines, where the application's own logging fails."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from pumpkit.errors import BufferUnavailable
from pumpkit.reporter.log_lines import log as lines


class _Failing(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        raise ValueError("a fault of the application")


@pytest.fixture
def failing() -> Iterator[None]:
    """Let a handler of the application fail for every line."""
    handler = logging.StreamHandler()
    handler.addFilter(_Failing())
    logging.getLogger().addHandler(handler)
    yield
    logging.getLogger().removeHandler(handler)


@pytest.mark.usefixtures("failing")
def test_a_filter_that_fails_does_not_end_the_thread(make_reporter: Any, log: Any, wait_until: Any) -> None:
    """The buffer goes away and comes back; the same thread sends everything, by itself."""
    log.down = BufferUnavailable("away")
    reporter = make_reporter()
    reporter.record({"n": 1})
    wait_until(lambda: reporter.stats().trouble)
    thread = reporter._outbox._thread
    log.down = None
    wait_until(lambda: log.records() == [{"n": 1}], "the record")
    assert reporter.stats().trouble is None
    assert reporter._outbox._thread is thread
    assert thread.is_alive()


def test_lines_name_the_place_that_wrote_them(caplog: pytest.LogCaptureFixture) -> None:
    """A line and an exception show the module and the function that they come from."""
    lines.error("one")
    try:
        raise KeyError
    except KeyError:
        lines.exception("two")
    assert [line.funcName for line in caplog.records] == ["test_lines_name_the_place_that_wrote_them"] * 2
    assert caplog.records[1].exc_info is not None


class _Asking(logging.Handler):
    """Notes what a reporter says of its buffer when it writes a line."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.reporter: Any = None
        self.seen: list[tuple[str, str | None]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append((record.levelname, self.reporter.stats().trouble))


def test_a_line_is_written_once_what_it_tells_holds(make_reporter: Any, log: Any, wait_until: Any) -> None:
    """A handler that asks for the state of the reporter sees what the line tells."""
    handler = _Asking()
    handler.reporter = reporter = make_reporter()
    logging.getLogger("pumpkit.reporter").addHandler(handler)
    try:
        log.down = BufferUnavailable("away")
        reporter.record({"n": 1})
        wait_until(lambda: handler.seen)
        log.down = None
        wait_until(lambda: len(handler.seen) == 2)
    finally:
        logging.getLogger("pumpkit.reporter").removeHandler(handler)
    assert handler.seen == [("ERROR", "the buffer is away: away"), ("WARNING", None)]
