"""Work that is left when its records are in the buffer."""

import logging
from pathlib import Path
from typing import Any

import pytest

import pumpkit
from pumpkit.errors import BufferUnavailable


def test_a_block_is_left_when_its_records_are_sent(log: Any, make_reporter: Any) -> None:
    """What was recorded before the block and in it is in the buffer, long before it would be sent by itself."""
    reporter = make_reporter(flush_interval=60)
    reporter.record({"n": 0})
    with pumpkit.flushing(reporter=reporter):
        reporter.record({"n": 1})
    assert [record["n"] for record in log.records()] == [0, 1]


def test_a_decorated_function_flushes_though_it_fails(log: Any, make_reporter: Any) -> None:
    """The exception reaches the caller, and the records the buffer; each call does it again."""
    reporter = make_reporter(flush_interval=60)

    @pumpkit.flushing(reporter=reporter)
    def work(number: int) -> int:
        reporter.record({"n": number})
        return 1 // number

    assert work(1) == 1
    with pytest.raises(ZeroDivisionError):
        work(0)
    assert [record["n"] for record in log.records()] == [1, 0]


def test_what_could_not_be_sent_is_logged_and_kept(
    log: Any, make_reporter: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """While the buffer is away the block is left after its timeout; the records are sent later."""
    log.down = BufferUnavailable("away")
    reporter = make_reporter(flush_interval=60)
    with caplog.at_level(logging.ERROR), pumpkit.flushing(0.1, reporter=reporter):
        reporter.record({"n": 0})
    assert "1 records could not be sent within 0.1 s" in caplog.text
    log.down = None
    assert reporter.flush(30) == (1, 0, 0)


def test_what_others_record_meanwhile_is_no_reason_to_complain(
    fake_log: Any, make_reporter: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A block whose records are in the buffer is left without a line, though there are younger ones in memory."""

    class Busy(fake_log):  # type: ignore[misc]
        def append(self, *arguments: Any, **options: Any) -> Any:
            if not self.calls:
                reporter.record({"n": 1})
            return super().append(*arguments, **options)

    reporter = make_reporter(buffer=Busy(), flush_interval=60)
    with pumpkit.flushing(30, reporter=reporter):
        reporter.record({"n": 0})
    assert reporter.stats().pending
    assert caplog.messages == []


def test_what_was_spilled_is_no_reason_to_complain(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """While the buffer is away, a block that is left with its records in the spill file loses none."""
    (tmp_path / "file").touch()
    with pumpkit.Reporter(
        f"sqlite:///{tmp_path}/file/buffer.db", overflow="spill", spill_folder=str(tmp_path), exit_timeout=0.1
    ) as reporter:
        with pumpkit.flushing(30, reporter=reporter):
            reporter.record({"n": 0})
        stats = reporter.stats()
    assert (stats.spilled, stats.pending) == (1, 0)
    assert "in memory only" not in caplog.text


def test_a_coroutine_function_is_refused() -> None:
    """Its call ends before its work begins, so nothing would be flushed."""

    async def work() -> None:
        raise AssertionError

    with pytest.raises(TypeError, match="to_thread"):
        pumpkit.flushing()(work)
