"""The list of a Go pump as a place to report to: what is pushed, that it is pushed once, and what a list is not."""

import datetime
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgpack
import pytest

from pumpkit import AnalyticsRecord, Reporter
from pumpkit.buffers import Buffer, open_buffer
from pumpkit.buffers.base import Confirm, Gap
from pumpkit.buffers.redis_list import target
from pumpkit.buffers.registry import driver
from pumpkit.config import ConfigInvalid
from pumpkit.config.load import load
from pumpkit.errors import BadFrame, BufferConfigError, BufferFull, BufferUnavailable
from pumpkit.frames import RAW, pack_frame
from pumpkit.ids import new_producer
from pumpkit.values import RecordPacker
from tests.servers.proxy import Proxy
from tests.servers.redis import RedisServer, Replicated
from tests.servers.redis_cluster import Cluster
from tests.servers.redis_sentinel import Sentinels
from tests.servers.redis_tls import Certificates, TlsRedisServer

IAM = "analytics-iam-system-analytics"
TYK = "analytics-tyk-system-analytics"


@pytest.fixture
def server(redis_kind: str, redis_server: RedisServer) -> RedisServer:
    """A server of every kind."""
    return redis_server


def url(server: RedisServer | Proxy, options: str = "dialect=iam") -> str:
    """Return the URL of a list in a server."""
    return f"redis-list://127.0.0.1:{server.port}?{options}"


@pytest.fixture
def target_of(server: RedisServer) -> Iterator[Callable[..., Buffer]]:
    """Open a list, by default iam-pump's."""
    opened: list[Buffer] = []

    def open_(options: str = "dialect=iam") -> Buffer:
        opened.append(open_buffer(url(server, options)))
        return opened[-1]

    yield open_
    for buffer in opened:
        buffer.close()


class Producer:
    """Makes frames of records, as a reporter does."""

    def __init__(self) -> None:
        self.id = new_producer()
        self.next_seq = 0

    def frame(self, *records: dict[str, Any], common: dict[str, Any] | None = None) -> bytes:
        """Return the next frame."""
        frame = pack_frame(
            producer=self.id,
            first=self.next_seq,
            runs=RecordPacker().pack(list(records)).runs,
            created_ms=1_700_000_000_500,
            codec=RAW,
            common=common,
        )
        self.next_seq += len(records)
        return frame

    def users(self, number: int) -> bytes:
        """Return the next frame, of records that can be told apart by their user."""
        return self.frame(*({"username": f"{self.id.hex()}-{self.next_seq + i}"} for i in range(number)))


def drain(server: RedisServer, key: str = IAM) -> list[bytes]:
    """Take everything off a list as the Go pumps do."""
    with server.client() as client, client.pipeline(transaction=True) as pipe:
        pipe.lrange(key, 0, -1)
        pipe.delete(key)
        items: list[bytes] = pipe.execute()[0]
        return items


def users(server: RedisServer) -> list[str]:
    """Drain iam-pump's list; return the users, each as it was numbered."""
    return [msgpack.unpackb(item, timestamp=3)["Username"] for item in drain(server)]


UTC = datetime.UTC
GOLDEN = [
    (
        {
            "timestamp": 1_700_000_000,
            "username": "colin",
            "effect": "allow",
            "conclusion": "policies p1 allow access",
            "request": '{"resource":"r"}',
            "policies": "[]",
            "deciders": "[]",
            "expire_at": datetime.datetime(2126, 1, 2, 3, 4, 5, 678_901, UTC),
        },
        # Go's own bytes, but for the 234 nanoseconds that a datetime cannot hold
        "88a954696d655374616d70d3000000006553f100a8557365726e616d65a5636f6c696ea6456666656374a5616c6c6f77"
        "aa436f6e636c7573696f6eb8706f6c696369657320703120616c6c6f7720616363657373a752657175657374b07b2272"
        "65736f75726365223a2272227da8506f6c6963696573a25b5da84465636964657273a25b5da84578706972654174d7ff"
        + ((678_901_000 << 34) + 0x1_256E_F7A5).to_bytes(8, "big").hex(),
    ),
    (
        {"timestamp": 0, "username": "u", "effect": "deny", "expire_at": datetime.datetime(2030, 1, 1, tzinfo=UTC)},
        "88a954696d655374616d70d30000000000000000a8557365726e616d65a175a6456666656374a464656e79aa436f6e63"
        "6c7573696f6ea0a752657175657374a0a8506f6c6963696573a0a84465636964657273a0a84578706972654174d6ff70dbd880",
    ),
    (
        {"timestamp": 0, "expire_at": datetime.datetime(1, 1, 1, tzinfo=UTC)},
        "88a954696d655374616d70d30000000000000000a8557365726e616d65a0a6456666656374a0aa436f6e636c7573696f6e"
        "a0a752657175657374a0a8506f6c6963696573a0a84465636964657273a0a84578706972654174c70cff00000000fffffff1886e0900",
    ),
]


@pytest.mark.parametrize(("record", "item"), GOLDEN, ids=["full", "short-expiry", "zero-time"])
def test_the_bytes_are_those_of_go(
    server: RedisServer, target_of: Callable[..., Buffer], record: dict[str, Any], item: str
) -> None:
    """An item is what iam-authz-server itself would have pushed."""
    assert target_of().append([Producer().frame(record)]) is None
    assert [found.hex() for found in drain(server)] == [item]


def test_what_go_fills_in_is_filled_in(server: RedisServer, target_of: Callable[..., Buffer]) -> None:
    """A time stamp becomes Unix seconds, and is the frame's if there is none; nothing expires for a hundred years."""
    at = datetime.datetime(2023, 11, 14, 22, 13, 20, 900_000, UTC)
    stamps = [{"timestamp": at}, {"timestamp": 1_700_000_000.9}, {"timestamp": "2023-11-14T22:13:20Z"}, {}]
    frame = Producer().frame(*stamps, common={"username": "service", "policies": "[]"})
    assert target_of().append([frame]) is None
    items = [msgpack.unpackb(item, timestamp=3) for item in drain(server)]
    assert [item["TimeStamp"] for item in items] == [1_700_000_000] * 4
    assert {(item["Username"], item["Policies"]) for item in items} == {("service", "[]")}
    assert {item["ExpireAt"].year for item in items} == {2123}


def test_records_of_tyk(server: RedisServer, target_of: Callable[..., Buffer]) -> None:
    """Every field is there, times are arrays, the parts of the time are filled in, bytes become base64."""
    records = [{"path": "/a", "response_code": 200, "timestamp": 1_700_000_000, "raw_request": b"GET"}, {"hour": 3}]
    assert target_of("dialect=tyk&suffix=7").append([Producer().frame(*records)]) is None
    first, second = (msgpack.unpackb(item) for item in drain(server, f"{TYK}_7"))
    assert len(first) == 35
    assert (first["Path"], first["ResponseCode"], first["RawRequest"]) == ("/a", 200, "R0VU")
    assert [first[part] for part in ("Year", "Month", "Day", "Hour")] == [2023, 11, 14, 22]
    assert first["TimeStamp"] == [1_700_000_000, 0]
    assert first["Tags"] is None
    assert first["Latency"] == {"Total": 0, "Upstream": 0, "Gateway": 0}
    assert second["TimeStamp"] == [1_700_000_000, 500_000_000]
    assert second["Hour"] == 3


def test_what_a_dialect_cannot_hold(
    server: RedisServer, target_of: Callable[..., Buffer], caplog: pytest.LogCaptureFixture
) -> None:
    """A record that is none is left out and takes its number; a field without a place is left out, told once."""
    caplog.set_level(logging.WARNING)
    opened, producer = target_of(), Producer()
    for _ in range(2):
        good, bad = {"username": "good", "host": "a"}, {"timestamp": "soon", "username": "bad"}
        assert opened.append([producer.frame(good, bad, good)]) is None
    assert users(server) == ["good"] * 4
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 2
    assert f"{IAM}: 1 records cannot be written, such as: Invalid isoformat string: 'soon'" in errors[0]
    (warning,) = (record.getMessage() for record in caplog.records if record.levelno == logging.WARNING)
    assert "records of iam have no field 'host'; left out" in warning


def test_repeated_frames_are_pushed_once(server: RedisServer, target_of: Callable[..., Buffer]) -> None:
    """Also over another connection, and although the Go pump has drained the list meanwhile."""
    producer = Producer()
    frames = [producer.users(3), producer.users(2)]
    assert target_of().append(frames) is None
    assert target_of().append(frames[:1]) is None
    first = users(server)
    assert target_of().append([*frames, producer.users(1)]) is None
    assert first + users(server) == [f"{producer.id.hex()}-{i}" for i in range(6)]


def test_a_gap_is_answered_and_accepted(server: RedisServer, target_of: Callable[..., Buffer]) -> None:
    """A frame above what is expected is not pushed, unless the sender has nothing better."""
    producer = Producer()
    lost, kept = producer.users(2), producer.users(2)
    assert target_of().append([kept]) == Gap(0)
    assert users(server) == []
    assert target_of().append([kept], accept_gap=True) is None
    assert target_of().append([lost, kept]) is None
    assert users(server) == [f"{producer.id.hex()}-{i}" for i in (2, 3)]


def test_long_frames_go_in_slices(
    server: RedisServer, target_of: Callable[..., Buffer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In order, bounded in number and in bytes, and an append that broke off goes on where it was."""
    producer = Producer()
    many, large = producer.users(2_000), producer.frame(*({"username": "x" * 100_000} for _ in range(5)))
    opened = target_of()
    with server.client() as client:
        client.config_resetstat()
        assert opened.append([many, large]) is None
        calls = {name: stats["calls"] for name, stats in client.info("commandstats").items()}
    assert calls["cmdstat_rpush"] == 4 + 3
    assert users(server)[:2_000] == [f"{producer.id.hex()}-{i}" for i in range(2_000)]

    more = producer.users(1_200)
    push, parts = target.RedisList._push, []

    def break_off(*args: Any) -> int | None:
        parts.append(args)
        if len(parts) == 2:
            raise BufferUnavailable("the connection is gone")
        return push(*args)

    with monkeypatch.context() as patch:
        patch.setattr(target.RedisList, "_push", break_off)
        with pytest.raises(BufferUnavailable):
            opened.append([more])
    assert len(users(server)) == 500
    assert opened.append([more]) is None
    assert users(server) == [f"{producer.id.hex()}-{i}" for i in range(2_505, 3_205)]


def test_a_server_that_forgets_within_an_append(
    server: RedisServer, target_of: Callable[..., Buffer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames that this connection has pushed are not taken for granted: they are pushed again where they are missed."""
    producer, opened = Producer(), target_of()
    frames = [producer.users(2), producer.users(2)]
    push = target.RedisList._push

    def break_off(of: target.RedisList, producer: bytes, first: int, *more: Any) -> int | None:
        if first:
            raise BufferUnavailable("the connection is gone")
        return push(of, producer, first, *more)

    with monkeypatch.context() as patch:
        patch.setattr(target.RedisList, "_push", break_off)
        with pytest.raises(BufferUnavailable):
            opened.append(frames)
    with server.client() as client:
        client.flushall()
    assert opened.append(frames) is None
    assert users(server) == [f"{producer.id.hex()}-{i}" for i in range(4)]
    with server.client() as client:
        client.flushall()
    assert opened.append([producer.users(1)]) == Gap(0)


def test_producers_do_not_meet(server: RedisServer, target_of: Callable[..., Buffer]) -> None:
    """Each has its own sequence, and what is known of them expires."""
    one, other = Producer(), Producer()
    for _ in range(3):
        for producer in (one, other):
            assert target_of().append([producer.users(2)]) is None
    found = users(server)
    for producer in (one, other):
        assert [user for user in found if user.startswith(producer.id.hex())] == [
            f"{producer.id.hex()}-{i}" for i in range(6)
        ]
    with server.client() as client:
        keys = client.keys(f"{{{IAM}}}:pumpkit:producer:*")
        assert len(keys) == 2
        assert all(0 < client.ttl(key) <= 7 * 86_400 for key in keys)


def test_a_farewell_pushes_nothing(server: RedisServer, target_of: Callable[..., Buffer]) -> None:
    """A frame without records has nothing for a Go pump; no frames at all have no effect either."""
    assert target_of().append([Producer().frame()]) is None
    assert target_of().append([]) is None
    assert drain(server) == []


def test_what_is_no_frame_is_refused(server: RedisServer, target_of: Callable[..., Buffer]) -> None:
    """And so are frames of two producers; the good ones beside are not pushed."""
    good = Producer().users(1)
    with pytest.raises(BadFrame):
        target_of().append([good, b"nonsense"])
    with pytest.raises(BadFrame):
        target_of().append([good[:-1] + b"\xff"])
    with pytest.raises(ValueError, match="one producer"):
        target_of().append([good, Producer().users(1)])
    assert drain(server) == []


def test_a_full_server(server: RedisServer, target_of: Callable[..., Buffer]) -> None:
    """At its maxmemory nothing is pushed, and the same frame is taken when there is room again."""
    frame = Producer().users(3)
    with server.client() as client:
        client.config_set("maxmemory", "1")
        with pytest.raises(BufferFull):
            target_of().append([frame])
        client.config_set("maxmemory", "0")
    assert target_of().append([frame]) is None
    assert len(drain(server)) == 3


def test_a_key_that_is_no_list(server: RedisServer, target_of: Callable[..., Buffer]) -> None:
    """Somebody else's data are not touched, and the reporter is told."""
    with server.client() as client:
        client.set(IAM, "something else")
        with pytest.raises(BufferConfigError):
            target_of().append([Producer().users(1)])
        assert client.get(IAM) == b"something else"


def test_confirm_replicated(server: RedisServer, target_of: Callable[..., Buffer]) -> None:
    """Without a replica it is never reached, though the records are in the list, once."""
    frame, opened = Producer().users(2), target_of()
    for _ in range(2):
        with pytest.raises(BufferUnavailable, match="only 0 of 1 replicas"):
            opened.append([frame], confirm="replicated", timeout=0.3)
    assert len(drain(server)) == 2


def test_confirm_replicated_by_a_replica(redis_replicated: Replicated) -> None:
    """With one it is; a frame that was only stored before waits for it as well, over the same connection or another."""
    producer = Producer()
    frame, later = producer.users(2), producer.users(2)
    with (
        closing(open_buffer(url(redis_replicated.master))) as opened,
        closing(open_buffer(url(redis_replicated.master))) as other,
    ):
        assert opened.append([frame], confirm="replicated") is None
        with redis_replicated.replica.client() as client:
            assert client.llen(IAM) == 2
        redis_replicated.replica.pause()
        assert opened.append([later]) is None
        with pytest.raises(BufferUnavailable, match="only 0 of 1 replicas"):
            other.append([later], confirm="replicated", timeout=0.3)
        with pytest.raises(BufferUnavailable, match="only 0 of 1 replicas"):
            opened.append([frame, later], confirm="replicated", timeout=0.3)
        redis_replicated.replica.resume()


def test_confirm_synced(server: RedisServer, target_of: Callable[..., Buffer]) -> None:
    """A server that keeps nothing on disk cannot confirm it; one that syncs each write does so by itself."""
    frame = Producer().users(1)
    with pytest.raises(BufferConfigError):
        target_of().append([frame], confirm="synced")
    with server.client() as client:
        client.config_set("appendonly", "yes")
        client.config_set("appendfsync", "always")
    assert target_of().append([frame], confirm="synced") is None
    assert len(drain(server)) == 1


def test_a_reporter_end_to_end(server: RedisServer) -> None:
    """A reporter needs nothing but another URL; two processes fill one list, and a Go pump gets every record once."""
    code = f"""
import pumpkit
with pumpkit.Reporter({url(server)!r}, flush_interval=0.01) as reporter:
    for i in range(1_000):
        reporter.record({{"username": f"child-{{i}}"}})
"""
    child = subprocess.Popen([sys.executable, "-c", code])
    found: list[str] = []
    with Reporter(url(server), flush_interval=0.01, confirm="stored") as reporter:
        for i in range(1_000):
            reporter.record(AnalyticsRecord(username=f"parent-{i}", effect="allow"))
            if i % 250 == 0:
                reporter.flush()
                found += users(server)
        assert reporter.flush().pending == 0
    assert child.wait(60) == 0
    found += users(server)
    for who in ("parent", "child"):
        assert [user for user in found if user.startswith(who)] == [f"{who}-{i}" for i in range(1_000)]


@pytest.fixture
def proxy(server: RedisServer) -> Iterator[Proxy]:
    """A way to the server that loses answers when asked to."""
    with Proxy(server.port) as proxy:
        yield proxy


def push(request: bytes) -> bool:
    """Return whether a request pushes items, in whatever way the script is called."""
    return b"EVAL" in request


def test_lost_answers_double_nothing(server: RedisServer, proxy: Proxy) -> None:
    """Every third push is done and its answer lost: a Go pump that drains meanwhile gets each record once, in order."""
    proxy.cut(push, every=3)
    found: list[str] = []
    with Reporter(url(proxy), flush_interval=0.005) as reporter:
        for i in range(2_000):
            reporter.record({"username": str(i)})
            if i % 40 == 0:
                reporter.flush(0.02)
                found += users(server)
        assert reporter.flush(30).pending == 0
    found += users(server)
    assert found == [str(i) for i in range(2_000)]
    assert proxy.lost >= 5


@pytest.mark.parametrize("confirm", ["stored", "replicated"])
def test_an_answer_lost_in_the_middle(server: RedisServer, proxy: Proxy, confirm: Confirm) -> None:
    """A frame of several slices whose second answer is lost is neither doubled nor cut short."""
    producer = Producer()
    frame = producer.users(1_700)
    with closing(open_buffer(url(proxy, "dialect=iam") + "&replicas=1")) as opened:
        proxy.cut(push, every=2, times=3)
        for _ in range(4):
            with suppress(BufferUnavailable):
                opened.append([frame], confirm=confirm, timeout=0.5)
        assert opened.append([frame]) is None
    assert proxy.lost >= 1
    assert users(server) == [f"{producer.id.hex()}-{i}" for i in range(1_700)]


def test_two_producers_with_lost_answers(server: RedisServer, proxy: Proxy) -> None:
    """Both processes share the list and the trouble; each one's records come once, and in order."""
    code = f"""
import pumpkit
with pumpkit.Reporter({url(proxy)!r}, flush_interval=0.005) as reporter:
    for i in range(1_000):
        reporter.record({{"username": f"child-{{i}}"}})
        if i % 100 == 0:
            reporter.flush(0.1)
    assert reporter.flush(30).pending == 0
"""
    proxy.cut(push, every=4)
    child = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    with Reporter(url(proxy), flush_interval=0.005) as reporter:
        for i in range(1_000):
            reporter.record({"username": f"parent-{i}"})
            if i % 100 == 0:
                reporter.flush(0.1)
        assert reporter.flush(30).pending == 0
    assert child.wait(60) == 0
    found = users(server)
    for who in ("parent", "child"):
        assert [user for user in found if user.startswith(who)] == [f"{who}-{i}" for i in range(1_000)]
    assert proxy.lost >= 2


def test_a_server_that_hangs(server: RedisServer, proxy: Proxy) -> None:
    """An append ends in time, and what is repeated afterwards is pushed once."""
    producer = Producer()
    frame = producer.users(3)
    with closing(open_buffer(url(proxy))) as opened:
        proxy.mode = "blackhole"
        with pytest.raises(BufferUnavailable, match="did not answer in time"):
            opened.append([frame], timeout=0.3)
        proxy.mode = "refuse"
        with pytest.raises(BufferUnavailable, match="nobody listens there"):
            opened.append([frame], timeout=0.3)
        proxy.mode = "pass"
        assert opened.append([frame]) is None
    assert len(users(server)) == 3


def test_a_reporter_outlives_a_restart(server: RedisServer) -> None:
    """A server that forgets everything costs what was not drained yet; what was is not pushed again."""
    with Reporter(url(server), flush_interval=0.01) as reporter:
        reporter.record({"username": "before"})
        assert reporter.flush().pending == 0
        assert users(server) == ["before"]
        server.kill()
        reporter.record({"username": "after"})
        server.start()
        assert reporter.flush(30).pending == 0
        assert users(server) == ["after"]


MORE = "cursor register trim skip_target set_max_bytes set_wanted drop_cursor rename_cursor dead_letters mark stats"


@pytest.mark.parametrize("name", [*MORE.split(), "runner_lock", "runner", "runners", "parts"])
def test_a_list_is_no_buffer(name: str) -> None:
    """Whatever else a buffer can do is refused, with what to do instead; nothing is connected for that."""
    with closing(open_buffer("redis-list://127.0.0.1:1?dialect=iam")) as opened:
        assert isinstance(opened, Buffer)
        with pytest.raises(BufferConfigError, match=r"written by reporters only.*`inputs`"):
            getattr(opened, name)()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("", "add dialect=iam or dialect=tyk"),
        ("?dialect=go", "dialect must be iam or tyk, not 'go'"),
        ("?dialect=iam&suffix=3", "suffix must be from 0 to 9, for the dialect tyk"),
        ("?dialect=tyk&suffix=10", "suffix must be from 0 to 9"),
        ("?dialect=iam&dialect=tyk", "given twice"),
        ("?dialect=iam&key={a}", "without braces"),
        ("?dialect=iam&keey=a", "unknown option 'keey'; did you mean key?"),
        ("?dialect=iam&name=a", "unknown option 'name'"),
        ("?dialect=iam&connect-timeout=soon", "connect-timeout must be"),
        ("/x?dialect=iam", "only the number of a database"),
    ],
)
def test_bad_urls(options: str, said: str) -> None:
    """The error says what is wrong, and shows no password."""
    with pytest.raises(BufferConfigError) as refused:
        open_buffer(f"redis-list://u:secret@h{options}")
    assert said in str(refused.value)
    assert "secret" not in str(refused.value)


def test_other_keys_and_databases(server: RedisServer, target_of: Callable[..., Buffer]) -> None:
    """The key and the database can be others than the Go program's."""
    with closing(open_buffer(f"redis-list://127.0.0.1:{server.port}/3?dialect=iam&key=my%20list")) as opened:
        assert opened.append([Producer().users(1)]) is None
    with server.client() as client:
        client.select(3)  # type: ignore[attr-defined]
        assert client.llen("my list") == 1


def test_over_tls(redis_tls: TlsRedisServer, certificates: Certificates) -> None:
    """`rediss-list` encrypts, and takes the options of `rediss`."""
    where = f"rediss-list://127.0.0.1:{redis_tls.port}?dialect=iam&ca-file={certificates.file('ca')}"
    with closing(open_buffer(where)) as opened:
        assert opened.append([Producer().users(2)]) is None
    with redis_tls.client() as client:
        assert client.llen(IAM) == 2


def test_behind_sentinels(redis_sentinel: Sentinels) -> None:
    """The master is found, and found again after a fail-over; the list and its producers are there."""
    hosts = redis_sentinel.url.partition("://")[2]
    producer = Producer()
    with closing(open_buffer(f"redis-list+sentinel://{hosts}?dialect=iam")) as opened:
        assert opened.append([producer.users(2)], confirm="replicated") is None
        redis_sentinel.fail_over()
        later = producer.users(2)
        deadline = time.monotonic() + 60
        while True:
            try:
                assert opened.append([later]) is None
                break
            except BufferUnavailable:
                assert time.monotonic() < deadline
                time.sleep(0.2)
    assert users(redis_sentinel.master) == [f"{producer.id.hex()}-{i}" for i in range(4)]


def test_in_a_cluster(redis_cluster: Cluster) -> None:
    """List and producers are in one slot, so one script serves there as well."""
    hosts = redis_cluster.url.partition("://")[2]
    producer = Producer()
    frames = [producer.users(700), producer.users(2)]
    with closing(open_buffer(f"redis-list+cluster://{hosts}?dialect=tyk&suffix=1")) as opened:
        for _ in range(2):
            assert opened.append(frames) is None
    with redis_cluster.node_of(f"{TYK}_1").client() as client:
        assert client.llen(f"{TYK}_1") == 702


def test_nothing_there_for_a_runner() -> None:
    """What `check --connect` would ask is refused as well."""
    for scheme in ("redis-list", "rediss-list"):
        with pytest.raises(BufferConfigError, match="reporters only"):
            driver(f"{scheme}://h").facts(f"{scheme}://h?dialect=tyk")


def test_no_buffer_of_a_configuration(tmp_path: Path) -> None:
    """A runner that is given a list is told so when its configuration is read, with the line."""
    file = tmp_path / "pumpkit.yaml"
    file.write_text("pumps: {}\nbuffer: redis-list://u:secret@h?dialect=iam\n")
    with pytest.raises(ConfigInvalid, match=r"pumpkit.yaml:2: buffer.*for reporters only.*`inputs`") as refused:
        load(file)
    assert "secret" not in str(refused.value)
