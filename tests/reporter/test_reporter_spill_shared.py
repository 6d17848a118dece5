"""The spill file as what several processes share: each sends on what is in it, whoever has put it there."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from pumpkit import frames
from pumpkit.buffers import open_buffer
from pumpkit.reporter.spill import file_for
from tests.reporter.conftest import AWAY, Desk, FakeLog, ForgetfulLog, SlowLog, balanced, numbers, spill


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
    assert sorted(numbers(log)) == sorted([*range(100), *range(3)])
    assert len(set(log.ids())) == 103
    assert second.sender.confirmed == 3
    assert log.lost == 0


def test_two_reporters_share_a_file_and_each_sends_on_what_both_have_put_there(new_desk: Any, log: FakeLog) -> None:
    """Each keeps its own order, and each learns that its records have arrived."""
    desks = [new_desk(), new_desk()]
    for _ in range(3):
        for desk in desks:
            spill(desk, 5)
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
    spill(first, 5)
    spill(second, 5)
    file = file_for("sqlite:////of/the/test.db", first.folder)
    other = open_buffer(f"sqlite:///{file}")
    cursor = other.cursor("spill")  # as that process
    log.down = None
    first.record(5)
    first.turn(6.0)
    first.turn(6.0)
    assert log.records() == []
    assert first.sender.confirmed == 0
    assert balanced(first)
    cursor.close()
    other.close()
    first.until(lambda: first.sender.idle and not first.sender.spilled)
    assert log.lost == 0


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
    spill(killed, 5)
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
        spill(desk, 5)
        log.down = None
        desk.until(lambda desk=desk: desk.sender.idle and not desk.sender.spilled)  # type: ignore[misc]
    file = file_for("sqlite:////of/the/test.db", second.folder)
    looked = {path: path.stat() for path in (file, file.with_name(file.name + "-wal")) if path.exists()}
    spill(third, 5)
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
    spill(first, 5)
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
    detour = second.sender._spill
    assert detour is not None
    open_ = detour._open
    detour._open = lambda timeout: opened.append(1) or open_(timeout)  # type: ignore[method-assign, func-returns-value]
    for _ in range(10):
        second.turn(10.0)
    assert opened == []
    spill(first, 5)
    first.log.down = None
    second.turn(10.0)
    assert opened


def _of(desk: Desk) -> list[int]:
    """Return the numbers of a process's records in the buffer, in order."""
    return [
        record["n"]
        for frame in desk.log.stored
        if frames.read_header(frame).producer == desk.sender.producer
        for record in frames.decode(frame).records
    ]


def _fail_over(new_desk: Any, log: ForgetfulLog) -> tuple[Desk, Desk]:
    """Return a process whose confirmed records the buffer has forgotten while younger ones are spilled, and another."""
    owner, other = new_desk(log=log), new_desk(log=log)
    other.record(1)
    other.until(lambda: other.sender.idle)
    owner.record(100)
    owner.until(lambda: owner.sender.idle)
    spill(owner, 50)
    log.go_back(1)
    log.down = None
    other.now = owner.now
    return owner, other


def test_a_process_that_lives_sends_again_what_is_missing_before_another_sends_on(new_desk: Any) -> None:
    """Whoever finds the buffer back first does not go on without what only the owner of the frames still has."""
    log = ForgetfulLog()
    owner, other = _fail_over(new_desk, log)
    other.turn(6.0)
    assert log.lost == 0
    for _ in range(50):
        owner.turn(0.5)
        other.turn(0.5)
    assert _of(owner) == list(range(150))
    assert (log.lost, owner.sender.confirmed, owner.sender.resent) == (0, 150, 100)


def test_what_is_missing_of_a_process_that_has_died_holds_nobody_up_for_long(
    new_desk: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """After ten seconds the others go on without it, which the buffer counts as lost."""
    log = ForgetfulLog()
    owner, other = _fail_over(new_desk, log)
    owner.sender._spill.close()  # type: ignore[union-attr]
    other.until(lambda: log.lost)
    assert log.lost == 100
    assert _of(owner) == list(range(100, 150))
    assert any("lacks 100 records of another process" in message for message in caplog.messages)


def test_a_process_that_lives_has_its_time_after_each_absence(new_desk: Any) -> None:
    """That something was missing before the buffer went away again does not shorten it."""
    log = ForgetfulLog()
    owner, other = _fail_over(new_desk, log)
    other.turn(6.0)
    log.down = AWAY
    other.record(1)
    for _ in range(20):
        other.turn(1.0)
    log.down = None
    other.turn(6.0)
    other.turn(6.0)
    assert log.lost == 0
    owner.now = other.now
    owner.until(lambda: owner.sender.confirmed == 150)
    assert _of(owner) == list(range(150))


def test_sending_on_much_leaves_time_for_records(new_desk: Any, log: FakeLog) -> None:
    """A long absence leaves thousands of small frames; the queue is looked at in between, and counts show the way."""
    desk = new_desk(log=SlowLog(log))
    desk.log.desk = desk
    log.down = AWAY
    for _ in range(200):
        desk.record(1)
        desk.turn(1.5)
    assert desk.sender.spilled > 190
    log.down = None
    desk.log.seen.clear()
    most = 0
    while desk.sender.spilled:
        before = len(log.calls)
        desk.turn(0.1)
        most = max(most, len(log.calls) - before)
    assert most < 10
    assert numbers(log) == list(range(200))
    counts = [confirmed for confirmed, _, _ in desk.log.seen]
    assert len(set(counts)) > 10
    assert counts == sorted(counts)
    assert {sum(seen) for seen in desk.log.seen} == {200}


def test_frames_of_a_newer_version_hold_nobody_up(new_desk: Any, log: FakeLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a return to an older pumpkit, what a newer one has spilled waits in a file of its own."""
    older, newer = new_desk(), new_desk()
    with monkeypatch.context() as context:
        context.setattr(frames, "VERSION", frames.VERSION + 1)
        spill(newer, 5)
        newer.sender._spill.close()
    spill(older, 5)
    assert older.sender.spilled == 5
    log.down = None
    older.until(lambda: older.sender.idle and not older.sender.spilled)
    assert (older.sender.confirmed, newer.sender.spilled) == (5, 5)
    with monkeypatch.context() as context:
        context.setattr(frames, "VERSION", frames.VERSION + 1)
        newer.until(lambda: not newer.sender.spilled)
    assert len(log.stored) == 2
