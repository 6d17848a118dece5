"""One input's supervisor, over scripted processes."""

import pytest

from pumpkit.runner.inputs import InputSupervisor
from pumpkit.status import InputStatus


class Process:
    """A process that does what the test says."""

    pid = 7

    def __init__(self):
        self.code = None

    def send(self, order):
        pass

    def kill(self):
        self.code = -9

    def poll(self):
        return self.code

    def close(self):
        pass


@pytest.fixture
def supervisor():
    """A supervisor whose first process runs; `supervisor.now` is the time."""
    made = InputSupervisor(InputStatus("authz"), {"v": 1}, lambda job: Process(), lambda: made.now)
    made.now = 1000.0
    made.start()
    made.tick()
    made.hear({"status": "state", "state": "running", "reason": ""})
    return made


def counts(records, moved=True, **more):
    """Return a status line as an importer writes it."""
    return {"status": "counts", "records": records, "bad": 1, "bytes": 10 * records, "moved": moved} | more


def test_what_was_moved_adds_up_over_all_lives(supervisor):
    """Each process counts from its own start."""
    supervisor.hear(counts(100, waiting=5))
    supervisor._process.kill()
    supervisor.hear(None)
    supervisor.tick()
    supervisor.now += 1
    supervisor.tick()
    supervisor.hear(counts(20, waiting=0))
    status = supervisor.status
    assert (status.records, status.bad, status.bytes, status.waiting, status.restarts) == (120, 2, 1200, 0, 1)


def test_a_list_that_does_not_get_shorter_is_unhealthy(supervisor):
    """Unless it is empty, or nobody could look at it."""
    status = supervisor.status
    for line, failing in (
        (counts(0, moved=False, waiting=9), True),
        (counts(5, moved=True, waiting=9), False),
        (counts(5, moved=False, waiting=0), False),
        (counts(5, moved=False), False),
    ):
        status.moved = -1000.0
        supervisor.hear(line)
        assert bool(status.failing()) == failing
