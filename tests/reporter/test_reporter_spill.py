"""The spill file: what waits for a buffer that is away goes into a local file, and comes out of it."""

import contextlib
import os
import shutil
import time
from pathlib import Path
from typing import Any

import apsw
import pytest

from pumpkit import Reporter
from pumpkit.buffers import open_buffer
from pumpkit.buffers.sqlite.buffer import SqliteBuffer
from pumpkit.errors import BufferConfigError, BufferFull
from pumpkit.ids import record_ids
from pumpkit.reporter.spill import file_for
from tests.reporter.conftest import AWAY, Desk, FakeLog, ForgetfulLog, balanced, numbers, spill


def test_a_short_absence_stays_in_memory(desk: Desk, tmp_path: Path) -> None:
    """Nothing is spilled within the first second, and no file is made."""
    desk.log.down = AWAY
    desk.record(10)
    desk.turn(0.3)
    desk.turn(0.3)
    assert desk.sender.spilled == 0
    assert list(tmp_path.iterdir()) == []
    desk.log.down = None
    desk.until(lambda: desk.sender.idle)
    assert numbers(desk.log) == list(range(10))


def test_what_was_spilled_is_sent_on_in_order_with_its_ids_once_the_buffer_is_back(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """Spilled frames come first, then what was recorded meanwhile; numbered as if nothing had happened."""
    desk.turn()
    desk.record(5)
    desk.turn(0.5)
    spill(desk, 10)
    assert (desk.sender.confirmed, desk.sender.spilled, desk.sender.in_memory) == (5, 10, 0)
    desk.record(7)
    desk.turn(0.5)
    assert balanced(desk)
    desk.log.down = None
    desk.until(lambda: desk.sender.idle and not desk.sender.spilled)
    assert numbers(desk.log) == list(range(22))
    assert desk.sender.producer is not None
    assert desk.log.ids() == list(record_ids(desk.sender.producer, 0, 22))
    assert desk.log.lost == 0
    assert desk.sender.confirmed == 22
    assert desk.sender.link.trouble is None
    assert sum(message.startswith("records are spilled into") for message in caplog.messages) == 1


def test_a_memory_that_is_half_full_is_spilled_at_once(new_desk: Any) -> None:
    """The seconds of grace end with the room."""
    desk = new_desk(buffer_bytes=4_000, records_buffer_size=200)
    desk.log.down = AWAY
    for _ in range(50):
        desk.record(100)
        desk.turn(0.001)
    assert desk.sender.spilled > 4_000
    assert not desk.sender.drops()
    assert balanced(desk)


def test_a_flush_is_over_once_everything_is_in_the_file(tmp_path: Path, wait_until: Any) -> None:
    """`flush` and `close` do not wait for a buffer that is away; what they leave is pending, not dropped."""
    url = f"sqlite:///{tmp_path}/not/there.db"
    (tmp_path / "not").write_text("a file where a folder has to be")
    reporter = Reporter(url, overflow="spill", spill_folder=str(tmp_path / "spill"))
    for number in range(10):
        reporter.record({"n": number})
    assert reporter.flush(30) == (0, 10, 0)
    assert reporter.stats().spilled == 10
    assert reporter.stats().pending == 0
    assert reporter.close() == (0, 10, 0)
    (tmp_path / "not").unlink()
    with Reporter(url, overflow="spill", spill_folder=str(tmp_path / "spill")) as reporter:
        reporter.record({"n": 10})
        buffer = None
        wait_until(lambda: (tmp_path / "not" / "there.db").exists())
        buffer = open_buffer(url)
        wait_until(lambda: buffer.stats().stored == 11)
        buffer.close()


def test_lost_answers_double_nothing(desk: Desk) -> None:
    """A frame whose answer was lost may be spilled, and sent on, though the buffer has it."""
    desk.log.faults.extend([("lost", AWAY)] * 3)
    desk.record(10)
    desk.turn(0.5)
    spill(desk, 10)
    desk.log.down = None
    desk.log.faults.extend([("lost", AWAY)] * 2)
    desk.until(lambda: desk.sender.idle and not desk.sender.spilled)
    assert numbers(desk.log) == list(range(20))
    assert desk.sender.confirmed == 20


def test_a_full_spill_file_leaves_records_in_memory_then_drops_are_counted(new_desk: Any) -> None:
    """The file keeps to its bound; memory fills, and everything that did not arrive is counted once."""
    desk = new_desk(spill_bytes=100_000, buffer_bytes=100_000)
    desk.log.down = AWAY
    rng = os.urandom
    for _ in range(400):
        for _ in range(10):
            if len(desk.queue) < 10_000:
                desk.queue.append({"n": desk.recorded, "x": rng(300)})
            else:
                desk.sender.full.add()
            desk.recorded += 1
        desk.turn(0.5)
        assert balanced(desk)
    (file,) = Path(file_for("sqlite:////of/the/test.db", desk.folder)).parent.glob("*.db")
    assert file.stat().st_size < 600_000
    assert desk.sender.spilled > 100
    desk.log.down = None
    desk.until(lambda: desk.sender.idle and not desk.sender.spilled)
    assert len(desk.log.records()) == desk.recorded - sum(desk.sender.drops().values())
    assert numbers(desk.log) == sorted(numbers(desk.log))


def test_a_buffer_that_forgets_gets_the_window_first_then_what_was_spilled(new_desk: Any) -> None:
    """After a fail-over what it lacks is older than the file; the order stays."""
    log = ForgetfulLog()
    desk = new_desk(log=log)
    desk.turn()
    for _ in range(3):
        desk.record(5)
        desk.turn(0.5)
    spill(desk, 5)
    log.go_back(2)
    log.down = None
    desk.until(lambda: desk.sender.idle and not desk.sender.spilled)
    assert numbers(log) == list(range(20))
    assert log.lost == 0
    assert desk.sender.resent == 10
    assert desk.sender.confirmed == 20


def test_older_frames_than_the_file_ever_had_are_not_put_there(new_desk: Any) -> None:
    """The file would take them for known ones: what the buffer has forgotten stays in memory while it is away again."""
    log = ForgetfulLog()
    desk = new_desk(log=log)
    desk.record(5)
    desk.turn(0.5)
    spill(desk, 5)
    log.down = None
    desk.until(lambda: desk.sender.idle and not desk.sender.spilled)
    log.go_back(2)
    desk.turn(1.5)  # asks, and has everything back in memory
    log.down = AWAY
    desk.turn(0.5)
    desk.turn(2.0)
    assert desk.sender.in_memory == 10
    assert desk.sender.spilled == 0
    desk.record(5)
    desk.turn(0.5)
    desk.turn(2.0)
    desk.turn(2.0)
    assert balanced(desk)
    log.down = None
    desk.until(lambda: desk.sender.idle and not desk.sender.spilled)
    assert numbers(log) == list(range(15))


def test_a_file_that_somebody_removed_is_counted_as_unsent(
    desk: Desk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What was in it is lost, and neither confirmed nor forgotten."""
    spill(desk, 10)
    desk.sender._spill.close()  # type: ignore[union-attr]
    _remove(tmp_path)
    desk.log.down = None
    desk.record(5)
    desk.until(lambda: desk.sender.idle and not desk.sender.spilled)
    assert desk.sender.drops() == {"unsent": 10}
    assert desk.sender.confirmed == 5
    assert balanced(desk)
    assert any("was removed, and 10 records that were in it are lost" in message for message in caplog.messages)


def _works_without_a_file(desk: Desk, caplog: pytest.LogCaptureFixture, said: str) -> None:
    """Records of an absence wait in memory, which one line tells, and arrive after it."""
    for _ in range(5):
        spill(desk, 10)
    assert (desk.sender.spilled, desk.sender.in_memory) == (0, 50)
    assert sum(said in message for message in caplog.messages) == 1
    desk.log.down = None
    desk.until(lambda: desk.sender.idle)
    assert numbers(desk.log) == list(range(50))


def test_a_folder_that_cannot_be_used_is_told_once_and_records_stay_in_memory(
    new_desk: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a spill file it is as with drop-newest."""
    (tmp_path / "file").write_text("")
    desk = new_desk(spill_folder=str(tmp_path / "file"))
    _works_without_a_file(desk, caplog, "cannot be used")


@pytest.mark.parametrize("error", [BufferFull("full"), BufferConfigError("wrong"), OSError("broken")])
def test_whatever_the_trouble_is_records_are_spilled(desk: Desk, error: Exception) -> None:
    """A full buffer, a wrong setting, a fault of a driver."""
    desk.log.down = error
    spill(desk, 10)
    assert desk.sender.spilled == 10


def test_a_buffer_that_only_is_slow_is_not_spilled(new_desk: Any) -> None:
    """A full memory alone is no reason: the file would be sent to the same buffer."""
    desk = new_desk(buffer_bytes=2_000, records_buffer_size=100)
    desk.turn()
    desk.record(100)
    desk.sender.link.retry_at = desk.now + 60
    desk.turn()
    assert desk.sender.spilled == 0


def test_a_file_that_fails_between_its_steps_is_counted_right(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames are in the file and counted, or neither: what is sent on is never more than what was put there."""
    stats, fails = SqliteBuffer.stats, [AWAY]

    def failing(buffer: SqliteBuffer) -> Any:
        if fails:
            raise fails.pop()
        return stats(buffer)

    monkeypatch.setattr(SqliteBuffer, "stats", failing)
    spill(desk, 10)
    assert (desk.sender.spilled, desk.sender.in_memory) == (0, 10)
    desk.log.down = None
    desk.until(lambda: desk.sender.idle)
    for _ in range(5):
        desk.turn(6.0)
    assert (desk.sender.confirmed, desk.sender.spilled, desk.sender.in_memory) == (10, 0, 0)
    assert numbers(desk.log) == list(range(10))


def test_an_end_spills_what_a_slow_buffer_did_not_take(desk: Desk) -> None:
    """Whatever is left in memory is as lost with a buffer that only is slow as it is without one."""
    desk.turn()
    desk.record(5_000)
    desk.sender.full.add()
    desk.recorded += 1
    desk.sender.finish(1.0)
    assert (desk.sender.confirmed, desk.sender.spilled, desk.sender.in_memory) == (0, 5_000, 0)
    assert balanced(desk)


def test_an_end_leaves_time_for_spilling(log: FakeLog, tmp_path: Path) -> None:
    """`close` does not try until its last moment: a quarter of its time is for the file."""
    reporter = Reporter("sqlite:////of/the/test.db", overflow="spill", spill_folder=str(tmp_path))
    reporter._outbox.sender.link._open_log = lambda timeout: log
    log.pause = 0.5
    for _ in range(200):
        reporter.record({"x": os.urandom(100_000)})
    result = reporter.close(2.0)
    assert result.sent
    assert reporter.stats().spilled
    assert sum(result) == 200


def test_a_locked_file_takes_no_more_time_than_there_is(desk: Desk, tmp_path: Path) -> None:
    """Neither its size nor what is put there waits longer for another writer."""
    file = file_for("sqlite:////of/the/test.db", str(tmp_path))
    open_buffer(f"sqlite:///{file}").close()
    desk.log.down = AWAY
    with contextlib.closing(apsw.Connection(str(file))) as other:
        other.execute("BEGIN IMMEDIATE")
        desk.record(10)
        began = time.monotonic()
        desk.sender.turn(hurry=True, timeout=0.1)
        assert time.monotonic() - began < 3
    assert (desk.sender.spilled, desk.sender.in_memory) == (0, 10)


def test_an_open_buffer_cannot_be_spilled_for(log: FakeLog) -> None:
    """The file is named after a URL, so that the next process finds it."""
    with pytest.raises(ValueError, match=r"overflow='spill': the buffer must be a URL"):
        Reporter(log, overflow="spill")


def test_buffers_have_files_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records never go into another buffer than they were meant for; a new password changes nothing."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    urls = [None, "redis://one/0", "redis://one/1", "sqlite:////a.db"]
    files = [file_for(url, None) for url in urls]
    assert len(set(files)) == 4
    assert {file.parent for file in files} == {tmp_path / "pumpkit" / "spill"}
    assert file_for("redis://:old@one/0", None) == file_for("redis://:new@one/0", None)


def test_a_full_file_and_an_absence_leave_the_processor_alone(new_desk: Any) -> None:
    """While neither takes what waits, looks stay as rare as ever."""
    desk = new_desk(spill_bytes=200_000)
    spill(desk, 50)
    while not desk.sender.pending:
        desk.queue.extend({"x": os.urandom(200)} for _ in range(100))
        desk.turn(0.6)
    desk.queue.extend({"n": n} for n in range(5))
    assert [desk.turn(0.2) for _ in range(20)] == [pytest.approx(0.2, abs=0.1)] * 20


def test_a_file_that_was_full_is_emptied_at_full_speed(new_desk: Any) -> None:
    """That nothing can be put there is no reason not to send on, and what is sent on makes room at once."""
    desk = new_desk(spill_bytes=10 << 20, buffer_bytes=8 << 20)
    desk.turn()
    desk.log.down = AWAY
    while desk.sender._room:
        desk.queue.extend({"x": os.urandom(10_000)} for _ in range(100))
        desk.turn(0.05)
    assert desk.sender.spilled > 500
    desk.log.down = None
    assert desk.until(lambda: desk.sender.idle and not desk.sender.spilled) < 10


def _remove(folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_what_is_spilled_after_somebody_removed_the_file_is_not_lost(new_desk: Any, tmp_path: Path) -> None:
    """Only what was in the old file counts as unsent, also if another process sends the rest on."""
    first, second = new_desk(), new_desk()
    spill(first, 10)
    _remove(tmp_path)
    spill(second, 1)
    spill(first, 5)
    assert first.sender.drops() == {"unsent": 10}
    first.log.down = None
    second.until(lambda: len(first.log.records()) == 6)
    second.turn(6.0)
    first.turn(6.0)
    assert first.sender.drops() == {"unsent": 10}
    assert first.sender.confirmed == 5
    assert balanced(first)


def test_who_was_sending_on_when_the_file_was_removed_lets_go_of_it(new_desk: Any, tmp_path: Path) -> None:
    """Else nobody in this process could look into the next one."""
    first, second = new_desk(), new_desk()
    spill(first, 10)
    spill(second, 10)
    first.log.down = None
    first.until(lambda: first.sender.confirmed == 10)
    assert first.sender._spill._cursor
    _remove(tmp_path)
    first.turn(6.0)
    second.until(lambda: second.sender.idle and not second.sender.spilled)


def test_without_a_home_folder_records_wait_in_memory(
    new_desk: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One line says that there is no place for a spill file, and everything else works."""
    monkeypatch.setenv("HOME", "~")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    desk = new_desk(spill_folder=None)
    _works_without_a_file(desk, caplog, "cannot be spilled")
