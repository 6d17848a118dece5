"""Drops that processes had counted before they ended, and left in the spill file: others tell the buffer of them."""

from typing import Any

from tests.reporter.conftest import AWAY, FakeLog, SlowLog


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


def _with_drops(new_desk: Any, log: FakeLog, number: int) -> None:
    """Let processes come to their end that have dropped a record each, and spilled another."""
    log.down = AWAY
    for _ in range(number):
        desk = new_desk()
        desk.record(1)
        desk.turn(hurry=True)
        desk.sender.full.add()
        desk.sender.finish(1.0)
    log.down = None


def test_drops_of_others_are_told_once(new_desk: Any, log: FakeLog) -> None:
    """Who starts later does not tell of them again, though the file knows of them for as long as a week."""
    _with_drops(new_desk, log, 3)
    second = new_desk()
    second.record(1)
    second.until(lambda: log.total_drops() == {"full": 3})
    second.turn(6.0)
    third = new_desk()
    third.record(1)
    log.calls.clear()
    for _ in range(5):
        third.turn(6.0, hurry=True)
    assert len(log.calls) == 1


def test_drops_of_a_producer_that_the_buffer_has_forgotten_are_not_told(new_desk: Any, log: FakeLog) -> None:
    """It has counted them, and would take all that is before them for lost."""
    first = new_desk()
    first.record(10)
    first.until(lambda: first.sender.idle)
    first.sender.full.add()
    log.down = AWAY
    first.turn(2.0)
    first.turn(2.0)
    first.sender.finish(1.0)
    log.down = None
    log.next_seq.clear()
    log.drops.clear()
    second = new_desk()
    second.record(1)
    for _ in range(5):
        second.turn(6.0, hurry=True)
    assert (log.lost, log.total_drops()) == (0, {})


def test_telling_of_many_drops_leaves_time_for_records(new_desk: Any, log: FakeLog) -> None:
    """A turn ends after a quarter of a second, whatever there is to tell; the next ones go on."""
    _with_drops(new_desk, log, 30)
    second = new_desk(log=SlowLog(log))
    second.log.desk = second
    second.record(1)
    second.until(lambda: len(log.records()) == 31)
    most = 0
    while log.total_drops() != {"full": 30}:
        before = len(log.calls)
        second.turn(0.2)
        most = max(most, len(log.calls) - before)
    assert 0 < most < 10
