"""The promise table: what becomes of records when a Redis fails. `docs/explanation/redis-promises.md` names these.

Each test lets records flow through a real server, lets it fail, and asks a checker over record ids what became of them.
"""

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from making import Producer

from pumpkit.buffers import open_buffer
from pumpkit.buffers.redis.link import script
from pumpkit.errors import BufferConfigError
from tests.buffers.flow import Flow, assert_all_is_well, until
from tests.servers.fixtures import program
from tests.servers.proxy import Proxy
from tests.servers.redis import RedisServer
from tests.servers.redis_lagging import LaggingPair

KEEPS = ("--appendonly", "yes")
FORGETS = ("--appendonly", "no")

pytestmark = pytest.mark.usefixtures("redis_kind")


@pytest.fixture(
    params=["redis7", pytest.param("valkey9", marks=pytest.mark.slow), pytest.param("redis6", marks=pytest.mark.slow)]
)
def redis_kind(request: pytest.FixtureRequest) -> str:
    """Each kind of server in turn; the others than the first only with --full."""
    kind: str = request.param
    program(kind)
    return kind


@pytest.fixture
def new_flow() -> Iterator[Callable[..., Flow]]:
    """Return a maker of flows; they are closed at the end."""
    with contextlib.ExitStack() as stack:
        yield lambda url, **options: stack.enter_context(contextlib.closing(Flow(url, **options)))


@pytest.fixture
def new_proxy() -> Iterator[Callable[..., Proxy]]:
    """Return a maker of proxies; they are stopped at the end."""
    with contextlib.ExitStack() as stack:
        yield lambda port: stack.enter_context(Proxy(port))


# Crashes of the server --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"resend_window": 0}], ids=["window", "no window"])
def test_kill_with_append_only_file(new_redis, new_flow, options) -> None:
    """kill -9 of a Redis with an append-only file loses nothing, even without a resend window."""
    server = new_redis(*KEEPS)
    flow = new_flow(server.url, **options).pump()
    with flow.load():
        for _ in range(3):
            time.sleep(0.3)
            server.kill()
            server.start()
    found = flow.found()
    assert_all_is_well(found)
    assert found.recovered == 0


def test_kill_with_synced(new_redis, new_flow, redis_kind) -> None:
    """With `confirm="synced"` each record is on the server's disk before it counts as sent."""
    always = () if redis_kind == "valkey9" else ("--appendfsync", "always")  # for want of WAITAOF
    server = new_redis(*KEEPS, *always)
    flow = new_flow(server.url, confirm="synced", resend_window=0).pump()
    with flow.load():
        time.sleep(0.3)
        server.kill()
        server.start()
    assert_all_is_well(flow.found())


def test_synced_where_it_cannot_be(new_redis, new_flow, redis_kind) -> None:
    """A server that cannot tell when its disk has something is refused, saying what to set."""
    server = new_redis(*(FORGETS if redis_kind == "valkey9" else KEEPS))
    advice = "appendonly yes" if redis_kind == "valkey9" else "appendfsync always"
    with contextlib.closing(open_buffer(server.url)) as buffer, pytest.raises(BufferConfigError, match=advice):
        buffer.append([Producer().frame()], confirm="synced")
    flow = new_flow(server.url, confirm="synced")
    flow.record(100)
    assert flow.reporter.flush(2.0).pending == 100
    assert advice in (flow.reporter.stats().trouble or "")


def test_synced_follows_the_server(new_redis, monkeypatch) -> None:
    """A server that is told at run time not to sync each write any more does not confirm as synced any more."""
    monkeypatch.setattr("pumpkit.buffers.redis.confirm._BELIEF", 0.0)
    server, producer = new_redis("--appendonly", "yes", "--appendfsync", "always"), Producer()
    with contextlib.closing(open_buffer(server.url)) as buffer, server.client() as client:
        assert buffer.append([producer.frame()], confirm="synced") is None
        client.config_set("appendfsync", "everysec")
        with pytest.raises(BufferConfigError, match="appendfsync always"):
            buffer.append([producer.frame()], confirm="synced")


def test_kill_without_persistence(new_redis, new_flow) -> None:
    """What the window holds comes back into the empty log, though nobody records any more, and pumps go on."""
    server = new_redis(*FORGETS)
    flow = new_flow(server.url).pump()
    flow.record(2_000)
    flow.flush()
    server.kill()
    server.start()
    until(lambda: flow.reporter.stats().resent == 2_000, "the window")
    found = flow.found()
    assert_all_is_well(found)
    assert flow.stats().lost == 0


def test_kill_without_persistence_under_load(new_redis, new_flow) -> None:
    """So it is however often it happens while records come."""
    server = new_redis(*FORGETS)
    flow = new_flow(server.url).pump()
    with flow.load():
        for _ in range(3):
            time.sleep(0.3)
            server.kill()
            server.start()
    assert_all_is_well(flow.found())


def test_kill_without_persistence_beyond_the_window(new_redis, new_flow, caplog) -> None:
    """What the window does not hold is gone: the reporter says how much, the log counts it, and pumps go on."""
    server = new_redis(*FORGETS)
    flow = new_flow(server.url, resend_bytes=20_000)
    for _ in range(10):
        flow.record(1_000)
        flow.flush()
    server.kill()
    server.start()
    flow.pump()
    flow.record(1_000)
    found = flow.found()
    assert 0 < len(found.lost) < 10_000
    assert found.lost == found.forgotten == set(range(len(found.lost)))
    assert not found.doubled | found.unexpected
    assert flow.stats().lost == len(found.lost)
    assert f"lost {len(found.lost)} records that it had confirmed" in caplog.text
    assert found.recovered == 10_000 - len(found.lost)


def test_a_hung_server(new_redis, new_flow) -> None:
    """While it hangs, record() goes on within its bounds and counts what it drops; the rest arrives afterwards."""
    server = new_redis(*FORGETS)
    flow = new_flow(server.url, records_buffer_size=500, buffer_bytes=20_000).pump()
    flow.record(100)
    flow.flush()
    server.pause()
    try:
        flow.record(4_000, noise=50)
        stats = flow.reporter.stats()
        assert stats.drops["full"] > 0
        assert stats.frame_bytes < 20_000 + 50_000  # one frame over it at most
        until(lambda: flow.reporter.stats().trouble, "trouble")
    finally:
        server.resume()
    found = flow.found()
    assert len(found.lost) == len(found.forgotten) == found.dropped
    assert not found.doubled | found.unexpected


def test_a_server_that_loads_its_data(new_redis, new_flow) -> None:
    """While it answers LOADING after a start, records wait."""
    server = new_redis(*KEEPS, "--key-load-delay", "100")
    with server.client() as client, client.pipeline(transaction=False) as pipe:
        for n in range(15_000):
            pipe.set(f"ballast:{n}", n)
        pipe.execute()
    flow = new_flow(server.url).pump()
    with flow.load():
        time.sleep(0.3)
        server.kill()
        server.start()
    assert any("it has just started, and reads its data" in trouble for trouble in flow.troubles), flow.troubles
    assert_all_is_well(flow.found())


# Fail-over --------------------------------------------------------------------------------------------------------


@pytest.fixture
def pair(redis_replicated) -> Iterator[LaggingPair]:
    """Return a master and its replica."""
    with LaggingPair(redis_replicated) as pair:
        yield pair


def test_fail_over_to_a_lagging_replica(pair, new_flow) -> None:
    """Records that only the dead master had are sent again to the new one, which says what it misses."""
    flow = new_flow(pair.url).pump()
    flow.record(1_000)
    flow.flush()
    pair.lag()
    flow.record(1_000)
    flow.flush()
    pair.fail_over()
    with flow.load():
        time.sleep(0.3)
    found = flow.found()
    assert_all_is_well(found)
    assert found.recovered >= 1_000


def test_fail_over_without_a_window(pair, new_flow) -> None:
    """With `confirm="stored"` and no window the records that only the dead master had are lost, and counted."""
    flow = new_flow(pair.url, resend_window=0)
    flow.record(1_000)
    flow.flush()
    pair.lag()
    flow.record(1_000)
    flow.flush()
    pair.fail_over()
    flow.pump()
    flow.record(1_000)
    found = flow.found()
    assert found.lost == found.forgotten == set(range(2_000 - len(found.lost), 2_000))
    assert flow.stats().lost == len(found.lost) >= 1_000
    assert not found.doubled | found.unexpected


def test_fail_over_with_replicated(pair, new_flow, caplog) -> None:
    """With `confirm="replicated"` nothing counts as sent that no replica has, so a window is not needed."""
    flow = new_flow(f"{pair.url}?replicas=1", pump_url=pair.url, resend_window=0, confirm="replicated").pump()
    flow.record(1_000)
    flow.flush()
    pair.lag()
    flow.record(1_000)
    assert flow.reporter.flush(2.0).pending == 1_000
    assert caplog.text.count("the buffer does not confirm") == 1
    pair.fail_over()
    pair.bring_back()
    found = flow.found()
    assert_all_is_well(found)
    assert found.recovered == 0


def test_a_master_that_was_demoted(new_redis, new_flow) -> None:
    """While a server answers READONLY, records wait."""
    server = new_redis(*FORGETS)
    flow = new_flow(server.url).pump()
    with flow.load(), server.client() as client:
        time.sleep(0.3)
        client.replicaof("127.0.0.1", "1")
        until(lambda: "it is a replica" in (flow.reporter.stats().trouble or ""), "READONLY")
        client.replicaof("NO", "ONE")
    assert_all_is_well(flow.found())


# What somebody does to the data -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [["DEL", "{pumpkit}:log"], ["XGROUP", "DESTROY", "{pumpkit}:log", "pump"], ["FLUSHALL"]],
    ids=["stream deleted", "group destroyed", "FLUSHALL"],
)
def test_what_is_removed(new_redis, new_flow, command) -> None:
    """A stream, a group or everything is removed under load: the window fills the log again, and pumps go on."""
    server = new_redis(*FORGETS)
    flow = new_flow(server.url).pump()
    with flow.load(), server.client() as client:
        for _ in range(3):
            time.sleep(0.3)
            client.execute_command(*command)
    assert_all_is_well(flow.found())


# No room ----------------------------------------------------------------------------------------------------------


def test_out_of_memory(new_redis, new_flow) -> None:
    """At `maxmemory` reporters keep what they can and count what they drop; draining and trimming cures it."""
    server = new_redis(*FORGETS, "--maxmemory-policy", "noeviction")
    flow = new_flow(server.url, records_buffer_size=500, buffer_bytes=50_000)
    flow.record(100)
    flow.flush()
    with contextlib.closing(open_buffer(server.url)) as buffer, server.client() as client:
        buffer.register("pump")
        client.config_set("maxmemory", int(client.info("memory")["used_memory"]) + 2_000_000)
        while not flow.reporter.stats().drops:
            flow.record(100, noise=1_000)
        assert "it is at its maxmemory" in (flow.reporter.stats().trouble or "")
        flow.pump()
        until(lambda: buffer.trim() == 0 and flow.reporter.stats().trouble is None, "room")
        flow.record(1_000)
        flow.flush()
        flow.wait_for_pump()
    dropped = flow.reporter.stats().drops["full"]
    assert flow.recorded - len({n for _, n in flow.arrived}) == dropped
    assert flow.stats().lost == 0


def test_disk_full(as_root, new_flow, redis_kind, tmp_path) -> None:
    """When the disk of the append-only file is full, records wait; with room again, nothing is lost."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], check=True)
    server = RedisServer(program(redis_kind), *KEEPS, "--auto-aof-rewrite-percentage", "0", folder=disk)
    try:
        server.start()
        flow = new_flow(server.url).pump()
        while not (trouble := flow.reporter.stats().trouble):
            flow.record(100, noise=1_000)
        assert "its disk" in trouble
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        flow.record(1_000)
        assert_all_is_well(flow.found())
    finally:
        server.kill()
        subprocess.run(["umount", "-l", disk], check=True)


# The network ------------------------------------------------------------------------------------------------------


def test_connections_killed_all_the_time(new_redis, new_flow) -> None:
    """CLIENT KILL of everybody every 100 ms loses and doubles nothing."""
    server = new_redis(*FORGETS)
    flow = new_flow(server.url).pump()
    ended = threading.Event()

    def kill() -> None:
        with server.client() as client:
            while not ended.wait(0.1):
                client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        with flow.load():
            time.sleep(2)
    finally:
        ended.set()
        thread.join()
    found = flow.found()
    assert_all_is_well(found)
    assert found.recovered == 0


@pytest.mark.parametrize("name", ["append", "fetch", "commit"])
def test_answers_that_do_not_arrive(new_redis, new_flow, new_proxy, name) -> None:
    """Redis has done what it was asked for, and its answer is lost, every second time: nothing is lost or doubled."""
    server = new_redis(*FORGETS)
    proxy = new_proxy(server.port)
    sha = script(name).sha.encode()
    flow = new_flow(f"redis://127.0.0.1:{proxy.port}").pump()
    flow.record(100)
    flow.flush()
    until(lambda: flow.arrived, "the first records")
    proxy.cut(lambda request: sha in request, every=2)
    with flow.load():
        until(lambda: proxy.lost >= 10, "lost answers")
    proxy.heal()
    found = flow.found()
    assert_all_is_well(found)
    assert found.recovered == 0


@pytest.mark.parametrize("mode", ["refuse", "blackhole", "reset", "trickle", "half-open"])
def test_a_network_that_fails(new_redis, new_flow, new_proxy, mode) -> None:
    """Whatever becomes of connections: records wait for a better one."""
    server = new_redis(*FORGETS)
    proxy = new_proxy(server.port)
    flow = new_flow(f"redis://127.0.0.1:{proxy.port}").pump()
    with flow.load():
        time.sleep(0.3)
        if mode == "half-open":
            proxy.half_open()
        else:
            proxy.mode = mode
        time.sleep(1.5)
        proxy.heal()
    found = flow.found()
    assert_all_is_well(found)
    assert found.recovered == 0
