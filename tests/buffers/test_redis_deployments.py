"""Every way to keep and to reach a buffer in Redis: the contract behind sentinels, in clusters, over TLS and at a
socket file; fail-overs, and slots that move."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from contract import BufferContract
from making import Producer, drain

from pumpkit.buffers import Buffer, open_buffer
from pumpkit.buffers.base import Confirm
from pumpkit.buffers.redis.connect import connect
from pumpkit.buffers.redis.url import parse
from pumpkit.errors import BufferUnavailable
from tests.servers.redis import wait_until


class Home:
    """A buffer of a name of its own, wherever the servers are."""

    def __init__(self, url: str) -> None:
        self.url = f"{url}{'&' if '?' in url else '?'}name=contract"

    def remove(self) -> None:
        """Remove the log, as servers without persistence do that are restarted."""
        client = connect(parse(self.url), 5.0)
        for what in ("log", "meta", "producers"):
            client.delete(f"{{contract}}:{what}")
        client.close()


class TestSentinel(BufferContract):
    """Behind sentinels, with a replica."""

    @pytest.fixture
    def home(self, redis_sentinel: Any) -> Home:
        return Home(redis_sentinel.url)


class TestCluster(BufferContract):
    """In a cluster."""

    @pytest.fixture
    def home(self, redis_cluster: Any) -> Home:
        return Home(redis_cluster.url)


class TestTls(BufferContract):
    """Over TLS."""

    @pytest.fixture
    def home(self, redis_tls: Any) -> Home:
        return Home(redis_tls.url)


class TestSocket(BufferContract):
    """At a socket file."""

    @pytest.fixture
    def home(self, redis_server: Any) -> Home:
        return Home(redis_server.unix_url)


def append(buffer: Buffer, frames: Sequence[bytes], confirm: Confirm = "stored") -> None:
    """Append as a reporter does: again and again until there is an answer."""

    def answered() -> bool:
        try:
            assert buffer.append(frames, confirm=confirm, timeout=1.0) is None
        except BufferUnavailable:
            return False
        return True

    wait_until(answered, f"an append is {confirm}")


def carry(buffer: Buffer) -> list[bytes]:
    """Return what the pump `audit` gets that it has not had."""
    cursor = buffer.cursor("audit")
    frames = drain(cursor)
    cursor.close()
    return frames


@pytest.mark.parametrize("confirm", ["stored", "replicated"])
def test_a_slot_that_moves(new_cluster: Callable[..., Any], confirm: Confirm) -> None:
    """The log goes to another node of a cluster under the hands of those who use it; nobody notices."""
    cluster = new_cluster(replicas=1)
    buffer = open_buffer(cluster.url)
    cursor, producer = buffer.cursor("audit"), Producer()
    frames = producer.frames(6)
    buffer.append(frames[:2], confirm=confirm)
    with cluster.nodes[0].client() as client:
        slot = client.execute_command("CLUSTER KEYSLOT", "{pumpkit}")
    others = [node for node in cluster.nodes[:3] if node is not cluster.node_of("{pumpkit}")]
    for number, node in enumerate(others, 1):
        cluster.move(slot, node)
        assert buffer.append(frames[2 * number : 2 * number + 2], confirm=confirm) is None
    assert drain(cursor) == frames
    cursor.close()
    buffer.close()


def test_a_cluster_that_fails_over(redis_kind: str, new_cluster: Callable[..., Any]) -> None:
    """What was confirmed as replicated is on the node that takes over, and so is every pump's place."""
    cluster = new_cluster(replicas=1)
    buffer = open_buffer(cluster.url)
    frames = Producer().frames(6)
    append(buffer, frames[:2], "replicated")
    assert carry(buffer) == frames[:2]
    append(buffer, frames[2:4], "replicated")
    master = cluster.node_of("{pumpkit}")
    master.kill()
    append(buffer, frames[4:])
    master.start()  # as a replica
    append(buffer, frames[4:], "replicated")
    assert carry(buffer) == frames[2:]
    buffer.close()


def test_sentinels_that_fail_over(redis_kind: str, new_sentinels: Callable[..., Any]) -> None:
    """The same behind sentinels, where any of two replicas may take over."""
    sentinels = new_sentinels(replicas=2)
    frames = Producer().frames(6)
    buffer, safe = open_buffer(sentinels.url), open_buffer(sentinels.url + "?replicas=2")
    append(safe, frames[:2], "replicated")
    assert carry(buffer) == frames[:2]
    append(safe, frames[2:4], "replicated")
    sentinels.fail_over()
    append(buffer, frames[4:5])
    append(buffer, frames[5:], "replicated")
    assert carry(buffer) == frames[2:]
    buffer.close()
    safe.close()
