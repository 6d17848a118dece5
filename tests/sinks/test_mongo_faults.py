"""Faults of server and network: whatever happens to a write, each record is there once in the end."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pumpkit.errors import PartialWrite, Unavailable
from pumpkit.plugins import Sink
from tests.servers.mongo import MongoServer
from tests.servers.proxy import Proxy
from tests.sinks.mongo_world import MongoWorld, ids, numbers


@pytest.fixture
def proxy(mongo_server: MongoServer) -> Iterator[Proxy]:
    """A network between sink and server."""
    with Proxy(mongo_server.port) as proxy:
        yield proxy


def through(world: MongoWorld, proxy: Proxy, options: str = "", **meta: Any) -> Sink:
    """Return a sink that writes by way of the proxy."""
    return world.open(url=world.url(proxy.port, options), **meta)


def until_written(sink: Sink, records: list[dict[str, Any]], first: int = 0, timeout: float = 2.0) -> list[str]:
    """Send records as a pump does until all are written; return the reasons for sending again."""
    todo = dict(zip(ids(first, len(records)), records, strict=True))
    reasons = []
    deadline = time.monotonic() + 90
    while todo:
        assert time.monotonic() < deadline, reasons[-1:]
        names = list(todo)
        try:
            sink.write([dict(todo[name]) for name in names], names, timeout, False)
        except PartialWrite as verdict:
            assert not verdict.rejected  # noqa: PT017 - a pump would go on, too
            todo = {names[index]: todo[names[index]] for index in verdict.retry}
            reasons.append("partly")
        except Unavailable as verdict:
            reasons.append(str(verdict))
            time.sleep(0.05)
        else:
            todo = {}
    return reasons


@pytest.mark.parametrize("retry", ["true", "false"], ids=["the driver repeats", "the driver does not"])
def test_a_connection_cut_before_the_answer(mongo_world: MongoWorld, proxy: Proxy, retry: str) -> None:
    """What was written and not confirmed is sent again, by the driver or by the pump, and is there once."""
    sink = through(mongo_world, proxy, f"&retryWrites={retry}")
    proxy.cut(lambda request: b"insert" in request, every=2)
    reasons = [reason for n in range(10) for reason in until_written(sink, numbers(n * 20, 20), first=n * 20)]
    assert proxy.lost >= 5
    assert not reasons or retry == "false"
    assert mongo_world.documents() == dict(enumerate(numbers(0, 200)))


def test_every_answer_is_lost_for_a_while(mongo_world: MongoWorld, proxy: Proxy) -> None:
    """The driver gives up after its second try; the batch was written by the first, and is there once."""
    sink = through(mongo_world, proxy)
    proxy.cut(lambda request: b"insert" in request, times=4)
    reasons = until_written(sink, numbers(0, 50))
    assert reasons
    assert "127.0.0.1" in reasons[0]
    assert mongo_world.documents() == dict(enumerate(numbers(0, 50)))


def test_upserts_whose_answers_are_lost(mongo_world: MongoWorld, proxy: Proxy) -> None:
    """An upsert that is sent again replaces its own document."""
    sink = through(mongo_world, proxy, "&retryWrites=false", mode="upsert", upsert_by=["n"])
    proxy.cut(lambda request: b"update" in request, every=2)
    for first in range(0, 60, 20):
        until_written(sink, numbers(first, 20), first=first)
    assert proxy.lost
    with mongo_world.server.client() as client:
        found = [document["n"] for document in client["records"]["audit"].find().sort("n")]
    assert found == list(range(60))


def test_a_server_that_is_killed_and_comes_back(new_mongo_world: Callable[..., MongoWorld]) -> None:
    """SIGKILL between and during writes: the same sink goes on, without a new `init`, and everything is there once."""
    world = new_mongo_world()
    sink = world.open()
    until_written(sink, numbers(0, 500))
    world.server.kill()
    with pytest.raises(Unavailable):
        world.write(sink, numbers(500, 500), first=500, timeout=1.0)
    world.server.start()
    until_written(sink, numbers(500, 500), first=500, timeout=10.0)
    assert world.documents() == dict(enumerate(numbers(0, 1_000)))


def test_a_server_that_is_frozen(new_mongo_world: Callable[..., MongoWorld]) -> None:
    """SIGSTOP past the deadline: the write ends in time, as an unknown one; afterwards all is there once."""
    world = new_mongo_world()
    sink = world.open()
    try:
        world.write(sink, numbers(0, 100))
        world.server.pause()
        for _ in range(2):
            before = time.monotonic()
            with pytest.raises(Unavailable):
                world.write(sink, numbers(0, 200), timeout=0.5)
            assert time.monotonic() - before < 5
    finally:
        world.server.resume()
    until_written(sink, numbers(0, 200), timeout=10.0)
    assert world.documents() == dict(enumerate(numbers(0, 200)))


@pytest.mark.parametrize("mode", ["blackhole", "reset", "refuse"])
def test_a_network_that_fails(mongo_world: MongoWorld, proxy: Proxy, mode: Any) -> None:
    """Whatever a network does, the write ends in time, for later."""
    sink = through(mongo_world, proxy)
    mongo_world.write(sink, numbers(0, 10))
    proxy.mode = mode
    with pytest.raises(Unavailable):
        mongo_world.write(sink, numbers(10, 10), first=10, timeout=0.5)
    proxy.heal()
    until_written(sink, numbers(0, 20), timeout=10.0)
    assert mongo_world.documents() == dict(enumerate(numbers(0, 20)))


def test_a_connection_whose_other_end_is_gone(mongo_world: MongoWorld, proxy: Proxy) -> None:
    """A connection that only this side has costs a write its time, and no more."""
    sink = through(mongo_world, proxy)
    mongo_world.write(sink, numbers(0, 10))
    proxy.half_open()
    time.sleep(0.1)
    until_written(sink, numbers(10, 10), first=10, timeout=1.0)
    assert mongo_world.documents() == dict(enumerate(numbers(0, 20)))


def test_all_commands_of_a_write_share_its_time(mongo_world: MongoWorld, proxy: Proxy) -> None:
    """A write of many commands ends at its deadline; what was written by then is told, the rest is for later."""
    sink = through(mongo_world, proxy, max_bytes=1)
    mongo_world.write(sink, numbers(0, 1), first=500)
    proxy.latency = 0.05
    before = time.monotonic()
    with pytest.raises(PartialWrite) as caught:
        mongo_world.write(sink, numbers(0, 200), timeout=1.0)
    assert time.monotonic() - before < 5
    written = 200 - len(caught.value.retry)
    assert (caught.value.rejected, caught.value.retry) == ({}, list(range(written, 200)))
    proxy.heal()
    assert set(range(written)) <= set(mongo_world.documents())


@pytest.mark.parametrize("mode", ["refuse", "blackhole"])
def test_closing_while_the_server_is_away(mongo_world: MongoWorld, proxy: Proxy, mode: Any) -> None:
    """It does not wait for a server to come back."""
    sink = through(mongo_world, proxy)
    mongo_world.write(sink, numbers(0, 10))
    proxy.mode = mode
    with pytest.raises(Unavailable):
        mongo_world.write(sink, numbers(10, 10), first=10, timeout=0.5)
    before = time.monotonic()
    sink.close()
    assert time.monotonic() - before < 10


def test_a_server_that_is_not_there_at_the_start(mongo_world: MongoWorld, proxy: Proxy) -> None:
    """`init` ends for later, and works when it is tried again."""
    proxy.mode = "refuse"
    sink = mongo_world.make(url=mongo_world.url(proxy.port, "&serverSelectionTimeoutMS=500"))
    for _ in range(2):
        with pytest.raises(Unavailable, match=r"MongoDB at 127\.0\.0\.1"):
            sink.init()
    proxy.heal()
    sink.init()
    mongo_world.write(sink, numbers(0, 3))


def test_a_server_that_answers_nothing_at_the_start(mongo_world: MongoWorld, proxy: Proxy) -> None:
    """`init` ends by itself before the pump's patience does."""
    proxy.mode = "blackhole"
    sink = mongo_world.make(url=mongo_world.url(proxy.port, "&serverSelectionTimeoutMS=1000&connectTimeoutMS=500"))
    with pytest.raises(Unavailable):
        sink.init()


def test_a_step_down_under_load(mongo_world: MongoWorld) -> None:
    """Several times no primary, in the middle of batches: nothing is lost, nothing is twice."""
    sink = mongo_world.open()
    for n in range(6):
        if n % 2:
            mongo_world.server.step_down(1)
        until_written(sink, numbers(n * 50, 50), first=n * 50)
    assert mongo_world.documents() == dict(enumerate(numbers(0, 300)))
