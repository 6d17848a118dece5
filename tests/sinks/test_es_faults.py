"""Faults of server and network: whatever happens to a write, each record is there once in the end."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pumpkit.errors import PartialWrite, Unavailable
from pumpkit.plugins import Sink
from tests.servers.elasticsearch import ElasticServer
from tests.servers.proxy import Proxy
from tests.sinks.es_world import EsWorld, ids, numbers

pytestmark = pytest.mark.elasticsearch

#: Verdicts after which a pump sends the same again.
LATER = (Unavailable, ConnectionError, TimeoutError)


@pytest.fixture
def proxy(es_server: ElasticServer) -> Iterator[Proxy]:
    """A network between sink and server."""
    with Proxy(es_server.port) as proxy:
        yield proxy


def through(world: EsWorld, proxy: Proxy, **meta: Any) -> Sink:
    """Return a sink that writes by way of the proxy."""
    return world.open(hosts=f"http://127.0.0.1:{proxy.port}", **meta)


def until_written(sink: Sink, records: list[dict[str, Any]], first: int = 0, timeout: float = 2.0) -> list[str]:
    """Send records as a pump does until all are written; return the reasons for sending again."""
    todo = dict(zip(ids(first, len(records)), records, strict=True))
    reasons = []
    deadline = time.monotonic() + 120
    while todo:
        assert time.monotonic() < deadline, reasons[-1:]
        names = list(todo)
        try:
            sink.write([dict(todo[name]) for name in names], names, timeout, False)
        except PartialWrite as verdict:
            assert not verdict.rejected  # noqa: PT017 - a pump would go on, too
            todo = {names[index]: todo[names[index]] for index in verdict.retry}
            reasons.append("partly")
        except LATER as verdict:
            reasons.append(f"{type(verdict).__name__}: {verdict}")
            time.sleep(0.05)
        else:
            todo = {}
    return reasons


def test_a_connection_cut_before_the_answer(es_world: EsWorld, proxy: Proxy) -> None:
    """What was written and not confirmed is sent again, and is there once."""
    sink = through(es_world, proxy)
    proxy.cut(lambda request: b"_bulk" in request, every=2)
    reasons = [reason for n in range(10) for reason in until_written(sink, numbers(n * 20, 20), first=n * 20)]
    assert proxy.lost >= 5
    assert len(reasons) == proxy.lost
    assert es_world.documents() == dict(enumerate(numbers(0, 200)))


def test_a_server_that_is_killed_and_comes_back(new_es: Callable[..., Any]) -> None:
    """SIGKILL under load: the same sink goes on, without a new `init`, and everything is there once."""
    world = EsWorld(new_es())
    sink = world.open()
    try:
        until_written(sink, numbers(0, 500))
        world.server.kill()
        with pytest.raises(LATER):
            world.write(sink, numbers(500, 500), first=500, timeout=2.0)
        world.server.start()
        until_written(sink, numbers(500, 500), first=500, timeout=10.0)
        world.server.wait_for_status("yellow")
        assert world.documents() == dict(enumerate(numbers(0, 1_000)))
    finally:
        world.close()


@pytest.mark.parametrize("kills", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_a_server_that_is_killed_under_load(new_es: Callable[..., Any], kills: int) -> None:
    """SIGKILL in the middle of writes, again and again: nothing that was acknowledged is lost, nothing is doubled."""
    world = EsWorld(new_es())
    sink = world.open()
    over = threading.Event()
    written: list[int] = []

    def write() -> None:
        while not over.is_set():
            until_written(sink, numbers(len(written), 50), first=len(written))
            written.extend(range(len(written), len(written) + 50))

    writer = threading.Thread(target=write)
    try:
        writer.start()
        for _ in range(kills):
            before = len(written)
            while len(written) < before + 500:
                time.sleep(0.01)
            world.server.restart()
        over.set()
        writer.join()
        world.server.wait_for_status("yellow")
        assert world.documents() == dict(enumerate(numbers(0, len(written))))
    finally:
        over.set()
        world.close()


def test_a_server_that_is_frozen(new_es: Callable[..., Any]) -> None:
    """SIGSTOP past the deadline: the write ends in time, as an unknown one; afterwards all is there once."""
    world = EsWorld(new_es())
    sink = world.open()
    try:
        world.write(sink, numbers(0, 100))
        world.server.pause()
        for _ in range(2):
            before = time.monotonic()
            with pytest.raises(TimeoutError, match="no answer in time"):
                world.write(sink, numbers(0, 200), timeout=0.5)
            assert time.monotonic() - before < 5
        world.server.resume()
        until_written(sink, numbers(0, 200), timeout=10.0)
        assert world.documents() == dict(enumerate(numbers(0, 200)))
    finally:
        world.server.resume()
        world.close()


@pytest.mark.parametrize("mode", ["blackhole", "reset", "refuse"])
def test_a_network_that_fails(es_world: EsWorld, proxy: Proxy, mode: Any) -> None:
    """Whatever a network does, the write ends in time, for later."""
    sink = through(es_world, proxy)
    es_world.write(sink, numbers(0, 10))
    proxy.mode = mode
    with pytest.raises(LATER):
        es_world.write(sink, numbers(10, 10), first=10, timeout=0.5)
    proxy.heal()
    until_written(sink, numbers(0, 20))
    assert es_world.documents() == dict(enumerate(numbers(0, 20)))


def test_a_connection_whose_other_end_is_gone(es_world: EsWorld, proxy: Proxy) -> None:
    """A connection that only this side has costs one write its time, and no more."""
    sink = through(es_world, proxy)
    es_world.write(sink, numbers(0, 10))
    proxy.half_open()
    time.sleep(0.1)
    until_written(sink, numbers(10, 10), first=10, timeout=0.5)
    assert es_world.documents() == dict(enumerate(numbers(0, 20)))


def test_a_slow_network(es_world: EsWorld, proxy: Proxy) -> None:
    """Slowness within the time for a write is no fault."""
    sink = through(es_world, proxy)
    proxy.latency = 0.02
    es_world.write(sink, numbers(0, 100))
    assert len(es_world.documents()) == 100


def test_all_requests_of_a_write_share_its_time(es_world: EsWorld, proxy: Proxy) -> None:
    """A write of many requests ends at its deadline; what was written by then is told, the rest is for later."""
    sink = through(es_world, proxy, **{"max-bytes": 1})
    proxy.latency = 0.05
    before = time.monotonic()
    with pytest.raises(PartialWrite) as caught:
        es_world.write(sink, numbers(0, 200), timeout=1.0)
    assert time.monotonic() - before < 5
    written = 200 - len(caught.value.retry)
    assert (caught.value.rejected, caught.value.retry) == ({}, list(range(written, 200)))
    proxy.heal()
    assert set(range(written)) <= set(es_world.documents())


def test_a_server_that_is_not_there_at_the_start(es_world: EsWorld, proxy: Proxy) -> None:
    """`init` ends for later, and works when it is tried again."""
    proxy.mode = "refuse"
    sink = es_world.make(hosts=f"http://127.0.0.1:{proxy.port}")
    for _ in range(2):
        with pytest.raises(Unavailable):
            sink.init()
    proxy.heal()
    sink.init()
    es_world.write(sink, numbers(0, 3))
