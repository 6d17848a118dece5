"""Several runners on one Redis: they share what needs no order, take turns at what does, and may die or freeze."""

import json
import signal
import time
from collections import Counter

import pytest

from pumpkit.buffers.redis.leases import TTL

#: Settings of both runners.
TOP = {"purge-delay": 0.02}


@pytest.fixture
def shared(new_world, redis_server):
    """A world whose buffer is in Redis."""
    return new_world(redis_server.url)


def csv_pump(world):
    """A pump that writes CSV, with the record's id in a column."""
    return {"type": "csv", "meta": {"csv-dir": str(world.folder / "csv"), "id-field": "id", "max-bytes": "256KiB"}}


def check_csv(world):
    """Check that every stored record is in the CSV files once, those of each producer in order."""
    ids = [row["id"] for row in world.csv_rows()]
    doubled = [id_ for id_, times in Counter(ids).items() if times > 1]
    assert not doubled, (len(doubled), doubled[:5])
    assert set(ids) == world.stored_ids()
    order: dict[str, list[int]] = {}
    for id_ in ids:
        producer, _, number = id_.partition("-")
        order.setdefault(producer, []).append(int(number))
    assert all(numbers == sorted(numbers) for numbers in order.values())


def turns(world, name, runners):
    """Wait until one of two runners has a pump and the other stands by; return them in that order."""

    def told():
        states = {runner: world.pump(name, runner).get("state") for runner in runners}
        having = [runner for runner, state in states.items() if state == "running"]
        waiting = [runner for runner, state in states.items() if state == "standby"]
        return len(having) == len(waiting) == 1 and [*having, *waiting]

    return world.until(told)


def kill_in_turn(world, dice, rounds):
    """Kill one of two runners after the other, with or without its workers, and start it again each time."""
    runners = [world.run(slot="a"), world.run(slot="b")]
    for number in range(rounds):
        time.sleep(dice.uniform(0.4, 1.5))
        victim = runners[number % 2]
        if dice.random() < 0.5:
            victim.signal_all(signal.SIGKILL)
        victim.kill()
        runners[number % 2] = world.run(slot=victim.slot)
    return runners


def test_a_shared_pump_survives_runners_that_are_killed(shared, dice):
    """Four producers, two runners killed -9 in turn: nothing is lost, and what comes twice has the same id."""
    shared.configure({"file": {"type": "t-file"}}, **TOP)
    producers = [shared.report(10_000 * n, 10_000 * (n + 1), 0.03) for n in range(4)]
    kill_in_turn(shared, dice, 8)
    assert [producer.wait(60) for producer in producers] == [0] * 4
    shared.wait_for_lag("file")
    stored = shared.stored_ids()
    assert len(stored) == 40_000
    assert set(shared.arrived_ids("file")) == stored
    shared.balance("file")


def test_csv_survives_runners_that_are_killed(shared, dice):
    """The same into one folder of CSV: nothing lost, nothing doubled, each producer's records in order."""
    shared.configure({"csv": csv_pump(shared)}, **TOP)
    producers = [shared.report(10_000 * n, 10_000 * (n + 1), 0.03) for n in range(4)]
    kill_in_turn(shared, dice, 8)
    assert [producer.wait(60) for producer in producers] == [0] * 4
    shared.wait_for_lag("csv")
    check_csv(shared)
    assert len(shared.csv_rows()) == 40_000
    shared.balance("csv")


def test_both_runners_deliver(shared):
    """What needs no order is shared: each runner's worker writes, and each record arrives once."""
    shared.configure({"file": {"type": "t-slow", "meta": {"seconds": 0.05}, "batch-records": 100}}, **TOP)
    runners = [shared.run(slot="a"), shared.run(slot="b")]
    for runner in runners:
        shared.wait_for_state("file", "running", runner=runner)
    shared.fill(4000, frame=100)
    shared.wait_for_lag("file")
    lines = [json.loads(line) for line in shared.arrivals("file").read_text().splitlines()]
    assert len({line["pid"] for line in lines}) == 2
    shared.assert_exactly_once(sorted(line["record"]["n"] for line in lines), 4000)
    shared.balance("file")


def test_a_frozen_runner_that_wakes_writes_nothing(shared):
    """Frozen until another has taken over: what it wakes up with is not its own any more, and it stands by."""
    shared.configure({"one": {"type": "t-ordered"}}, **TOP)
    runners = [shared.run(slot="a"), shared.run(slot="b")]
    frozen, other = turns(shared, "one", runners)
    shared.fill(500)
    shared.wait_for_lag("one")
    frozen.signal_all(signal.SIGSTOP)
    shared.fill(500, start=500)
    shared.wait_for_state("one", "running", runner=other)
    shared.wait_for_lag("one")
    frozen.signal_all(signal.SIGCONT)
    shared.fill(500, start=1000)
    shared.wait_for_state("one", "standby", runner=frozen)
    shared.wait_for_lag("one")
    assert shared.arrived("one") == list(range(1500))
    assert "it lost what it had in hand" in frozen.log
    shared.balance("one")


def test_csv_survives_a_runner_that_freezes_under_load(shared, dice):
    """Frozen at any moment, for longer than its lease, and woken: nothing doubled, nothing lost, all in order."""
    shared.configure({"csv": csv_pump(shared)}, **TOP)
    runners = [shared.run(slot="a"), shared.run(slot="b")]
    producer = shared.report(0, 20_000, 0.05)
    for _ in range(2):
        frozen, other = turns(shared, "csv", runners)
        time.sleep(dice.uniform(0.1, 0.5))
        frozen.signal_all(signal.SIGSTOP)
        # The other one has the turn; the folder is the frozen one's as long as that lives.
        shared.until(lambda other=other: shared.pump("csv", other)["state"] in ("failed", "running"))
        frozen.signal_all(signal.SIGCONT)
        shared.until(lambda frozen=frozen: "it lost what it had in hand" in frozen.log)
    assert producer.wait(60) == 0
    shared.wait_for_lag("csv")
    check_csv(shared)
    assert len(shared.csv_rows()) == 20_000
    shared.balance("csv")


def test_a_dead_runner_is_followed_within_seconds(shared):
    """A standby takes over from a runner that was killed on the same machine before its lease ends."""
    shared.configure({"csv": csv_pump(shared)}, **TOP)
    runners = [shared.run(slot="a"), shared.run(slot="b")]
    first, second = turns(shared, "csv", runners)
    assert shared.get("/healthz", second)[0] == 200
    first.signal_all(signal.SIGKILL)
    first.kill()
    shared.wait_for_state("csv", "running", runner=second)
    shared.fill(100)
    shared.wait_for_lag("csv")
    check_csv(shared)


def test_a_stopped_runner_hands_over(shared):
    """A graceful stop lets go of everything: nothing is delivered twice, and the other goes on."""
    shared.configure({"one": {"type": "t-ordered"}, "file": {"type": "t-file"}}, **TOP)
    runners = [shared.run(slot="a"), shared.run(slot="b")]
    first, second = turns(shared, "one", runners)
    producer = shared.report(0, 6_000, 0.02)
    shared.until(lambda: shared.stats("one").delivered > 500)
    assert first.stop() == 0, first.log
    shared.wait_for_state("one", "running", runner=second)
    assert producer.wait(60) == 0
    for name in ("one", "file"):
        shared.wait_for_lag(name)
        shared.assert_exactly_once(sorted(shared.arrived(name)), 6_000)
        shared.balance(name)
    assert shared.arrived("one") == list(range(6_000))


def test_a_slot_is_one_runner(shared):
    """A second runner of a slot says which one it is and who has it, and exits with 75; another slot is welcome."""
    shared.configure({"file": {"type": "t-file"}})
    first = shared.run(slot="east")
    shared.wait_for_state("file", "running")
    second = shared.run(slot="east")
    assert second.wait() == 75
    assert "east" in second.log
    assert str(first.process.pid) in second.log
    assert "give each its own slot" in second.log
    third = shared.run(slot="west")
    shared.wait_for_state("file", "running", runner=third)
    shared.until(lambda: shared.cli("status").count("slot ") == 1)


def test_a_runner_whose_slot_was_taken_while_it_was_frozen_leaves(shared):
    """It wakes up to another runner of its slot, exits with 75, and delivers nothing more."""
    shared.configure({"file": {"type": "t-file"}}, **TOP)
    first = shared.run(slot="east")
    shared.wait_for_state("file", "running", runner=first)
    first.signal_all(signal.SIGSTOP)
    shared.until(lambda: shared.cli("status").startswith("runner  none"))
    second = shared.run(slot="east")
    shared.wait_for_state("file", "running", runner=second)
    first.signal_all(signal.SIGCONT)
    assert first.wait() == 75
    assert "another runner has taken over while this one stood still" in first.log
    shared.fill(100)
    shared.wait_for_lag("file")
    shared.assert_exactly_once(shared.arrived("file"), 100)


def test_runners_and_pumps_go_on_after_redis_has_forgotten_everything(shared, redis_server):
    """FLUSHALL takes slots, cursors and leases: all are there again by themselves, and what comes then arrives."""
    shared.configure({"file": {"type": "t-file"}, "one": {"type": "t-ordered"}}, **TOP)
    runners = [shared.run(slot="a"), shared.run(slot="b")]
    turns(shared, "one", runners)
    with redis_server.client() as client:
        client.flushall()
    for runner in runners:
        shared.until(lambda runner=runner: "took the slot" in runner.log)
    turns(shared, "one", runners)
    shared.fill(1000)
    for name in ("file", "one"):
        shared.until(lambda name=name: len(shared.arrived(name)) == 1000)
        shared.wait_for_lag(name)
        shared.balance(name)
    assert shared.arrived("one") == list(range(1000))


def test_several_workers_share_a_pump(shared):
    """`workers: 2` delivers by two processes, each with its row; counts are of the pump, in the first row alone."""
    shared.configure({"file": {"type": "t-slow", "meta": {"seconds": 0.05}, "batch-records": 100, "workers": 2}}, **TOP)
    runner = shared.run()
    for row in ("file", "file#2"):
        shared.wait_for_state(row, "running")
    shared.fill(4000, frame=100)
    shared.wait_for_lag("file")
    lines = [json.loads(line) for line in shared.arrivals("file").read_text().splitlines()]
    assert len({line["pid"] for line in lines}) == 2
    shared.assert_exactly_once(sorted(line["record"]["n"] for line in lines), 4000)
    shared.until(lambda: shared.pump("file").get("delivered") == 4000)
    assert "lag" not in shared.pump("file#2")
    metrics = shared.get("/metrics")[1].decode()
    assert 'pumpkit_records_total{outcome="delivered",pump="file"} 4000.0' in metrics
    assert 'pumpkit_pump_state{pump="file",state="running"} 2.0' in metrics
    shared.configure({"file": {"type": "t-file"}})
    runner.signal(signal.SIGHUP)
    shared.until(lambda: list(shared.status()["pumps"]) == ["file"])
    assert runner.stop() == 0


def test_a_sink_that_keeps_an_order_has_one_worker(shared):
    """The second worker is `failed` and says so, check names the key with its line, and records arrive in order."""
    shared.configure({"one": {"type": "t-ordered", "workers": 2}})
    shared.fill(1000)
    shared.run()
    row = shared.wait_for_state("one#2", "failed")
    assert "only the first worker of the pump delivers to it; set workers: 1" in row["reason"]
    shared.wait_for_lag("one")
    assert shared.arrived("one") == list(range(1000))
    done = json.loads(shared.cli("check", "--json", code=78))
    assert [(one["path"], one["line"]) for one in done["problems"]] == [("pumps.one.workers", 1)]


def test_a_crashing_record_is_found_by_two_runners(shared):
    """What kills its worker travels from runner to runner, and is dead in the end; all others arrive."""
    pump = {"type": "t-segfault", "meta": {"field": "n", "value": "321"}, "batch-records": 200}
    shared.configure({"file": pump}, **TOP)
    shared.fill(1000, frame=200)
    for slot in "ab":
        shared.run(slot=slot)
    shared.wait_for_lag("file")
    assert [letter.kind for letter in shared.dead("file")] == ["crash"]
    assert set(shared.arrived("file")) == set(range(1000)) - {321}
    shared.balance("file")


def test_what_another_runner_configures_is_no_orphan(shared):
    """It is shown as `elsewhere` with its lag; once no configuration has it, as an orphan."""
    shared.configure({"file": {"type": "t-file"}, "other": {"type": "t-config-error"}})
    other = shared.run(slot="b")
    shared.wait_for_state("other", "failed")
    shared.configure({"file": {"type": "t-file"}})
    runner = shared.run(slot="a")
    shared.fill(100)
    shared.until(lambda: shared.pump("other", runner).get("lag") == 100)
    assert shared.pump("other", runner)["state"] == "elsewhere"
    assert "no pump of this configuration" not in runner.log
    (shared.folder / "pumpkit-b.yaml").write_text((shared.folder / "pumpkit-a.yaml").read_text().replace('"a"', '"b"'))
    other.signal(signal.SIGHUP)
    shared.wait_for_state("other", "orphan", runner=runner)


def test_a_sharded_buffer_from_end_to_end(new_world, redis_server, dice):
    """Several streams, two runners of which one is killed: everything arrives, in order per producer, once in CSV."""
    shared = new_world(f"{redis_server.url}?shards=3")
    shared.configure({"csv": csv_pump(shared), "file": {"type": "t-file", "workers": 2}}, **TOP)
    runners = [shared.run(slot="a"), shared.run(slot="b")]
    producers = [shared.report(3_000 * n, 3_000 * (n + 1), 0.01) for n in range(6)]
    first, _ = turns(shared, "csv", runners)
    time.sleep(dice.uniform(0.2, 0.8))
    first.signal_all(signal.SIGKILL)
    first.kill()
    assert [producer.wait(60) for producer in producers] == [0] * 6
    for name in ("csv", "file"):
        shared.wait_for_lag(name)
        shared.balance(name)
    check_csv(shared)
    assert set(shared.arrived_ids("file")) == shared.stored_ids()
    shared.cli("pause", "csv")
    shared.wait_for_state("csv", "paused")
    shared.fill(100)
    shared.wait_for_lag("file")
    assert shared.stats("csv").lag == 100
    shared.cli("resume", "csv")
    shared.wait_for_lag("csv")
    check_csv(shared)


def test_a_lease_is_shorter_than_the_patience_of_these_tests():
    """Otherwise a frozen runner is not taken over from before they give up."""
    assert TTL < 30
