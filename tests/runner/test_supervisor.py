"""One pump's supervisor, over a scripted worker and a clock that the test turns."""

import pytest

from pumpkit.buffers.base import CursorStats
from pumpkit.pipes import CRASHED, MISCONFIGURED, NOT_YET, STOPPED
from pumpkit.runner.pumps import PumpSupervisor
from pumpkit.status import PumpStatus


class Worker:
    """A worker process that does what the test says."""

    def __init__(self, job, pid):
        self.job, self.pid, self.orders, self.code, self.killed, self.closed = job, pid, [], None, False, False

    def send(self, order):
        self.orders.append(order)

    def kill(self):
        self.killed = True
        if self.code is None:
            self.code = -9

    def poll(self):
        return self.code

    def close(self):
        self.closed = True


class Stage:
    """A supervisor, its workers, and the time."""

    def __init__(self):
        self.now, self.workers = 1000.0, []
        self.status = PumpStatus("audit", "csv")
        self.supervisor = PumpSupervisor(self.status, {"v": 1}, self.launch, lambda: self.now)

    def launch(self, job):
        self.workers.append(Worker(job, 100 + len(self.workers)))
        return self.workers[-1]

    @property
    def worker(self):
        return self.workers[-1]

    def say(self, status, **more):
        self.supervisor.hear({"status": status} | more)

    def start(self):
        self.supervisor.start()
        self.supervisor.tick()
        self.say("state", state="running", reason="", plugin="csv (pumpkit-csv 0.1.0)", timeout=10.0)

    def working(self, first=(5, 0), last=(5, 999), limit=10.0, stage="write"):
        self.say("working", stage=stage, first=list(first), last=list(last), limit=limit)

    def counts(self, position=4, lag=10, delivered=0, moved=False):
        stats = CursorStats("audit", position, 0, delivered, 0, 0, 0, 0, lag, None, "run", 0, 0)
        self.say("counts", **stats._asdict(), moved=moved)

    def die(self, code):
        self.worker.code = code
        self.supervisor.hear(None)
        self.supervisor.tick()

    def wait(self, seconds):
        """Let time pass; return whether another worker was started."""
        before, until = len(self.workers), self.now + seconds
        while self.now < until:
            self.now += 0.1
            self.supervisor.tick()
        return len(self.workers) > before


@pytest.fixture
def stage():
    """A supervisor with a running worker."""
    stage = Stage()
    stage.start()
    return stage


def test_a_started_pump_is_running(stage):
    """A worker that says so is running, with its process id and plugin in the table."""
    assert (stage.status.state, stage.status.pid) == ("running", 100)
    assert stage.status.plugin == "csv (pumpkit-csv 0.1.0)"
    assert stage.worker.job == {"v": 1, "trouble": [], "accepted": 0}


def test_a_crash_is_followed_by_another_worker_after_half_a_second_then_longer(stage):
    """The pause doubles from 0.5 to 30 seconds while workers keep crashing."""
    pauses = []
    for _ in range(8):
        stage.die(-11)
        assert stage.status.state == "crashed"
        began = stage.now
        while not stage.wait(0.1):
            pass
        pauses.append(stage.now - began)
    assert pauses == pytest.approx([0.5, 1, 2, 4, 8, 16, 30, 30], abs=0.2)
    assert stage.status.restarts == 8


def test_a_minute_of_good_work_begins_the_pauses_anew(stage):
    """A worker that ran for over 60 seconds was good."""
    for _ in range(3):
        stage.die(-11)
        stage.wait(40)
        stage.counts()
    for _ in range(70):
        stage.wait(1)
        stage.counts()
    stage.die(-11)
    assert stage.wait(0.7)


def test_what_a_worker_died_with_goes_to_the_next_one(stage):
    """The range in hand, how it died, and how many writes were accepted before, travel as trouble."""
    for _ in range(3):
        stage.say("wrote", records=10, seconds=0.01)
    stage.working()
    stage.die(-11)
    assert stage.status.reason == "write killed by SIGSEGV with the records 5:0 to 5:999"
    stage.wait(1)
    assert stage.worker.job["accepted"] == 3
    assert stage.worker.job["trouble"] == [
        {"stage": "write", "first": (5, 0), "last": (5, 999), "kind": "crash", "accepted": 3}
    ]


def test_a_timeout_is_told_by_the_time_elapsed(stage):
    """A guarded call that had its whole limit died of it, whatever the exit code."""
    stage.working(limit=10.0)
    stage.wait(11)
    stage.die(CRASHED)
    assert stage.status.reason == "write took longer than 10 s with the records 5:0 to 5:999"
    stage.wait(1)
    assert stage.worker.job["trouble"][0]["kind"] == "timeout"


def test_a_call_that_came_back_leaves_no_trouble(stage):
    """Dying after a guarded call has come back blames no record."""
    stage.working()
    stage.say("free")
    stage.die(-9)
    assert stage.status.reason == "the worker was killed by SIGKILL"
    stage.wait(1)
    assert stage.worker.job["trouble"] == []


def test_dying_in_init_blames_no_record(stage):
    """There are no records in hand while a plugin connects."""
    stage.working(first=(0, 0), last=(0, 0), limit=30.0, stage="init")
    stage.die(-11)
    assert stage.status.reason == "init killed by SIGSEGV"
    stage.wait(1)
    assert stage.worker.job["trouble"] == []


def test_no_pause_while_the_search_narrows(stage):
    """A death within a smaller part of an earlier range is followed by a worker at once."""
    stage.working((5, 0), (5, 999))
    stage.die(-11)
    assert not stage.wait(0.3)
    assert stage.wait(0.4)
    for last in (499, 249, 124, 62, 31, 15, 7, 3, 1, 0):
        stage.working((5, 0), (5, last))
        stage.die(-11)
        assert stage.wait(0.1)
    stage.working((5, 0), (5, 0))
    stage.die(-11)
    assert not stage.wait(0.3)
    assert stage.wait(1)


def test_trouble_is_forgotten_once_it_is_passed(stage):
    """A commit beyond a range ends its story."""
    stage.working((5, 0), (5, 999))
    stage.die(-11)
    stage.wait(1)
    stage.counts(position=5)
    stage.die(-11)
    stage.wait(5)
    assert stage.worker.job["trouble"] == []


def test_a_misconfigured_pump_is_failed_and_tried_each_minute(stage):
    """`failed` keeps its reason while a fresh worker tries each 60 seconds."""
    stage.say("state", state="failed", reason="no such index")
    stage.die(MISCONFIGURED)
    assert (stage.status.state, stage.status.reason) == ("failed", "no such index")
    assert not stage.wait(59)
    assert stage.wait(2)
    assert (stage.status.state, stage.status.reason) == ("failed", "no such index")
    stage.say("state", state="running", reason="")
    assert (stage.status.state, stage.status.reason, stage.status.last_error) == ("running", "", "no such index")


def test_what_is_not_there_yet_is_waited_for(stage):
    """A worker that ends with 75 leaves the pump waiting, with the reason, and another one soon tries."""
    stage.say("state", state="waiting", reason="connection refused")
    stage.die(NOT_YET)
    assert (stage.status.state, stage.status.reason) == ("waiting", "connection refused")
    assert stage.wait(0.7)


@pytest.mark.parametrize("code", [MISCONFIGURED, NOT_YET])
def test_a_plugin_that_borrows_an_exit_code_has_crashed(stage, code):
    """os._exit(78) in plugin code is not the worker saying that a person has to change something."""
    stage.working()
    stage.die(code)
    assert stage.status.state == "crashed"
    assert f"exit code {code}" in stage.status.reason
    assert stage.wait(0.7)


def test_the_reason_of_the_latest_crash_is_shown(stage):
    """Also when one worker after the other crashes before it runs."""
    stage.die(-11)
    stage.wait(1)
    stage.working(first=(0, 0), last=(0, 0), limit=30.0, stage="init")
    stage.die(-6)
    assert stage.status.reason == "init killed by SIGABRT"


def test_a_worker_that_cannot_be_started_is_tried_again(stage, monkeypatch):
    """No process to be had now is a crash of this pump alone, with the usual pauses."""

    def launch(job):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    stage.die(-11)
    with monkeypatch.context() as patch:
        patch.setattr(stage.supervisor, "_launch", launch)
        stage.wait(5)
        assert stage.status.state == "crashed"
        assert "cannot be started" in stage.status.reason
    assert stage.wait(10)


@pytest.mark.parametrize("end", ["replayed", "reload"])
def test_replay_trouble_ends_with_the_replay_and_with_a_reload(stage, end):
    """A letter that killed is not refused for ever."""
    stage.working((5, 7), (5, 7), stage="replay")
    stage.die(-11)
    assert stage.wait(0.7)
    assert [one["stage"] for one in stage.worker.job["trouble"]] == ["replay"]
    if end == "replayed":
        stage.say("replayed")
    else:
        stage.supervisor.start()
    stage.die(-11)
    assert stage.wait(2)
    assert stage.worker.job["trouble"] == []


def test_the_plugins_timeout_counts_for_health(stage):
    """Patience is 60 seconds beyond the timeout that the worker tells."""
    stage.say("state", state="running", reason="", plugin="slow (slow 1)", timeout=600.0)
    assert (stage.supervisor.timeout, stage.status.patience) == (600.0, 660.0)


def test_progress_seen_from_outside_counts(stage):
    """A pump whose workers die right after each commit gets on all the same."""
    stage.counts(position=4, lag=10)
    stage.die(-11)
    stage.status.moved = -1000.0
    stage.supervisor.observe(CursorStats("audit", 9, 0, 5, 0, 0, 0, 0, 5, None, "run", 0, 0))
    assert stage.status.failing() == ""


def test_an_end_that_nobody_asked_for_is_a_crash(stage):
    """Exit code 0 without a stop is no success."""
    stage.die(STOPPED)
    assert (stage.status.state, stage.status.reason) == ("crashed", "the worker ended with exit code 0")
    assert stage.wait(0.7)


def test_stop_lets_the_batch_in_hand_be_finished(stage):
    """Stopping sends the order, waits for the end, and starts nothing more."""
    stage.supervisor.stop()
    assert (stage.worker.orders, stage.status.state) == ([{"do": "stop"}], "stopping")
    assert not stage.supervisor.gone
    stage.die(STOPPED)
    assert (stage.status.state, stage.supervisor.gone) == ("stopped", True)
    assert not stage.wait(100)


def test_stop_while_no_worker_lives_cancels_the_next_one(stage):
    """A pump between two workers stops at once."""
    stage.die(-11)
    stage.supervisor.stop()
    assert (stage.status.state, stage.supervisor.gone) == ("stopped", True)
    assert not stage.wait(100)


def test_a_new_job_replaces_the_worker_after_its_batch(stage):
    """A changed configuration stops the worker and starts one with the new job."""
    stage.supervisor.start({"v": 2})
    assert stage.worker.orders == [{"do": "stop"}]
    stage.die(STOPPED)
    assert stage.wait(0.1)
    assert (stage.worker.job["v"], stage.status.restarts) == (2, 0)


def test_a_silent_worker_is_killed(stage):
    """Without a status line for 5 seconds more than the worker itself may take it is killed with its children."""
    stage.working(limit=2.0)
    stage.wait(7.5)
    assert not stage.worker.killed
    stage.wait(1)
    assert stage.worker.killed
    stage.supervisor.hear(None)
    stage.supervisor.tick()
    assert stage.status.reason == "write took longer than 2 s with the records 5:0 to 5:999"


def test_without_a_limit_nothing_is_overdue(stage):
    """`timeout: 0` has neither line of defence."""
    stage.working(limit=None)
    stage.wait(3600)
    assert not stage.worker.killed


def test_a_lag_without_progress_is_unhealthy_in_the_end(stage):
    """A pump that lags and commits nothing for its patience is failing; one that gets on, or has no lag, is not."""
    stage.status.patience = 0.0
    stage.counts(position=4, lag=10)
    stage.status.moved = -1000.0
    assert stage.status.failing().startswith("stalled: 10 records waiting, none committed for")
    stage.counts(position=4, lag=0)
    stage.status.moved = -1000.0
    assert stage.status.failing() == ""


def test_a_skip_reaches_the_worker_or_says_that_there_is_none(stage):
    """Moving ahead is the worker's to do while one lives."""
    assert stage.supervisor.skip(0, 7)
    assert stage.worker.orders == [{"do": "skip", "part": 0, "to": 7}]
    stage.die(-9)
    assert not stage.supervisor.skip(0, 8)


def test_the_rate_is_what_was_delivered_lately(stage):
    """Records a second over the last few seconds."""
    for second in range(4):
        stage.counts(position=5 + second, delivered=second * 500)
        stage.now += 1
    assert stage.status.rate == pytest.approx(500)


def test_a_standby_is_healthy_and_shows_what_the_log_says(stage):
    """It waits for its turn: what waits is not its own to carry, nor is there anything to skip."""
    stage.say("state", state="standby", reason="pump audit is held by process 7 on east")
    assert (stage.status.state, stage.status.last_error) == ("standby", "")
    stage.supervisor.observe(CursorStats("audit", 9, 0, 5, 0, 0, 0, 0, 50, None, "run", 0, 0))
    assert stage.status.cursor.lag == 50
    stage.status.moved = -1000.0
    assert stage.status.failing() == ""
    assert not stage.supervisor.skip(0, 7)
    stage.say("state", state="running", reason="")
    assert stage.status.failing() == ""  # its own time begins now


def test_a_worker_that_gets_on_is_not_stalled_by_what_others_have_in_hand(stage):
    """The place of a shared pump is that of its slowest worker; each worker tells whether it got on itself."""
    stage.counts(position=4, lag=10)
    for moved, failing in ((True, False), (False, True)):
        stage.status.moved = -1000.0
        stage.counts(position=4, lag=10, moved=moved)
        assert bool(stage.status.failing()) == failing


def test_a_failed_pump_that_others_may_carry_tries_soon(stage):
    """Where runners take turns a worker that cannot work as configured leaves with 75, and stays `failed` meanwhile."""
    stage.say("state", state="failed", reason="process 7 writes there")
    stage.die(NOT_YET)
    assert (stage.status.state, stage.status.reason) == ("failed", "process 7 writes there")
    assert stage.wait(0.7)


def test_silence_is_pardoned_when_the_runner_stood_still(stage):
    """A runner that was frozen does not kill workers that were frozen with it."""
    stage.working(limit=2.0)
    stage.now += 3600
    stage.supervisor.pardon()
    worker = stage.worker
    stage.wait(7)
    assert not worker.killed
    stage.wait(2)
    assert worker.killed
