"""What a reporter logs: where records go, so that both sides can be compared, and one line for each change of state."""

import logging

import apsw
import pytest

from pumpkit import Reporter
from pumpkit.buffers.registry import shown
from pumpkit.errors import BufferConfigError, BufferFull, BufferUnavailable, Unconfirmed
from tests.reporter.conftest import Desk


def test_the_buffer_is_logged_with_its_absolute_path(tmp_path, caplog, monkeypatch):
    """One line when the reporter has connected, also for a relative URL."""
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.INFO, "pumpkit.reporter"), Reporter("sqlite:///here.db") as reporter:
        reporter.record({"n": 1})
    lines = [message for message in caplog.messages if message.startswith("records go to")]
    assert lines == [f"records go to sqlite:///{tmp_path}/here.db"]


@pytest.mark.parametrize(
    ("url", "log"),
    [
        ("redis://user:pass@host:6379/0", "redis://***@host:6379/0"),
        ("rediss://:p%40ss@host/0?name=a@b", "rediss://***@host/0?name=a@b"),
        ("sqlite:////var/lib/a@b.db", "sqlite:////var/lib/a@b.db"),
        ("redis://host/0", "redis://host/0"),
    ],
)
def test_no_password_is_logged(url, log):
    """The user part of a URL is left out."""
    assert shown(url) == log


@pytest.fixture
def lines(caplog):
    """Return a function that returns the lines of reporters since it was last asked: level and beginning."""
    caplog.set_level(logging.DEBUG)

    def take(words=4):
        found = [
            (record.levelname, " ".join(record.getMessage().split()[:words]))
            for record in caplog.records
            if record.name == "pumpkit.reporter"
        ]
        caplog.clear()
        return found

    return take


def test_an_outage_is_two_lines(log, lines):
    """One when the buffer goes away and one when it is back, however many records, attempts and reconnections."""
    desk = Desk(log, records_buffer_size=100)
    for _ in range(2):
        desk.log.down = BufferUnavailable("no answer")
        for attempt in range(200):
            desk.log.down = BufferUnavailable(f"no answer {attempt}")
            desk.record(10)
            desk.turn(after=1.0)
        assert len(desk.log.calls) > 20
        assert desk.opened > 5
        assert lines() == [("ERROR", "the buffer is away:")]
        desk.log.down = None
        desk.until(lambda: desk.sender.idle)
        assert lines() == [("WARNING", "the buffer takes records")]


def test_another_trouble_is_another_line(log, lines):
    """When the kind changes, and not when only the words do."""
    desk = Desk(log)
    desk.record(1)
    kinds = [
        BufferUnavailable,
        BufferFull,
        BufferUnavailable,
        Unconfirmed,
        BufferConfigError,
        OSError,
        OSError,
        KeyError,
    ]
    for number, kind in enumerate(kinds):
        desk.log.down = kind(f"number {number}")
        for _ in range(3):
            desk.turn(after=60.0)
    assert [line for _, line in lines(words=5)] == [
        "the buffer is away: number",
        "the buffer is full: number",
        "the buffer is away: number",
        "the buffer does not confirm:",
        "the buffer cannot work as",
        "the buffer raised OSError: number",
        "the buffer raised KeyError: 'number",
    ]


def test_spilling_is_one_line_more(log, lines, tmp_path):
    """When it begins, once in an outage; what is sent on afterwards needs none of its own."""
    desk = Desk(log, buffer="sqlite:////of/the/test.db", overflow="spill", spill_folder=str(tmp_path))
    for _ in range(2):
        desk.log.down = BufferUnavailable("no answer")
        for _ in range(50):
            desk.record(10)
            desk.turn(after=1.0)
        assert lines() == [("ERROR", "the buffer is away:"), ("WARNING", "records are spilled into")]
        desk.log.down = None
        desk.until(lambda: desk.sender.idle and not desk.sender.spilled)
        assert lines() == [("WARNING", "the buffer takes records")]


def test_dropping_is_two_lines(log, lines):
    """One when it begins and one when it has been over for some time, however many are dropped meanwhile."""
    desk = Desk(log)
    for _ in range(2):
        for _ in range(100):
            for _ in range(50):
                desk.sender.full.add()
            desk.turn(after=10.0)
        assert lines() == [("ERROR", "more than 10000 records")]
        for _ in range(100):
            desk.turn(after=10.0)
        assert lines() == [("WARNING", "records are not dropped")]


def test_a_kind_of_bad_record_is_one_line(log, lines):
    """The first of each field and type is told of, and the rest counted; those too large are one kind."""
    desk = Desk(log, max_record_bytes=1000)
    for n in range(100):
        desk.queue.extend([{"user": object()}, {"text": "x" * (2000 + n)}, {"user": 1 << 70}, {"n": n}])
        desk.turn(after=1.0)
    assert desk.sender.drops() == {"unpackable": 200, "too-large": 100}
    assert [line for _, line in lines(words=6)] == [
        "a record was dropped as unpackable:",
        "a record was dropped as too-large:",
        "a record was dropped as unpackable:",
    ]


def test_a_reconnection_is_not_told_again(tmp_path, lines, wait_until):
    """Where the buffer can be opened and takes nothing, the reporter connects anew every few attempts."""
    file = tmp_path / "buffer.db"
    with Reporter(f"sqlite:///{file}", flush_interval=0.01) as reporter:
        reporter.record({"n": 1})
        reporter.flush()
        assert lines(3) == [("INFO", "records go to")]
        other = apsw.Connection(str(file))
        other.execute("BEGIN IMMEDIATE")
        reporter.record({"n": 2})
        link = reporter._outbox.sender.link
        wait_until(lambda: link._failures > 3, "a reconnection")
        other.execute("ROLLBACK")
        other.close()
        assert reporter.flush(30.0).sent == 2
    assert lines() == [("ERROR", "the buffer is away:"), ("WARNING", "the buffer takes records")]
