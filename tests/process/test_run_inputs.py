"""`pumpkit run` with an input: its process is looked after like a worker, and shown beside the pumps."""

import contextlib
import json
import os
import re
import signal

import pytest

from pumpkit.dialects import DEFAULT_KEYS, encoder

KEY = DEFAULT_KEYS["iam"]
ENCODE = encoder("iam")


@pytest.fixture
def listed(new_world, redis_server):
    """A world with an input beside one pump, and a client of its Redis."""
    world = new_world(redis_server.url)
    world.configure({"file": {"type": "t-file"}}, inputs={"authz": {"dialect": "iam"}}, **{"purge-delay": 0.02})
    with contextlib.closing(redis_server.client()) as world.client:
        yield world


def push(world, first, count):
    """Do what iam-authz-server does."""
    items = [
        ENCODE({"timestamp": 1_700_000_000, "username": str(n), "effect": "allow"}) for n in range(first, first + count)
    ]
    world.client.rpush(KEY, *items)


def arrived(world):
    """Return who arrived at the pump, in order."""
    path = world.arrivals("file")
    lines = path.read_text().splitlines() if path.exists() else []
    return [int(json.loads(line)["record"]["username"]) for line in lines]


def test_an_input_is_drained_and_shown(listed):
    """What a list holds arrives; status, metrics and health have the input under its name."""
    push(listed, 0, 1000)
    listed.client.rpush(KEY, b"no record")
    runner = listed.run()
    listed.until(lambda: len(arrived(listed)) == 1000)
    assert arrived(listed) == list(range(1000))
    one = listed.until(lambda: (one := listed.status()["inputs"]["authz"])["records"] == 1001 and one)
    assert (one["state"], one["bad"], one["waiting"], one["type"]) == ("running", 1, 0, "redis-list")
    metrics = listed.get("/metrics")[1].decode()
    assert 'pumpkit_input_records_total{input="authz"} 1001.0' in metrics
    assert 'pumpkit_input_state{input="authz",state="running"} 1.0' in metrics
    assert listed.get("/healthz")[0] == 200
    assert re.search(r"^authz +running +0 +1,001 +1$", listed.cli("status"), re.MULTILINE)
    assert runner.stop() == 0
    assert re.search(r"^authz +stopped ", listed.cli("status"), re.MULTILINE)


def test_an_input_that_is_killed_is_started_again(listed):
    """Nothing is lost or doubled, and the count of what it has moved goes on."""
    push(listed, 0, 500)
    listed.run()
    listed.until(lambda: listed.status()["inputs"]["authz"]["records"] == 500)
    os.kill(listed.status()["inputs"]["authz"]["pid"], signal.SIGKILL)
    push(listed, 500, 500)
    one = listed.until(lambda: (one := listed.status()["inputs"]["authz"])["records"] == 1000 and one)
    assert one["restarts"] == 1
    assert "SIGKILL" in one["last_error"]
    listed.until(lambda: arrived(listed) == list(range(1000)))


def test_two_runners_take_turns_at_an_input(listed):
    """One drains and the other stands by, which is healthy; after a kill it takes over within seconds."""
    runners = [listed.run(slot="a"), listed.run(slot="b")]

    def states():
        return [listed.status(runner)["inputs"].get("authz", {}).get("state") for runner in runners]

    listed.until(lambda: sorted(map(str, states())) == ["running", "standby"])
    first, second = runners if states()[0] == "running" else runners[::-1]
    assert listed.get("/healthz", second)[0] == 200
    first.signal_all(signal.SIGKILL)
    first.kill()
    push(listed, 0, 100)
    listed.until(lambda: arrived(listed) == list(range(100)))
    assert listed.status(second)["inputs"]["authz"]["state"] == "running"


def test_inputs_are_reloaded(listed):
    """One that is gone is stopped, one that has changed starts again, one that is wrong fails health by its name."""
    listed.configure({"file": {"type": "t-file"}}, inputs={})
    runner = listed.run()
    listed.wait_for_state("file", "running")
    push(listed, 0, 10)
    listed.configure({"file": {"type": "t-file"}}, inputs={"authz": {"dialect": "iam"}})
    runner.signal(signal.SIGHUP)
    listed.until(lambda: arrived(listed) == list(range(10)))
    pid = listed.status()["inputs"]["authz"]["pid"]
    listed.client.set("not-a-list", "x")
    listed.configure({"file": {"type": "t-file"}}, inputs={"authz": {"dialect": "iam", "key": "not-a-list"}})
    runner.signal(signal.SIGHUP)
    listed.until(lambda: listed.status()["inputs"]["authz"]["state"] == "failed")
    assert listed.status()["inputs"]["authz"]["pid"] != pid
    code, body = listed.get("/healthz")
    assert (code, list(json.loads(body)["inputs"])) == (503, ["authz"])
    listed.configure({"file": {"type": "t-file"}}, inputs={})
    runner.signal(signal.SIGHUP)
    listed.until(lambda: listed.status()["inputs"] == {})
    assert runner.stop() == 0
