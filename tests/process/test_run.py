"""`pumpkit run` with well-behaved sinks: start, stop, signals, reload, pausing, skipping, dead letters."""

import contextlib
import json
import signal
import socket
import time

from pumpkit.buffers import open_buffer
from pumpkit.errors import BufferFull


def test_records_reach_every_pump_and_the_ledger_balances(world):
    """What is in the log arrives at both pumps, in order, each once; a stop exits with 0."""
    world.configure({"one": {"type": "t-file"}, "two": {"type": "t-file", "filters": {"include": {"n": [1, 2, 3]}}}})
    world.fill(2500)
    runner = world.run()
    world.wait_for_lag("one")
    world.wait_for_lag("two")
    world.fill(500, start=2500)
    world.until(lambda: len(world.arrived("one")) == 3000)
    world.wait_for_lag("two")
    assert runner.stop() == 0, runner.log
    assert world.arrived("one") == list(range(3000))
    assert world.arrived("two") == [1, 2, 3]
    assert (world.stats("two").delivered, world.stats("two").filtered) == (3, 2997)
    for name in ("one", "two"):
        world.balance(name)


def test_ids_are_the_producers_and_stable(world):
    """A sink gets `{producer}-{sequence}` for every record."""
    world.configure({"one": {"type": "t-file"}})
    world.fill(10, frame=4)
    runner = world.run()
    world.wait_for_lag("one")
    runner.stop()
    ids = [json.loads(line)["id"] for line in world.arrivals("one").read_text().splitlines()]
    producer = ids[0].partition("-")[0]
    assert len(producer) == 32
    assert ids == [f"{producer}-{n}" for n in range(10)]


def test_what_every_pump_has_passed_leaves_the_log(world):
    """The log is trimmed behind the slowest registered cursor, not before."""
    world.configure({"one": {"type": "t-file"}, "late": {"type": "t-config-error"}})
    world.fill(1000)
    world.run()
    world.wait_for_lag("one")
    world.wait_for_state("late", "failed")
    assert world.status()["buffer"]["frames"] == 2
    world.configure({"one": {"type": "t-file"}, "late": {"type": "t-file"}})
    world.runners[0].signal(signal.SIGHUP)
    world.wait_for_lag("late")
    world.until(lambda: world.status()["buffer"]["frames"] == 0)
    assert world.arrived("late") == list(range(1000))


def test_a_second_runner_is_refused(world):
    """One runner per buffer: the second one says who has it, and exits with 75."""
    world.configure({"one": {"type": "t-file"}})
    first = world.run()
    world.wait_for_state("one", "running")
    second = world.run()
    assert second.wait() == 75
    assert str(first.process.pid) in second.log
    port = {"health-check-address": world.health()}  # and of the same port it is not the port that is told
    world.configure({"one": {"type": "t-file"}}, **port)
    third = world.run()
    assert third.wait() == 75, third.log
    assert first.stop() == 0


def test_a_taken_port_is_refused(world):
    """A health address that cannot be had exits with 69 and says which one, before any record is touched."""
    world.fill(10)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        world.configure({"one": {"type": "t-file"}}, **{"health-check-address": address})
        runner = world.run()
        assert runner.wait() == 69
    assert address in runner.log
    assert world.arrived("one") == []


def test_a_second_signal_ends_it_at_once(world):
    """While a hung write is waited for, a second signal exits with 130; the records stay in the log."""
    world.configure({"stuck": {"type": "t-hang", "timeout": 60}})
    world.fill(10)
    runner = world.run()
    world.until(lambda: world.pump("stuck").get("state") == "running")
    runner.signal(signal.SIGTERM)
    world.until(lambda: "stopping" in runner.log)
    runner.signal(signal.SIGTERM)
    assert runner.wait() == 130
    assert world.stats("stuck").lag == 10


def test_a_stop_waits_no_longer_than_its_grace(world):
    """A worker that does not end within shutdown-grace is killed, its records stay, and the exit code is 0."""
    world.configure({"stuck": {"type": "t-hang", "timeout": 60}, "one": {"type": "t-file"}}, **{"shutdown-grace": 1})
    world.fill(10)
    runner = world.run()
    world.wait_for_lag("one")
    world.wait_for_state("stuck", "running")
    assert runner.stop() == 0
    assert "did not stop in time" in runner.log
    assert world.stats("stuck").lag == 10


def test_sighup_restarts_only_what_changed(world):
    """After a reload the unchanged pump has the same process, the changed one a new one, and a new pump runs."""
    world.configure({"same": {"type": "t-file"}, "changed": {"type": "t-file"}})
    runner = world.run()
    before = {name: world.wait_for_state(name, "running")["pid"] for name in ("same", "changed")}
    world.configure(
        {"same": {"type": "t-file"}, "changed": {"type": "t-file", "timeout": 7}, "new": {"type": "t-file"}}
    )
    runner.signal(signal.SIGHUP)
    world.wait_for_state("new", "running")
    world.until(lambda: world.pump("changed")["pid"] not in (None, before["changed"]))
    assert world.wait_for_state("same", "running")["pid"] == before["same"]


def test_a_broken_file_is_not_reloaded(world):
    """The old configuration goes on, and the log says what is wrong and where."""
    world.configure({"one": {"type": "t-file"}})
    runner = world.run()
    world.wait_for_state("one", "running")
    world.config.write_text(world.config.read_text().replace('"type"', '"tpye"'))
    runner.signal(signal.SIGHUP)
    world.until(lambda: "not reloaded" in runner.log)
    assert "type" in runner.log
    world.fill(10)
    world.wait_for_lag("one")
    assert world.arrived("one") == list(range(10))


def test_a_removed_pump_keeps_its_place_as_an_orphan(world):
    """Its cursor stays, holds trimming, is shown with its lag; the pump goes on where it was when it comes back."""
    world.configure({"one": {"type": "t-file"}, "two": {"type": "t-file"}})
    world.fill(100)
    runner = world.run()
    world.wait_for_lag("one")
    world.wait_for_lag("two")
    world.configure({"one": {"type": "t-file"}})
    runner.signal(signal.SIGHUP)
    world.wait_for_state("two", "orphan")
    world.fill(100, start=100)
    world.until(lambda: world.pump("two").get("lag") == 100)
    assert "pumpkit cursor drop two" in runner.log
    world.configure({"one": {"type": "t-file"}, "two": {"type": "t-file"}})
    runner.signal(signal.SIGHUP)
    world.wait_for_lag("two")
    world.assert_exactly_once(world.arrived("two"), 200)


def test_disabled_and_orphaned_pumps_are_told_apart(world):
    """A disabled pump is stopped; once it is gone from the configuration it is an orphan, and back again."""
    world.configure({"one": {"type": "t-file"}, "two": {"type": "t-file"}})
    runner = world.run()
    world.wait_for_state("two", "running")
    for two, state in (({"enabled": False}, "stopped"), (None, "orphan"), ({"enabled": False}, "stopped")):
        pumps = {"one": {"type": "t-file"}} | ({"two": {"type": "t-file", **two}} if two else {})
        world.configure(pumps)
        runner.signal(signal.SIGHUP)
        assert world.wait_for_state("two", state)["reason"] == ("disabled" if two else "")
    assert runner.log.count("pumpkit cursor drop two") == 1


def test_a_long_purge_delay_is_no_silence(world):
    """A worker that rests for longer than its timeout has a heartbeat, replays when asked to, and stops at once."""
    up = world.folder / "up"
    meta = {"field": "n", "value": "3", "until": str(up)}
    world.configure({"one": {"type": "t-reject", "timeout": 0.1, "meta": meta}}, **{"purge-delay": 3600})
    world.fill(10)
    runner = world.run()
    world.wait_for_lag("one")
    pid = world.wait_for_state("one", "running")["pid"]
    time.sleep(8)  # over the second line: timeout + 1 s + 5 s
    assert world.pump("one")["pid"] == pid
    up.touch()
    with contextlib.closing(open_buffer(world.url)) as buffer:
        buffer.mark("one", "replay")
    world.until(lambda: sorted(world.arrived("one")) == list(range(10)))
    assert runner.stop() == 0


def test_a_paused_pump_takes_nothing_until_it_is_resumed(world):
    """`wanted: pause` is obeyed within seconds, by that pump alone."""
    world.configure({"one": {"type": "t-file"}, "two": {"type": "t-file"}})
    world.run()
    world.wait_for_state("one", "running")
    with contextlib.closing(open_buffer(world.url)) as buffer:
        buffer.set_wanted("one", "pause")
        world.wait_for_state("one", "paused")
        world.fill(100)
        world.wait_for_lag("two")
        assert (world.arrived("one"), world.stats("one").lag) == ([], 100)
        buffer.set_wanted("one", "run")
    world.wait_for_lag("one")
    world.assert_exactly_once(world.arrived("one"), 100)


def test_dead_letters_are_replayed_and_purged_by_the_worker(world):
    """A rejected record is written under its own id once it can be; another one is forgotten on demand."""
    world.configure(
        {"one": {"type": "t-reject", "meta": {"field": "bad", "value": "True", "until": f"{world.folder}/ok"}}}
    )
    world.fill_records(*({"n": n, "bad": n in (3, 7)} for n in range(10)))
    world.run()
    world.wait_for_lag("one")
    letters = {letter.id.partition("-")[2]: letter for letter in world.dead("one")}
    assert sorted(letters) == ["3", "7"]
    (world.folder / "ok").touch()
    with contextlib.closing(open_buffer(world.url)) as buffer:
        assert buffer.mark("one", "replay", [letters["3"].id]) == 1
        assert buffer.mark("one", "purge", [letters["7"].id]) == 1
    world.until(lambda: world.dead("one") == [])
    assert sorted(world.arrived("one")) == [0, 1, 2, 3, 4, 5, 6, 8, 9]
    last = json.loads(world.arrivals("one").read_text().splitlines()[-1])
    assert (last["id"], last["late"]) == (letters["3"].id, True)
    stats = world.stats("one")
    assert (stats.delivered, stats.dead) == (9, 1)
    world.balance("one")


def test_a_recreated_buffer_does_not_leave_pumps_waiting(world):
    """A cursor that remembers another buffer begins again at the oldest record of the new one, and says so."""
    world.configure({"one": {"type": "t-file"}})
    world.fill(300)
    world.run()
    world.wait_for_lag("one")
    world.runners[0].stop()
    for file in world.folder.glob("buffer.db*"):
        if file.is_file():
            file.unlink()
    world.fill(100, start=300)
    second = world.run()
    world.until(lambda: len(world.arrived("one")) == 400)
    assert "created anew" in second.log
    world.assert_exactly_once(world.arrived("one"), 400)
    world.balance("one")


def test_optional_pumps_make_room_when_the_log_nears_its_cap(world):
    """At nine tenths of the cap optional pumps that lag are moved ahead together; what they skipped is counted."""
    optional = {name: {"type": "t-config-error", "required": False} for name in ("slow", "slower")}
    world.configure({"one": {"type": "t-file"}, **optional}, buffer={"url": world.url, "max-bytes": 1 << 20})
    runner = world.run()
    for name in optional:
        world.wait_for_state(name, "failed")
    for start in range(0, 12_000, 500):
        world.until(lambda start=start: _fits(world, start))
    world.wait_for_lag("one")
    assert "nearly full" in runner.log
    for name in optional:
        assert world.stats(name).skipped > 0
        world.balance(name)
    world.assert_exactly_once(world.arrived("one"), 12_000)


def test_a_required_pump_that_stays_down_fills_the_log(world):
    """It is never moved ahead: appends are refused instead, and everything stored waits for it."""
    world.configure({"down": {"type": "t-config-error"}}, buffer={"url": world.url, "max-bytes": 1 << 20})
    world.run()
    world.wait_for_state("down", "failed")
    stored = 0
    while _fits(world, stored):
        stored += 500
    time.sleep(3)  # several rounds of housekeeping
    assert not _fits(world, stored)
    assert (world.stats("down").lag, world.stats("down").skipped) == (stored, 0)


def _fits(world, start):
    try:
        world.fill(500, start=start, noise=200)
    except BufferFull:
        return False
    return True
