"""Whatever dies or gets lost on the way from the list to the log: each record once, its id given once."""

import random
import signal
import threading
import time

import pytest

from pumpkit.dialects import encoder
from pumpkit.pipes import STOPPED
from tests.inputs.conftest import KEY, Importer, World, items, until
from tests.servers.proxy import Proxy

BOTH = pytest.mark.parametrize("where", ["within", "across"])

#: Requests of an importer before which it is killed without --full.
SAMPLE = 6


def requests_of(world: World, where: str) -> int:
    """Return how often an importer says something until it has moved what `kill_before` gives it."""
    heard = []
    with Proxy(world.server.port) as proxy:
        proxy.before = heard.append
        world.client.rpush(KEY, *items(0, 120))
        importer = world.importer(world.log(where), proxy.port)
        until(lambda: importer.counts.get("records") == 120)
        importer.stop()
    return len(heard)


def kill_before(world: World, where: str, request: int, count: int) -> bool:
    """Kill an importer before one of its requests, and let the next one finish; return whether it came so far."""
    heard = 0
    log = world.log(where)
    world.client.rpush(KEY, *items(0, count))
    with Proxy(world.server.port) as proxy:
        started: list[Importer] = []

        def before(data: bytes) -> None:
            nonlocal heard
            heard += 1
            if heard == request:
                until(lambda: bool(started))
                started[0].process.kill()
                started[0].process.wait()
                raise OSError("killed")

        proxy.before = before
        started.append(world.importer(log, proxy.port))
        until(lambda: started[0].process.poll() is not None or started[0].counts.get("records") == count)
        reached = started[0].process.poll() is not None
        if not reached:
            started[0].stop()
    log.read()
    before_crash = list(log.ids)
    follower = world.importer(log)
    until(lambda: not world.client.exists(KEY, f"{{{KEY}}}:pumpkit:in-flight") and follower.states[-1:] == ["running"])
    assert follower.stop() == STOPPED
    log.check(count)
    assert log.ids[: len(before_crash)] == before_crash
    log.forget()
    return reached


@BOTH
def test_killed_at_every_request(world: World, where: str, request: pytest.FixtureRequest) -> None:
    """An importer that is killed before any of its requests: the next one goes on where it was."""
    total = requests_of(world, where)
    points = range(1, total + 1)
    if not request.config.getoption("--full"):
        points = sorted(random.sample(points, SAMPLE))
    reached = []
    for point in points:
        world.clean()
        reached.append(kill_before(world, where, point, 120))
    assert sum(reached) >= len(reached) // 2


@BOTH
def test_answers_get_lost(redis_kind: str, world: World, where: str) -> None:
    """The server has done what was asked, and nobody heard of it: with items that all look the same."""
    same = encoder("iam")({"username": "same"})
    world.client.rpush(KEY, *[same] * 2_000)
    log = world.log(where)
    with Proxy(world.server.port) as proxy:
        proxy.cut(lambda request: b"EVALSHA" in request, every=3)
        importer = world.importer(log, proxy.port)
        until(lambda: world.client.llen(KEY) < 1_000)
        world.client.rpush(KEY, *[same] * 1_000)
        until(lambda: importer.counts.get("records") == 3_000)
        assert proxy.lost > 20
        importer.stop()
    log.read()
    assert len(log.records) == len(set(log.ids)) == log.buffer.stats().stored == 3_000


@BOTH
def test_a_standby_takes_over(redis_kind: str, world: World, where: str) -> None:
    """One importer runs; another one waits, and takes over when it is killed."""
    log = world.log(where)
    world.client.rpush(KEY, *items(0, 100))
    first = world.importer(log).wait_for("running")
    second = world.importer(log).wait_for("standby")
    assert f"is held by process {first.process.pid} on " in second.reason
    first.kill()
    second.wait_for("running")
    world.client.rpush(KEY, *items(100, 100))
    until(lambda: first.counts.get("records", 0) + second.counts.get("records", 0) >= 100)
    until(lambda: not world.client.exists(KEY))
    second.stop()
    log.check(200)


@BOTH
def test_a_frozen_importer_moves_nothing_when_it_wakes_up(world: World, where: str) -> None:
    """Its lease is another's by then, and every script looks at it."""
    log = world.log(where)
    producer = Pusher(world, 20_000)
    first = world.importer(log).wait_for("running")
    second = world.importer(log).wait_for("standby")
    until(lambda: first.counts.get("records", 0) > 100)
    first.process.send_signal(signal.SIGSTOP)
    # One that is frozen while it writes into a file holds that file's lock until it wakes up.
    until(lambda: second.states[-1] == "running" or "locked by another process" in second.reason)
    first.process.send_signal(signal.SIGCONT)
    first.wait_for("standby")
    producer.join()
    until(lambda: not world.client.exists(KEY, f"{{{KEY}}}:pumpkit:in-flight"))
    second.stop()
    first.stop()
    log.check(20_000)


class Pusher(threading.Thread):
    """A Go program: one RPUSH for each record, in pipelines."""

    def __init__(self, world: World, count: int, first: int = 0) -> None:
        super().__init__()
        self._world, self._count, self._first = world, count, first
        self.start()

    def run(self) -> None:
        with self._world.server.client() as client:
            for start in range(self._first, self._first + self._count, 100):
                pipeline = client.pipeline(transaction=False)
                for item in items(start, 100):
                    pipeline.rpush(KEY, item)
                pipeline.execute()
                time.sleep(0.001)


@BOTH
def test_killed_in_a_loop_while_producers_push(redis_kind: str, world: World, where: str) -> None:
    """Four producers, and importers that are killed at any time."""
    log = world.log(where)
    pushers = [Pusher(world, 5_000, first) for first in range(0, 20_000, 5_000)]
    while any(pusher.is_alive() for pusher in pushers):
        importer = world.importer(log, batch=100).wait_for("running")
        time.sleep(random.uniform(0, 0.3))
        importer.kill()
    importer = world.importer(log).wait_for("running")
    until(lambda: not world.client.exists(KEY, f"{{{KEY}}}:pumpkit:in-flight"))
    importer.stop()
    log.check(20_000)


def test_a_go_pump_beside(world: World) -> None:
    """It takes what it takes, and nothing of that gets into the log; the importer says so, once."""
    log = world.log("within")
    taken: list[bytes] = []
    pusher = Pusher(world, 20_000)
    importer = world.importer(log)
    with world.server.client() as client:
        while pusher.is_alive() or client.exists(KEY):
            pipeline = client.pipeline()
            pipeline.lrange(KEY, 0, -1)
            pipeline.delete(KEY)
            taken += pipeline.execute()[0]
            time.sleep(random.uniform(0, 0.01))
    until(lambda: importer.states[-1:] == ["running"])
    importer.stop()
    decode = {blob: number for number, blob in enumerate(items(0, 20_000))}
    log.read()
    assert sorted(log.numbers + [decode[blob] for blob in taken]) == list(range(20_000))
    assert taken
    assert len(importer.errors) <= 1
    if importer.errors:
        assert f"somebody else takes items off the list {KEY}" in importer.errors[0]


def test_somebody_takes_items_between_look_and_move(world: World) -> None:
    """Nothing is moved then, and the frame is made anew of what is there."""
    log = world.log("within")
    world.client.rpush(KEY, *items(0, 100))
    with Proxy(world.server.port) as proxy:
        popped = []

        def before(data: bytes) -> None:
            if len(popped) < 3 and len(data) > 500 and b"EVALSHA" in data:  # the append
                popped.append(world.client.lpop(KEY))

        proxy.before = before
        importer = world.importer(log, proxy.port)
        until(lambda: not world.client.exists(KEY))
        importer.stop()
    log.read()
    assert log.numbers == list(range(3, 100))
    assert len(importer.errors) == 1
    assert f"somebody else takes items off the list {KEY}; what it takes never gets into the log" in importer.errors[0]


def test_the_log_is_created_anew(world: World) -> None:
    """Within one Redis the next batch goes under a new producer: nothing counts as lost."""
    log = world.log("within")
    importer = world.importer(log).wait_for("running")
    world.client.rpush(KEY, *items(0, 100))
    until(lambda: importer.counts.get("records") == 100)
    for key in ("log", "meta", "producers"):
        world.client.delete(f"{{pumpkit}}:{key}")
    world.client.rpush(KEY, *items(100, 100))
    until(lambda: importer.counts.get("records") == 200)
    log.forget()
    anew = world.log("within")
    assert anew.read().numbers == list(range(100, 200))
    assert anew.buffer.stats().lost == 0


def test_a_file_is_created_anew(world: World) -> None:
    """Across, the batch is stored under its numbers, and what the old log had counts as lost in the new one."""
    log = world.log("across")
    importer = world.importer(log).wait_for("running")
    world.client.rpush(KEY, *items(0, 100))
    until(lambda: importer.counts.get("records") == 100)
    importer.kill()
    # The batch in flight, and a log that knows nothing of its producer.
    state, flight = f"{{{KEY}}}:pumpkit:state", f"{{{KEY}}}:pumpkit:in-flight"
    assert world.client.hget(state, "first") == b"100"
    world.client.rpush(flight, *items(100, 10))
    other = world.log("across")
    follower = world.importer(other)
    until(lambda: follower.counts.get("records") == 10)
    assert other.read().ids[0].endswith("-100")
    assert other.buffer.stats().lost == 100


@pytest.mark.parametrize("rights", ["+@all", "+@all -info"])
def test_a_redis_that_forgets_swallows_nothing(world: World, new_redis, rights: str) -> None:
    """Restarted with an older state of list and numbers: what is pushed then is stored, whatever numbers are taken.

    Nor does that need a right to ask the server who it is.
    """
    world.server = server = new_redis()
    world.url = server.url
    world.client.close()
    world.client = client = server.client()
    log = world.log("across")
    client.execute_command("ACL", "SETUSER", "default", *rights.split())
    importer = world.importer(log).wait_for("running")
    client.rpush(KEY, *items(0, 100))
    until(lambda: importer.counts.get("records") == 100 and not client.exists(KEY))
    client.execute_command("ACL", "SETUSER", "default", "+@all")
    client.save()
    client.execute_command("ACL", "SETUSER", "default", *rights.split())
    client.rpush(KEY, *items(100, 100))
    until(lambda: importer.counts.get("records") == 200)
    server.kill()
    importer.wait_for("waiting")
    server.start()
    client.execute_command("ACL", "SETUSER", "default", *rights.split())
    client.rpush(KEY, *items(200, 100))
    until(lambda: importer.counts.get("records") == 300)
    importer.stop()
    log.check(300)


@BOTH
def test_redis_dies_and_comes_back(world: World, new_redis, where: str) -> None:
    """With a synced append-only file nothing is lost or doubled; the importer waits meanwhile."""
    server = new_redis("--appendonly", "yes", "--appendfsync", "always")
    world.server = server
    world.url = server.url
    world.client.close()
    world.client = client = server.client()
    log = world.log(where)
    client.rpush(KEY, *items(0, 5_000))
    importer = world.importer(log)
    until(lambda: client.llen(KEY) < 4_000)
    server.kill()
    importer.wait_for("waiting")
    server.start()
    until(lambda: not client.exists(KEY))
    importer.wait_for("running")
    importer.stop()
    log.check(5_000)


def test_a_hanging_redis(world: World) -> None:
    """It is waited for; what was asked of it may have been done."""
    log = world.log("within")
    world.client.rpush(KEY, *items(0, 2_000))
    importer = world.importer(log).wait_for("running")
    world.server.pause()
    importer.wait_for("waiting")
    world.server.resume()
    until(lambda: importer.counts.get("records", 0) >= 1_900)
    until(lambda: not world.client.exists(KEY))
    importer.stop()
    log.check(2_000)
