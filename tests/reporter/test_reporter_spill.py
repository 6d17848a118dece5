"""The spill file: what waits for a buffer that is away goes into a local file, and comes out of it."""

import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from pumpkit import Reporter, frames
from pumpkit.buffers import open_buffer
from pumpkit.buffers.sqlite.buffer import SqliteBuffer
from pumpkit.errors import BufferConfigError, BufferFull, BufferUnavailable
from pumpkit.ids import record_ids
from pumpkit.reporter.spill import file_for
from tests.reporter.conftest import Desk, FakeLog, ForgetfulLog

AWAY = BufferUnavailable("away")


@pytest.fixture
def new_desk(log: FakeLog, tmp_path: Path) -> Any:
    """Return a maker of senders that spill into one file; they report to `log`."""

    def make(**options: Any) -> Desk:
        options = {"buffer": "sqlite:////of/the/test.db", "spill_folder": str(tmp_path), **options}
        return Desk(options.pop("log", log), overflow="spill", **options)

    return make


@pytest.fixture
def desk(new_desk: Any) -> Desk:
    """Return a sender that spills."""
    return new_desk()  # type: ignore[no-any-return]


def _spill(desk: Desk, number: int) -> None:
    """Record while the buffer is away, for long enough that it is spilled."""
    desk.log.down = desk.log.down or AWAY
    desk.record(number)
    for seconds in (0.0, 0.5, 2.0):
        desk.turn(seconds)


def _balanced(desk: Desk) -> bool:
    sender = desk.sender
    gone = sum(sender.drops().values())
    return desk.recorded == sender.confirmed + sender.spilled + sender.in_memory + gone


def _numbers(log: FakeLog) -> list[int]:
    return [record["n"] for record in log.records()]


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
    assert _numbers(desk.log) == list(range(10))


def test_what_was_spilled_is_sent_on_in_order_with_its_ids_once_the_buffer_is_back(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """Spilled frames come first, then what was recorded meanwhile; numbered as if nothing had happened."""
    desk.turn()
    desk.record(5)
    desk.turn(0.5)
    _spill(desk, 10)
    assert (desk.sender.confirmed, desk.sender.spilled, desk.sender.in_memory) == (5, 10, 0)
    desk.record(7)
    desk.turn(0.5)
    assert _balanced(desk)
    desk.log.down = None
    desk.until(lambda: desk.sender.idle and not desk.sender.spilled)
    assert _numbers(desk.log) == list(range(22))
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
    assert _balanced(desk)


def test_an_end_without_a_buffer_spills_and_the_next_process_sends_on(new_desk: Any) -> None:
    """What is in memory at the end is not lost: another reporter to the same buffer finds the file."""
    first, log = new_desk(), new_desk().log
    log.down = AWAY
    first.record(100)
    first.turn(hurry=True)
    assert first.sender.idle
    first.sender.finish(1.0)
    assert (first.sender.spilled, first.sender.in_memory) == (100, 0)
    log.down = None
    second = new_desk()
    second.record(3)
    second.until(lambda: len(log.records()) == 103)
    assert sorted(_numbers(log)) == sorted([*range(100), *range(3)])
    assert len(set(log.ids())) == 103
    assert second.sender.confirmed == 3
    assert log.lost == 0


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
    _spill(desk, 10)
    desk.log.down = None
    desk.log.faults.extend([("lost", AWAY)] * 2)
    desk.until(lambda: desk.sender.idle and not desk.sender.spilled)
    assert _numbers(desk.log) == list(range(20))
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
        assert _balanced(desk)
    (file,) = Path(file_for("sqlite:////of/the/test.db", desk.folder)).parent.glob("*.db")
    assert file.stat().st_size < 600_000
    assert desk.sender.spilled > 100
    desk.log.down = None
    desk.until(lambda: desk.sender.idle and not desk.sender.spilled)
    assert len(desk.log.records()) == desk.recorded - sum(desk.sender.drops().values())
    assert _numbers(desk.log) == sorted(_numbers(desk.log))


def test_drops_of_a_process_that_ended_are_told_by_the_next(new_desk: Any, log: FakeLog) -> None:
    """Its farewell is in the file too."""
    first = new_desk()
    log.down = AWAY
    first.record(2)
    for _ in range(3):
        first.sender.full.add()
    first.turn(hurry=True)
    first.sender.finish(1.0)
    log.down = None
    second = new_desk()
    second.record(1)
    second.until(lambda: log.total_drops() == {"full": 3} and len(log.records()) == 3)


def test_two_reporters_share_a_file_and_each_sends_on_what_both_have_put_there(new_desk: Any, log: FakeLog) -> None:
    """Each keeps its own order, and each learns that its records have arrived."""
    desks = [new_desk(), new_desk()]
    for _ in range(3):
        for desk in desks:
            _spill(desk, 5)
    log.down = None
    for _ in range(200):
        for desk in desks:
            desk.turn(0.1)
    assert [desk.sender.confirmed for desk in desks] == [15, 15]
    assert [desk.sender.spilled for desk in desks] == [0, 0]
    for desk in desks:
        mine = [
            record["n"]
            for frame in log.stored
            if frames.read_header(frame).producer == desk.sender.producer
            for record in frames.decode(frame).records
        ]
        assert mine == list(range(15))


def test_younger_records_wait_while_another_process_has_the_file(new_desk: Any, log: FakeLog) -> None:
    """A reporter whose spilled records are being sent on by another does not overtake them."""
    first, second = new_desk(), new_desk()
    _spill(first, 5)
    _spill(second, 5)
    file = file_for("sqlite:////of/the/test.db", first.folder)
    other = open_buffer(f"sqlite:///{file}")
    cursor = other.cursor("spill")  # as that process
    log.down = None
    first.record(5)
    first.turn(6.0)
    first.turn(6.0)
    assert log.records() == []
    assert first.sender.confirmed == 0
    assert _balanced(first)
    cursor.close()
    other.close()
    first.until(lambda: first.sender.idle and not first.sender.spilled)
    assert log.lost == 0


def test_a_buffer_that_forgets_gets_the_window_first_then_what_was_spilled(new_desk: Any) -> None:
    """After a fail-over what it lacks is older than the file; the order stays."""
    log = ForgetfulLog()
    desk = new_desk(log=log)
    desk.turn()
    for _ in range(3):
        desk.record(5)
        desk.turn(0.5)
    _spill(desk, 5)
    log.go_back(2)
    log.down = None
    desk.until(lambda: desk.sender.idle and not desk.sender.spilled)
    assert _numbers(log) == list(range(20))
    assert log.lost == 0
    assert desk.sender.resent == 10
    assert desk.sender.confirmed == 20


def test_older_frames_than_the_file_ever_had_are_not_put_there(new_desk: Any) -> None:
    """The file would take them for known ones: what the buffer has forgotten stays in memory while it is away again."""
    log = ForgetfulLog()
    desk = new_desk(log=log)
    desk.record(5)
    desk.turn(0.5)
    _spill(desk, 5)
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
    assert _balanced(desk)
    log.down = None
    desk.until(lambda: desk.sender.idle and not desk.sender.spilled)
    assert _numbers(log) == list(range(15))


def test_a_file_that_somebody_removed_is_counted_as_unsent(
    desk: Desk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What was in it is lost, and neither confirmed nor forgotten."""
    _spill(desk, 10)
    desk.sender._spill.close()  # type: ignore[union-attr]
    for path in tmp_path.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    desk.log.down = None
    desk.record(5)
    desk.until(lambda: desk.sender.idle and not desk.sender.spilled)
    assert desk.sender.drops() == {"unsent": 10}
    assert desk.sender.confirmed == 5
    assert _balanced(desk)
    assert any("was removed, and 10 records that were in it are lost" in message for message in caplog.messages)


def test_a_folder_that_cannot_be_used_is_told_once_and_records_stay_in_memory(
    new_desk: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a spill file it is as with drop-newest."""
    (tmp_path / "file").write_text("")
    desk = new_desk(spill_folder=str(tmp_path / "file"))
    for _ in range(5):
        _spill(desk, 10)
    assert (desk.sender.spilled, desk.sender.in_memory) == (0, 50)
    assert sum("cannot be used" in message for message in caplog.messages) == 1
    desk.log.down = None
    desk.until(lambda: desk.sender.idle)
    assert _numbers(desk.log) == list(range(50))


@pytest.mark.parametrize("error", [BufferFull("full"), BufferConfigError("wrong"), OSError("broken")])
def test_whatever_the_trouble_is_records_are_spilled(desk: Desk, error: Exception) -> None:
    """A full buffer, a wrong setting, a fault of a driver."""
    desk.log.down = error
    _spill(desk, 10)
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
    _spill(desk, 10)
    assert (desk.sender.spilled, desk.sender.in_memory) == (0, 10)
    desk.log.down = None
    desk.until(lambda: desk.sender.idle)
    for _ in range(5):
        desk.turn(6.0)
    assert (desk.sender.confirmed, desk.sender.spilled, desk.sender.in_memory) == (10, 0, 0)
    assert _numbers(desk.log) == list(range(10))


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


def test_what_a_killed_process_has_spilled_is_sent_on_by_the_next(program: Any, wait_until: Any) -> None:
    """The file survives kill -9: all that was in it arrives once, under the ids that it had."""
    place = program.folder / "place"
    place.write_text("a file where a folder has to be")
    program.url = f"sqlite:///{place}/buffer.db"
    program.environment |= {"PUMPKIT_BUFFER": program.url, "XDG_STATE_HOME": str(program.folder / "state")}
    victim = program.start(
        """
        import time, pumpkit
        reporter = pumpkit.configure(overflow="spill")
        for number in range(1_000):
            pumpkit.record({"n": number})
        while reporter.stats().spilled < 1_000:
            time.sleep(0.01)
        print(reporter.stats().producer, flush=True)
        time.sleep(60)
        """
    )
    producer = victim.stdout.readline().strip()
    victim.send_signal(signal.SIGKILL)
    victim.wait(30)
    place.unlink()
    following = program.start(
        """
        import sys, pumpkit
        pumpkit.configure(overflow="spill")
        pumpkit.record({"n": "next"})
        sys.stdin.readline()
        """
    )
    wait_until(lambda: (place / "buffer.db").exists())
    buffer = open_buffer(program.url)
    wait_until(lambda: buffer.stats().stored == 1_001)
    buffer.close()
    following.communicate("end\n", timeout=30)
    found = program.records()
    assert [record["n"] for record in found if record["_producer"] == producer] == list(range(1_000))
    assert len(found) == 1_001


def test_parent_and_child_of_a_fork_spill_apart(program: Any) -> None:
    """Both have records in the file when they fork and end; all of them arrive once."""
    place = program.folder / "place"
    place.write_text("a file where a folder has to be")
    program.url = f"sqlite:///{place}/buffer.db"
    program.environment |= {"PUMPKIT_BUFFER": program.url, "XDG_STATE_HOME": str(program.folder / "state")}
    code = """
        import os, sys, pumpkit
        pumpkit.configure(overflow="spill")
        for number in range(100):
            pumpkit.record({"n": number, "who": 0})
        assert pumpkit.flush(30).pending == 100
        child = os.fork()
        for number in range(100):
            pumpkit.record({"n": number, "who": 1 if child else 2})
        if child:
            os.waitpid(child, 0)
    """
    _, err = program.run(code)
    assert "could not be sent" not in err
    place.unlink()
    program.run(
        """
        import time, pumpkit
        from pumpkit.buffers import open_buffer
        pumpkit.configure(overflow="spill")
        pumpkit.record({"n": 0, "who": 3})
        pumpkit.flush()
        buffer = open_buffer()
        while buffer.stats().stored < 301:
            time.sleep(0.01)
        """
    )
    found = program.records()
    assert sorted((record["who"], record["n"]) for record in found) == [
        (who, n) for who in range(4) for n in range(100 if who < 3 else 1)
    ]


def test_a_reporter_that_has_nothing_more_to_send_notices_that_the_buffer_is_back(new_desk: Any, log: FakeLog) -> None:
    """Its last frame, which only told of drops, is in the file; it still sends on what a killed process left there."""
    killed, idle = new_desk(), new_desk()
    log.down = AWAY
    idle.turn()
    idle.sender.full.add()
    for seconds in (0.5, 2.0):
        idle.turn(seconds)
    assert idle.sender.idle
    _spill(killed, 5)
    killed.sender._spill.close()  # type: ignore[union-attr]
    log.down = None
    for _ in range(10):
        idle.turn(6.0)
    assert len(log.records()) == 5
    assert idle.sender.link.trouble is None


def test_what_is_put_there_in_the_moment_of_a_look_is_found(new_desk: Any, log: FakeLog) -> None:
    """Clocks of files are coarse: one that was written just now may be written again and look the same."""
    first, second, third = new_desk(), new_desk(), new_desk()
    for desk in (first, second):
        _spill(desk, 5)
        log.down = None
        desk.until(lambda desk=desk: desk.sender.idle and not desk.sender.spilled)  # type: ignore[misc]
    file = file_for("sqlite:////of/the/test.db", second.folder)
    looked = {path: path.stat() for path in (file, file.with_name(file.name + "-wal")) if path.exists()}
    _spill(third, 5)
    third.sender._spill.close()  # type: ignore[union-attr]
    for path, before in looked.items():
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert path.stat().st_size == before.st_size
    log.down = None
    for _ in range(3):
        second.turn(10.0)
    assert len(log.records()) == 15


def test_the_file_is_looked_at_once_while_nothing_changes_in_it(new_desk: Any, tmp_path: Path) -> None:
    """A reporter that finds the file empty does not open it again before somebody has put something into it."""
    first = new_desk()
    _spill(first, 5)
    first.log.down = None
    first.until(lambda: first.sender.idle and not first.sender.spilled)
    second = new_desk()
    file = file_for("sqlite:////of/the/test.db", second.folder)
    for path in tmp_path.glob(f"{file.name}*"):
        os.utime(path, (time.time() - 60, time.time() - 60))
    second.record()
    second.until(lambda: second.sender.idle)
    second.turn(10.0)
    opened: list[int] = []
    spill = second.sender._spill
    assert spill is not None
    open_ = spill._open
    spill._open = lambda: opened.append(1) or open_()  # type: ignore[method-assign, func-returns-value]
    for _ in range(10):
        second.turn(10.0)
    assert opened == []
    _spill(first, 5)
    first.log.down = None
    second.turn(10.0)
    assert opened


def test_a_full_file_and_an_absence_leave_the_processor_alone(new_desk: Any) -> None:
    """While neither takes what waits, looks stay as rare as ever."""
    desk = new_desk(spill_bytes=200_000)
    _spill(desk, 50)
    while not desk.sender.pending:
        desk.queue.extend({"x": os.urandom(200)} for _ in range(100))
        desk.turn(0.6)
    desk.queue.extend({"n": n} for n in range(5))
    assert [desk.turn(0.2) for _ in range(20)] == [pytest.approx(0.2, abs=0.1)] * 20
