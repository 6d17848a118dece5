"""Plugins that misbehave, each beside a healthy pump that goes on: by the counts, not by the clock."""

import pytest

POISON = {"field": "n", "value": "1234"}


def run_beside_healthy(world, bad, count=3000):
    """Run a pump named bad beside a healthy one; wait until the healthy one has everything."""
    world.configure({"bad": bad, "healthy": {"type": "t-file"}}, **{"purge-delay": 0.05})
    world.fill(count)
    runner = world.run()
    world.wait_for_lag("healthy")
    world.assert_exactly_once(world.arrived("healthy"), count)
    return runner


def assert_only_poison_died(world, kind, count=3000, poison=1234):
    """Check that exactly one record is dead, of this kind, and every other one arrived once."""
    world.wait_for_lag("bad")
    letters = world.dead("bad")
    assert [(letter.kind, letter.plugin.partition(" ")[0]) for letter in letters] == [
        (kind, letters[0].plugin.partition(" ")[0])
    ]
    arrived = world.arrived("bad")
    assert sorted(arrived) == [n for n in range(count) if n != poison]
    world.balance("bad")


def test_a_record_that_segfaults_the_sink_is_found(world):
    """It alone becomes a dead letter (crash); what was accepted is not written again."""
    run_beside_healthy(world, {"type": "t-segfault", "meta": dict(POISON)})
    assert_only_poison_died(world, "crash")


def test_a_record_that_segfaults_a_filter_is_found(world):
    """Filters are plugin code too."""
    run_beside_healthy(world, {"type": "t-segfault-filter", "meta": dict(POISON)})
    assert_only_poison_died(world, "filter")


def test_a_record_that_segfaults_omit_detail_is_found(world):
    """So is the plugin's own way of omitting detail."""
    meta = {**POISON, "where": "omit-detail"}
    run_beside_healthy(world, {"type": "t-segfault", "omit-detailed-recording": True, "meta": meta})
    assert_only_poison_died(world, "filter")


@pytest.mark.parametrize("how", ["os", "kill"])
def test_a_record_that_ends_the_process_is_found(world, how):
    """os._exit and a signal in a sink are crashes like any other."""
    run_beside_healthy(world, {"type": "t-exit", "meta": {**POISON, "how": how}})
    assert_only_poison_died(world, "crash")


@pytest.mark.parametrize("kind", ["t-exit", "t-exit-filter"])
def test_sys_exit_does_not_end_the_worker(world, kind):
    """sys.exit is an unknown verdict in a write and a dead letter in a filter; the worker lives on."""
    run_beside_healthy(world, {"type": kind, "max-attempts": 1, "meta": {**POISON, "how": "sys"}})
    assert_only_poison_died(world, "filter" if kind == "t-exit-filter" else "unknown")
    assert world.pump("bad")["restarts"] == 0


@pytest.mark.parametrize("how", ["sleep", "gil", "regex"])
def test_a_record_that_hangs_the_sink_is_found(world, how):
    """The watchdog ends the write after its timeout, whatever it hangs in, and the search narrows at once."""
    run_beside_healthy(world, {"type": "t-hang", "timeout": 0.2, "meta": {**POISON, "how": how}}, count=1300)
    assert_only_poison_died(world, "timeout", count=1300)


def test_a_record_that_hangs_a_filter_is_found(world):
    """A runaway predicate is ended like a write."""
    run_beside_healthy(world, {"type": "t-hang-filter", "timeout": 0.2, "meta": {**POISON, "how": "regex"}}, count=1300)
    assert_only_poison_died(world, "filter", count=1300)


def test_poison_is_found_when_a_sink_names_no_record(world):
    """A sink that only fails whole batches loses exactly the record that makes it fail."""
    run_beside_healthy(world, {"type": "t-poison", "max-attempts": 1, "meta": dict(POISON)})
    assert_only_poison_died(world, "unknown")


def test_rejected_records_die_alone(world):
    """PartialWrite: the rejected become dead letters, the others are written."""
    run_beside_healthy(world, {"type": "t-reject", "meta": dict(POISON)})
    assert_only_poison_died(world, "rejected")


@pytest.mark.parametrize("how", ["unavailable", "connection", "timeout", "error"])
def test_an_outage_kills_no_record(world, how):
    """Whatever a sink raises while its destination is away, everything is written afterwards and nothing is dead."""
    up = world.folder / "up"
    meta = {"until": str(up)} | ({} if how == "unavailable" else {"how": how})
    run_beside_healthy(world, {"type": "t-unavailable", "max-attempts": 2, "meta": meta})
    world.wait_for_state("bad", "waiting")
    up.touch()
    world.wait_for_lag("bad")
    assert world.dead("bad") == []
    world.assert_exactly_once(world.arrived("bad"), 3000)


@pytest.mark.parametrize(
    ("bad", "state", "says"),
    [
        ({"type": "t-config-error"}, "failed", ""),
        ({"type": "t-config-error", "meta": {"where": "write"}}, "failed", ""),
        ({"type": "t-import-error"}, "failed", "cannot be imported"),
        ({"type": "t-import-exit"}, "failed", "cannot be imported: SystemExit"),
        ({"type": "t-unmarked"}, "failed", "add @hookimpl"),
        ({"type": "t-no-new"}, "failed", "has no function `new(meta)`"),
        ({"type": "t-new-raises"}, "failed", "t-new-raises"),
        ({"type": "t-fiel"}, "failed", "did you mean 't-file'?"),
        ({"type": "t-file", "meta": {"feild": "n"}}, "failed", "feild"),
        ({"type": "t-reject-all", "reject-limit": 100}, "failed", "in a row rejected"),
        ({"type": "t-segfault", "meta": {"where": "init"}}, "crashed", "init killed by SIGSEGV"),
        ({"type": "t-returns-false"}, "waiting", "write_data returned False"),
        ({"type": "t-unavailable", "meta": {"where": "init"}}, "waiting", ""),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else None,
)
def test_a_pump_that_cannot_work_keeps_its_records(world, bad, state, says):
    """Its state and reason say what is wrong, nothing is dead, and its data waits for it, from the first record on."""
    run_beside_healthy(world, bad)
    pump = world.wait_for_state("bad", state)
    assert says in pump["reason"]
    assert world.stats("bad").lag + len(world.dead("bad")) == 3000
    world.balance("bad")
    code, body = world.get("/healthz")
    assert code == (503 if state == "failed" else 200), body


def test_a_hanging_import_is_ended(world):
    """The worker is ended after 30 seconds, and the pump is crashed with the reason."""
    run_beside_healthy(world, {"type": "t-import-hang"})
    pump = world.wait_for_state("bad", "crashed")
    assert pump["reason"] == "init took longer than 30 s"
    assert world.stats("bad").lag == 3000


@pytest.mark.parametrize("kind", ["t-stdout", "t-stderr", "t-child", "t-thread", "t-slow", "t-timeout"])
def test_bad_manners_cost_nothing(world, kind):
    """Printing to stdout, flooding stderr, leaving children or threads behind: the records arrive, and a stop works."""
    bad = {"type": kind, "meta": {"field": "n", "value": "-1"} if kind == "t-timeout" else {}}
    runner = run_beside_healthy(world, bad)
    world.wait_for_lag("bad")
    world.assert_exactly_once(world.arrived("bad"), 3000)
    assert runner.stop() == 0


def test_a_worker_killed_in_every_third_write_loses_nothing(world):
    """Each worker dies in its third write, before it wrote: everything arrives, nothing twice, nothing is dead."""
    run_beside_healthy(world, {"type": "t-nth", "batch-records": 100, "meta": {"calls": 3}}, count=600)
    world.wait_for_lag("bad")
    world.assert_exactly_once(world.arrived("bad"), 600)
    assert world.dead("bad") == []


def test_random_verdicts_lose_and_double_nothing(world):
    """Unavailable, unknown errors and partial writes at random: every record arrives once or is rejected."""
    run_beside_healthy(world, {"type": "t-flaky", "batch-records": 200, "max-attempts": 2, "meta": {"seed": 7}})
    world.wait_for_lag("bad")
    dead = {int(letter.id.rpartition("-")[2]) for letter in world.dead("bad")}
    assert sorted(world.arrived("bad")) == [n for n in range(3000) if n not in dead]
    assert all(letter.kind == "rejected" for letter in world.dead("bad"))
    world.balance("bad")
