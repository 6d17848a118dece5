"""The rights that the reference names for users of Redis are enough, and not more than is needed for keys."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from making import Producer, drain
from test_redis_contract import KINDS, server

from pumpkit import Reporter
from pumpkit.buffers import open_buffer
from pumpkit.errors import BufferConfigError
from tests.servers.redis import RedisServer

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=sorted(KINDS))
def running(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """A server of each kind."""
    yield from server(request.param)


def test_documented_rights(running: RedisServer) -> None:
    """A user with the rights of the reference can report, carry and look, under the buffer's name and no other."""
    text = (ROOT / "docs" / "reference" / "buffer.md").read_text()
    (rule,) = re.findall(r"^ACL SETUSER shop (.*)$", text, re.MULTILINE)
    with running.client() as client:
        client.execute_command("ACL", "SETUSER", "shop", *rule.replace("PASSWORD", "open-sesame").split())
    url = running.url.replace("redis://", "redis://shop:open-sesame@")
    with Reporter(url, source="shop") as reporter:
        reporter.record({"n": 1})
        assert reporter.flush(10).sent == 1
    buffer = open_buffer(url)
    buffer.append(Producer().frames(2))
    cursor = buffer.cursor("audit", share="here")
    assert len(drain(cursor)) == 3
    cursor.close()
    buffer.runner_lock({}, "here").release()
    assert buffer.trim() == 3
    assert buffer.stats().cursors["audit"].delivered == 7
    buffer.close()
    with pytest.raises(BufferConfigError):
        open_buffer(f"{url}?name=other")
