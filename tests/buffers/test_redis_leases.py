"""Leases: who may do what, how that ends, and that whoever woke up too late can change nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from making import PLENTY, Producer, append_each, deliver, drain, letter, other
from meddling import everything, give_lease

from pumpkit.buffers import open_buffer
from pumpkit.buffers.base import Counts, Part
from pumpkit.buffers.redis import leases as module
from pumpkit.buffers.redis.buffer import RedisBuffer
from pumpkit.buffers.redis.cursor import RedisCursor
from pumpkit.buffers.redis.leases import Leases, is_dead
from pumpkit.buffers.redis.link import Link
from pumpkit.buffers.redis.url import parse
from pumpkit.errors import BufferBusy, BufferUnavailable, Fenced
from tests.servers.proxy import Proxy
from tests.servers.redis import RedisServer

LOCKS = "{pumpkit}:locks"


@pytest.fixture
def leases(buffer: RedisBuffer) -> Leases:
    """Its leases."""
    return buffer.leases


@pytest.fixture
def rival(redis_server: RedisServer) -> Iterator[RedisBuffer]:
    """The same buffer, as another process has it."""
    opened = open_buffer(redis_server.url)
    assert isinstance(opened, RedisBuffer)
    yield opened
    opened.close()


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases that end soon, and are renewed before."""
    monkeypatch.setattr(module, "TTL", 0.6)
    monkeypatch.setattr(module, "PERIOD", 0.05)


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases that end soon, and that nobody renews: their holders are frozen."""
    monkeypatch.setattr(module, "TTL", 0.2)
    monkeypatch.setattr(module, "PERIOD", 3_600.0)


def eventually(attempt: Callable[[], Any]) -> Any:
    """Return what an attempt returns that succeeds, at most some seconds later."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return attempt()
        except (BufferBusy, AssertionError):
            assert time.monotonic() < deadline
            time.sleep(0.02)


def held_by(server: RedisServer, name: str) -> tuple[str, int, dict[str, str]]:
    """Return token, end and holder of a lease, as the server has them."""
    with server.client() as client:
        value = client.hget(LOCKS, name)
    assert value is not None
    token, till, holder = value.decode().split("|", 2)
    return token, int(till), json.loads(holder)


def hand_to_somebody(server: RedisServer, name: str) -> None:
    """Let somebody on another machine have a lease."""
    with server.client() as client:
        give_lease(client, LOCKS, name)


def state(server: RedisServer) -> dict[bytes, bytes]:
    """Return all that the server has."""
    with server.client() as client:
        return everything(client)


# How one is taken, kept and given back ----------------------------------------------------------------------------


def test_one_holder(leases: Leases, rival: RedisBuffer) -> None:
    """A lease has one holder, who is named to others; it is free once it is given back."""
    lease = leases.take("x", {"health": "here"})
    with pytest.raises(BufferBusy, match=f"held by process {os.getpid()} on "):
        rival.leases.take("x")
    [seen] = rival.leases.all()
    assert (seen.name, seen.token, seen.alive, seen.holder["health"]) == ("x", lease.token, True, "here")
    lease.release()
    lease.release()
    rival.leases.take("x").release()


def test_renewed_for_as_long_as_it_is_held(short: None, leases: Leases, rival: RedisBuffer) -> None:
    """A thread renews it, long after it would have ended."""
    lease = leases.take("x")
    for _ in range(30):
        time.sleep(0.05)
        with pytest.raises(BufferBusy):
            rival.leases.take("x")
    lease.check()


def test_free_when_nobody_renews_it(frozen: None, leases: Leases, rival: RedisBuffer) -> None:
    """Whoever is frozen loses it, and is told so when it wakes up."""
    lease = leases.take("x")
    eventually(lambda: rival.leases.take("x"))
    with pytest.raises(Fenced, match="lease x"):
        lease.check()
    assert lease.lost
    lease.release()
    assert rival.leases.all()[0].alive, "what it gave back was not its own any more"


def test_late_renewal_is_good_while_nobody_took_it(frozen: None, leases: Leases, rival: RedisBuffer) -> None:
    """Its end alone changes nothing. Whoever finds out that it was late renews it before it goes on."""
    lease = leases.take("x")
    time.sleep(0.3)
    assert not rival.leases.all()[0].alive
    lease.check()
    assert rival.leases.all()[0].alive


def test_the_server_is_asked_only_when_it_may_have_ended(
    monkeypatch: pytest.MonkeyPatch, leases: Leases, redis_server: RedisServer
) -> None:
    """A check right after a renewal costs nothing; later it finds out."""
    monkeypatch.setattr(module, "PERIOD", 3_600.0)
    lease = leases.take("x")
    hand_to_somebody(redis_server, "x")
    lease.check()
    lease.renewed -= module.TTL
    with pytest.raises(Fenced):
        lease.check()


def test_a_former_lease_takes_nothing_with_it(short: None, leases: Leases, redis_server: RedisServer) -> None:
    """A process loses a lease and takes it again: giving the lost one back must not end the renewal of the new one."""
    former = leases.take("x")
    with redis_server.client() as client:
        client.hdel(LOCKS, "x")
    lease = leases.take("x")
    former.release()
    _, before, _ = held_by(redis_server, "x")
    eventually(lambda: _assert(held_by(redis_server, "x")[1] > before))
    lease.check()


def test_the_thread_outlives_errors(short: None, leases: Leases, redis_server: RedisServer) -> None:
    """Errors of the server, of whatever kind, do not end the renewal of leases."""
    lease = leases.take("x")
    with redis_server.client() as client:
        client.rename(LOCKS, "elsewhere")
        client.set(LOCKS, "not a hash")
        time.sleep(0.3)
        client.rename("elsewhere", LOCKS)
    _, before, _ = held_by(redis_server, "x")
    eventually(lambda: _assert(held_by(redis_server, "x")[1] > before))
    lease.check()


def test_lost_answer_of_taking_one(monkeypatch: pytest.MonkeyPatch, redis_server: RedisServer) -> None:
    """Whoever took one without knowing does not stand in its own way when it tries again."""
    with Proxy(redis_server.port) as proxy:
        link = Link(parse(f"redis://127.0.0.1:{proxy.port}"))
        leases = Leases(link, LOCKS)
        leases.take("y").release()
        proxy.cut(lambda said: b"EVAL" in said, every=1, times=2)  # it is repeated once by itself
        with pytest.raises(BufferUnavailable):
            leases.take("x")
        assert held_by(redis_server, "x")
        leases.take("x").check()
        leases.close()
        link.close()


def test_clock_of_the_server_is_set_back(short: None, leases: Leases, redis_server: RedisServer) -> None:
    """A lease that ends later than it can have been taken for ends after the usual time, if its holder is dead."""
    leases.take("y").release()
    hand_to_somebody(redis_server, "x")
    eventually(lambda: leases.take("x"))


# Holders that died -------------------------------------------------------------------------------------------------

HOLD = """
from pumpkit.buffers import open_buffer
buffer = open_buffer(url)
lock = buffer.runner_lock({"health": "there"}, "slot")
cursor = buffer.cursor("audit")
print("held", flush=True)
sys.stdin.read()
"""


def test_dead_on_this_machine(redis_server: RedisServer, buffer: RedisBuffer) -> None:
    """What a process of this machine held is free at once when it is killed, and not before, though it is frozen."""
    with other(HOLD, redis_server.url) as holder:
        assert holder.line() == "held"
        holder.process.send_signal(signal.SIGSTOP)
        with pytest.raises(BufferBusy):
            buffer.cursor("audit")
        with pytest.raises(BufferBusy):
            buffer.runner_lock({}, "slot")
        holder.kill()
        buffer.cursor("audit").close()
        assert [runner["alive"] for runner in buffer.runners()] == ["no"]
        buffer.runner_lock({}, "slot").release()


def test_zombies_are_dead(redis_server: RedisServer, buffer: RedisBuffer) -> None:
    """A process that has ended and whose parent does not look holds nothing."""
    with other(HOLD, redis_server.url) as holder:
        assert holder.line() == "held"
        os.kill(holder.process.pid, signal.SIGKILL)
        os.waitid(os.P_PID, holder.process.pid, os.WEXITED | os.WNOWAIT)
        buffer.cursor("audit").close()


def test_process_ids_are_used_again() -> None:
    """Another process of the same number is not the holder."""
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    try:
        holder = module._myself() | {"pid": str(process.pid)}
        machine, _, _ = holder["life"].rpartition("/")
        assert not is_dead(holder | {"life": f"{machine}/{module._started(process.pid)}"})
        assert is_dead(holder), "that one was started at another time"
        assert not is_dead(holder | {"life": "another-machine/1"}), "nobody knows of other machines"
        assert not is_dead({"pid": str(process.pid)}), "nor of holders that say nothing of themselves"
    finally:
        process.communicate()


# Memory that is lost -----------------------------------------------------------------------------------------------


def test_runner_takes_its_lock_again(short: None, redis_server: RedisServer, buffer: RedisBuffer) -> None:
    """A server that lost its memory gets the runner's lock back, with what the runner said last."""
    lock = buffer.runner_lock({"health": "1"}, "slot")
    lock.tell({"health": "2"})
    with redis_server.client() as client:
        client.flushall()
    eventually(lambda: _assert([runner["health"] for runner in buffer.runners()] == ["2"]))
    with pytest.raises(BufferBusy):
        buffer.runner_lock({}, "slot")
    lock.release()
    assert buffer.runner() is None


def test_runner_leaves_its_lock_to_whoever_was_faster(
    short: None, redis_server: RedisServer, buffer: RedisBuffer, caplog: pytest.LogCaptureFixture
) -> None:
    """If somebody else took it meanwhile, it is that one's."""
    buffer.runner_lock({}, "slot")
    hand_to_somebody(redis_server, "runner:slot")
    eventually(lambda: _assert("runner:slot" in caplog.text))
    assert held_by(redis_server, "runner:slot")[2]["host"] == "elsewhere"


def test_cursor_is_not_taken_again(short: None, redis_server: RedisServer, buffer: RedisBuffer) -> None:
    """A cursor whose lease was lost with the server's memory is of no use: nobody knows who has had it meanwhile."""
    cursor = buffer.cursor("audit")
    with redis_server.client() as client:
        client.flushall()
    with pytest.raises(Fenced):
        cursor.fetch(1, PLENTY)
    cursor.close()
    buffer.cursor("audit").close()


# What runners say --------------------------------------------------------------------------------------------------


def test_tell_and_the_word_that_is_left(redis_server: RedisServer, buffer: RedisBuffer, rival: RedisBuffer) -> None:
    """A runner's words are there while it lives, and for a week after it ended."""
    lock = buffer.runner_lock({"pumps": "audit"}, "left")
    lock.tell({"pumps": "audit trail"})
    [seen] = rival.runners()
    assert (seen["slot"], seen["alive"], seen["pumps"], seen["pid"]) == ("left", "yes", "audit trail", str(os.getpid()))
    assert (runner := rival.runner()) is not None
    assert runner["pumps"] == "audit trail"
    lock.release()
    [seen] = rival.runners()
    assert (seen["slot"], seen["alive"], seen["pumps"]) == ("left", "no", "audit trail")
    assert rival.runner() is None
    week = 7 * 86_400_000_000
    with redis_server.client() as client:
        said = client.hget(LOCKS, "runner:left")
        assert said is not None
        _, till, holder = said.decode().split("|", 2)
        client.hset(LOCKS, "runner:left", f"|{int(till) - week - 1}|{holder}")
    assert rival.runners() == []
    buffer.runner_lock({}, "right").release()
    with redis_server.client() as client:
        assert client.hkeys(LOCKS) == [b"runner:right"], "names of hosts that come and go do not pile up"


# Fencing -----------------------------------------------------------------------------------------------------------


WRITES: dict[str, Callable[[RedisCursor, Any], Any]] = {
    "fetch": lambda cursor, one: cursor.fetch(1_000, PLENTY),
    "fetch after": lambda cursor, one: cursor.fetch(1_000, PLENTY, after=one.position),
    "commit": lambda cursor, one: cursor.commit(one.position, Counts(one.total)),
    "letters": lambda cursor, one: cursor.commit(one.position, Counts(0, 0, one.total), [letter("x", one.position)]),
    "accept": lambda cursor, one: cursor.accept([Part(one.position, 0, 0)]),
    "skip": lambda cursor, one: cursor.skip(PLENTY**3),
    "resolve": lambda cursor, one: cursor.resolve(["dead"], [], []),
    "claim": lambda cursor, one: cursor._claim(),
    "hold": lambda cursor, one: cursor.hold(),
}


@pytest.mark.parametrize("share", [None, "one"], ids=["alone", "shared"])
@pytest.mark.parametrize("write", WRITES)
def test_a_cursor_that_woke_up_too_late(
    monkeypatch: pytest.MonkeyPatch, redis_server: RedisServer, buffer: RedisBuffer, write: str, share: str | None
) -> None:
    """Every write of a cursor whose lease another one took raises Fenced, and changes nothing."""
    monkeypatch.setattr(module, "PERIOD", 3_600.0)
    producer = Producer()
    append_each(buffer, producer.frames(2))
    cursor = buffer.cursor("audit", share=share)
    first = cursor.fetch(1, PLENTY)[0]
    cursor.commit(first.position, Counts(first.total - 1, 0, 1), [letter("dead", first.position)])
    buffer.mark("audit", "replay")
    append_each(buffer, producer.frames(2))
    one = cursor.fetch(1, PLENTY)[0]
    if write == "claim":
        ghost = buffer.cursor("audit", share="ghost") if share else None
        assert ghost is None or ghost.fetch(1, PLENTY)
        if ghost is not None:
            monkeypatch.setattr(ghost, "_closed", True)
            ghost._lease.release()
    name = cursor._lease.name
    hand_to_somebody(redis_server, name)
    cursor._lease.renewed -= module.TTL
    before = state(redis_server)
    if write == "claim" and share is None:
        assert cursor._claim() == 0, "there is nobody to claim from"
    else:
        with pytest.raises(Fenced):
            WRITES[write](cursor, one)
    cursor.close()
    assert state(redis_server) == before


def test_drop_and_rename_by_a_person_who_fell_asleep(redis_server: RedisServer, buffer: RedisBuffer) -> None:
    """The scripts of the command line look at the lease too."""
    buffer.register("audit")
    keys = buffer._keys
    lease = buffer.leases.take("pump:audit")
    hand_to_somebody(redis_server, "pump:audit")
    before = state(redis_server)
    mine, theirs = keys.of_pump("audit"), keys.of_pump("trail")
    words = ["audit", lease.name, lease.token]
    assert buffer._link.call("drop", [keys.log, keys.pumps, keys.locks, *mine], words) == 0
    assert buffer._link.call("rename", [keys.log, keys.pumps, keys.locks, *mine, *theirs], [*words, "trail"]) == -1
    assert state(redis_server) == before


#: Scripts that change something and ask for no lease: whoever runs them changes nothing that a lease protects.
OF_ANYBODY = {
    "append": "without a list; a producer is its own",
    "make": "makes what is missing",
    "register": "makes what is missing",
    "want": "a flag of people",
    "mark": "a flag of people",
    "trim": "looks at every pump",
    "fold": "compares with what was read",
    "push": "a producer is its own",
    "take": "is how a lease comes about",
    "consumers": "corrects an end that cannot be",
    "leases": "corrects an end that cannot be",
}


def test_every_script_that_writes_looks_at_a_lease() -> None:
    """Whoever adds a script that writes has to look at a lease in it, or to say here why not."""
    from pumpkit.buffers.redis.link import _LUA

    writing = (
        "HSET",
        "HINCRBY",
        "HDEL",
        "DEL'",
        "UNLINK",
        "XADD",
        "XACK",
        "XCLAIM",
        "XREADGROUP",
        "XGROUP",
        "XTRIM",
        "RENAME",
        "SADD",
        "SREM",
        "ZADD",
        "LTRIM",
        "RPUSH",
        "'SET'",
        "begin_to_write",
        "bounded(",
    )
    unfenced = set()
    for path in _LUA.glob("*.lua"):
        text = path.read_text()
        if path.stem != "common" and any(word in text for word in writing):
            fenced = "held(" in text or "token ~= ARGV[2]" in text or "token == ARGV[i + 1]" in text
            if not fenced or path.stem in OF_ANYBODY:
                unfenced.add(path.stem)
    assert unfenced == set(OF_ANYBODY)


def test_what_was_fenced_off_is_delivered_by_the_next_one(
    frozen: None, buffer: RedisBuffer, rival: RedisBuffer
) -> None:
    """The newcomer first gets, in order, what its predecessor had in hand; the ledger counts everything once."""
    producer = Producer()
    frames = producer.frames(6)
    append_each(buffer, frames)
    sleeper = buffer.cursor("audit")
    deliveries = sleeper.fetch(9, PLENTY)
    assert len(deliveries) == 3
    cursor = eventually(lambda: rival.cursor("audit"))
    assert drain(cursor) == frames
    with pytest.raises(Fenced):
        deliver(sleeper, deliveries)
    stats = rival.stats().cursors["audit"]
    assert (stats.delivered, stats.lag) == (18, 0)
    sleeper.close()
    cursor.close()


def _assert(condition: object) -> None:
    assert condition
