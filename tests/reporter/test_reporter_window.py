"""What becomes of records that a buffer has confirmed and then forgets. Time is the test's own, mostly."""

from collections.abc import Callable
from typing import Any, get_args

import pytest

from pumpkit import Reporter, frames
from pumpkit.buffers import base
from pumpkit.errors import BufferUnavailable, Unconfirmed
from pumpkit.reporter import settings
from pumpkit.reporter.sender import Sender
from tests.reporter.conftest import Desk, FakeLog, ForgetfulLog


@pytest.fixture
def log() -> ForgetfulLog:
    """Return a log in memory that may forget; the reporters of `make_reporter` report into it."""
    return ForgetfulLog()


@pytest.fixture
def desk(log: ForgetfulLog) -> Desk:
    """Return a sender into it."""
    return Desk(log)


def _numbers(log: FakeLog) -> list[int]:
    return [record["n"] for record in log.records()]


def _send(desk: Desk, number: int, times: int = 1) -> None:
    for _ in range(times):
        desk.record(number)
        desk.turn(hurry=True)


def test_what_the_log_forgot_is_sent_again_as_the_same_bytes(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """Confirmed frames that the log does not have any more come again, in order, before what is new."""
    _send(desk, 10, times=5)
    sent = list(desk.log.stored)
    desk.log.go_back(3)
    _send(desk, 10)
    desk.until(lambda: desk.sender.idle)
    assert desk.log.stored[:5] == sent
    assert _numbers(desk.log) == list(range(60))
    assert (desk.log.lost, desk.sender.resent, desk.sender.confirmed) == (0, 30, 60)
    assert caplog.messages == ["the buffer has forgotten records that it had confirmed: sending 30 of them again"]


def test_an_idle_producer_notices_within_about_a_second(desk: Desk) -> None:
    """It asks once a second, with a frame without records, until the window is empty; then no more."""
    _send(desk, 10, times=2)
    desk.log.calls.clear()
    desk.log.go_back(1)
    desk.turn(0.9)
    assert desk.log.calls == []
    desk.turn(0.2)
    (asked,) = desk.log.calls[0]
    assert frames.read_header(asked).total == 0
    assert not desk.sender.idle
    assert desk.sender.settled == desk.sender.confirmed == 10
    assert desk.sender.in_memory == 10
    desk.turn()
    assert _numbers(desk.log) == list(range(20))
    desk.until(lambda: not desk.sender.window)
    asked_for = len(desk.log.calls)
    assert 9 <= asked_for <= 13
    desk.turn(1.5)
    desk.turn(100)
    assert len(desk.log.calls) == asked_for


def test_an_outage_does_not_empty_the_window(desk: Desk) -> None:
    """However long the log is away: what it had confirmed just before is there to be sent again."""
    _send(desk, 10)
    desk.log.down = BufferUnavailable("crashed")
    for _ in range(60):
        desk.turn(60)
    assert desk.sender.link.trouble == "the buffer is away: crashed"
    desk.log.down = None
    desk.log.go_back(1)
    desk.until(lambda: _numbers(desk.log) == list(range(10)))
    assert desk.sender.link.trouble is None
    assert desk.log.lost == 0


def test_what_has_left_the_window_is_told_and_the_rest_sent_again(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """A log that forgot more than the window holds gets the window, and counts the rest as lost, as the line says."""
    _send(desk, 10)
    for _ in range(11):
        desk.turn(1)
    _send(desk, 10)
    desk.log.go_back(2)
    desk.until(lambda: desk.log.stored)
    desk.turn(2)
    assert _numbers(desk.log) == list(range(10, 20))
    assert (desk.log.lost, desk.sender.resent, desk.sender.confirmed) == (10, 10, 20)
    assert len(caplog.messages) == 2
    assert "lost 10 records that it had confirmed" in caplog.messages[1]


@pytest.mark.parametrize(
    ("log", "options"),
    [(FakeLog(), {}), (ForgetfulLog(), {"resend_window": 0}), (ForgetfulLog(), {"resend_bytes": 0})],
    ids=["a log that does not forget", "no seconds", "no bytes"],
)
def test_nothing_is_kept_in_vain(log: FakeLog, options: dict[str, Any]) -> None:
    """No window, no asking."""
    desk = Desk(log, **options)
    _send(desk, 10)
    assert not desk.sender.window
    desk.turn(100)
    assert len(log.calls) == 1


def test_what_was_ever_confirmed_never_goes_back(log: ForgetfulLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A counter of confirmations may be read at any moment, also in that of a loss."""
    seen = []

    def remember(sender: Sender, name: str, value: Any) -> None:
        object.__setattr__(sender, name, value)
        if hasattr(sender, "confirmations") and hasattr(sender, "resent"):
            seen.append(sender.confirmed + sender.resent)

    monkeypatch.setattr(Sender, "__setattr__", remember)
    desk = Desk(log)
    _send(desk, 100)
    log.go_back(1)
    _send(desk, 1)
    assert desk.sender.resent == 100
    assert seen == sorted(seen)


def test_the_window_has_a_bound_of_bytes(log: ForgetfulLog) -> None:
    """It keeps the newest frames, up to `resend_bytes`."""
    desk = Desk(log, resend_bytes=10_000)
    _send(desk, 500, times=50)
    assert 5_000 < desk.sender.window.size <= 10_000


def test_the_window_counts_in_the_bytes_of_the_reporter(log: ForgetfulLog) -> None:
    """It takes half of `buffer_bytes` at most, and packing stops where both together reach them."""
    desk = Desk(log, buffer_bytes=20_000, records_buffer_size=1_000)
    _send(desk, 500, times=50)
    assert 5_000 < desk.sender.window.size <= 10_000
    log.down = BufferUnavailable("away")
    for _ in range(50):
        desk.record(500)
        desk.turn(0.05)
    held = desk.sender.pending_bytes + desk.sender.window.size
    assert 15_000 <= held <= 20_000
    log.down = None
    log.go_back(1)
    desk.turn(10)
    assert desk.sender.pending_bytes + desk.sender.window.size == held
    assert desk.sender.resent == 500
    desk.until(lambda: desk.sender.idle)
    assert log.lost == 0


def test_an_end_does_not_wait_for_the_window_but_heeds_an_answer(desk: Desk) -> None:
    """The last frame, which tells of drops, may be answered by a gap; what is missing is sent then. Nothing asks."""
    _send(desk, 10, times=3)
    calls = len(desk.log.calls)
    desk.turn(5, hurry=True)
    assert desk.sender.idle
    assert len(desk.log.calls) == calls
    desk.log.go_back(2)
    desk.sender.unsent.add()
    desk.sender.finish(1.0)
    assert _numbers(desk.log) == list(range(30))
    assert desk.log.total_drops() == {"unsent": 1}
    assert not desk.sender.window


def test_asking_does_not_lose_the_news_of_drops(desk: Desk) -> None:
    """Totals of drops are told by a frame that is repeated until it is confirmed, never by one that merely asks."""
    _send(desk, 10)
    desk.log.down = BufferUnavailable("away")
    desk.turn(2)
    desk.sender.full.add()
    desk.turn(10)
    desk.log.down = None
    desk.until(lambda: desk.log.total_drops() == {"full": 1})


def test_a_log_that_forgot_is_told_of_drops_again(desk: Desk) -> None:
    """The frames that are sent again carry totals from before, so one without records follows."""
    _send(desk, 10)
    desk.sender.full.add()
    desk.turn(0.5)
    assert desk.log.total_drops() == {"full": 1}
    desk.log.go_back(1)
    assert desk.log.total_drops() == {}
    desk.until(lambda: _numbers(desk.log) == list(range(10)))
    desk.until(lambda: desk.sender.idle)
    assert desk.log.total_drops() == {"full": 1}


def test_frames_stay_pending_until_they_are_as_safe_as_asked_for(
    log: ForgetfulLog, caplog: pytest.LogCaptureFixture
) -> None:
    """`confirm` goes to the log; while it is not reached, the frames are repeated, and one line says so."""
    desk = Desk(log, confirm="replicated")
    log.faults.extend([("lost", Unconfirmed("0 of 1 replicas have it"))] * 5)
    desk.record(10)
    desk.turn(hurry=True)
    assert (desk.sender.confirmed, desk.sender.in_memory) == (0, 10)
    assert desk.sender.link.trouble == "the buffer does not confirm: 0 of 1 replicas have it"
    desk.until(lambda: desk.sender.idle)
    assert _numbers(log) == list(range(10))
    assert log.confirms == {"replicated"}
    assert [message.split(":")[0].split(",")[0] for message in caplog.messages] == [
        "the buffer does not confirm",
        "the buffer takes records again",
    ]


def test_a_reporter_knows_the_same_levels_as_a_buffer() -> None:
    """The names are written down twice, because a reporter does not load the contract of buffers."""
    assert get_args(settings.Confirm) == get_args(base.Confirm)


def test_a_flush_waits_for_what_was_forgotten_meanwhile(
    make_reporter: Callable[..., Reporter], log: ForgetfulLog, wait_until: Callable[..., None]
) -> None:
    """A record that is pending again is pending for `flush` and `stats` too."""
    reporter = make_reporter()
    reporter.record({"n": 0})
    assert reporter.flush() == (1, 0, 0)
    log.down = BufferUnavailable("crashed")
    log.go_back(1)
    reporter.record({"n": 1})
    assert reporter.flush(0.2).pending > 0
    log.down = None
    assert reporter.flush() == (2, 0, 0)
    assert _numbers(log) == [0, 1]
    assert reporter.stats().resent == 1


def test_an_idle_reporter_brings_back_what_was_forgotten(
    make_reporter: Callable[..., Reporter], log: ForgetfulLog, wait_until: Callable[..., None]
) -> None:
    """Nobody has to record or flush for it."""
    reporter = make_reporter()
    reporter.record({"n": 0})
    reporter.flush()
    log.go_back(1)
    wait_until(lambda: _numbers(log) == [0], "the record")
    wait_until(lambda: reporter.stats().pending == 0, "its confirmation")
    assert reporter.stats().resent == 1
