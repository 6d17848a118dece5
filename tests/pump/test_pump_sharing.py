"""A pump that shares its frames with another: what it takes over from one that died."""

import msgpack
import pytest

from pumpkit.buffers import open_buffer
from pumpkit.buffers.base import Part
from pumpkit.config import Meta, PumpConfig
from pumpkit.errors import Fenced
from pumpkit.plugins import Sink
from pumpkit.pump import Pump


@pytest.fixture
def shared(bench, redis_server):
    """The bench on a buffer that can be shared; cursors to be closed."""
    bench.buffer.close()
    bench.buffer = open_buffer(redis_server.url)
    cursors = []
    yield bench, lambda share: cursors.append(bench.buffer.cursor("p", share=share)) or cursors[-1]
    for cursor in cursors:
        cursor.close()


def pump_with(bench, cursor):
    """Open a pump on a cursor."""
    config = PumpConfig(name="p", type="t-file")
    sink = Sink.open(config, Meta({"path": str(bench.folder / "arrived.jsonl")}, base=bench.folder))
    sink.init()
    return Pump(config, sink, cursor, bench.buffer.stats().buffer_id, bench.watcher)


def test_parts_that_a_dead_worker_delivered_are_not_written_again(shared):
    """A living worker that is handed a dead one's frames leaves out what its sink had taken."""
    bench, cursor_of = shared
    living = pump_with(bench, cursor_of("living"))
    bench.fill(*({"n": n} for n in range(10)))
    dying = cursor_of("dying")
    (delivery,) = dying.fetch(100, 1 << 20)
    dying.accept([Part(delivery.position, 0, 7)])
    dying.close()
    living.cursor._next_claim = 0.0  # looks for dead ones only every two seconds
    bench.drain(living)
    assert [record["n"] for record in bench.arrived] == [8, 9]
    assert bench.buffer.stats().cursors["p"].delivered == 10


def test_one_of_several_replays(shared):
    """Of cursors that share a pump one is told of marked dead letters, until it is closed."""
    bench, cursor_of = shared
    first, second = cursor_of("first"), cursor_of("second")
    bench.fill({"n": 1})
    pump = pump_with(bench, first)
    pump.wanted = lambda record: record["none"]  # raises: a dead letter
    pump.turn()
    assert bench.buffer.mark("p", "replay") == 1
    assert len(first.marked(10)) == 1
    assert second.marked(10) == []
    assert len(first.marked(10)) == 1
    first.close()
    (letter,) = second.marked(10)
    assert msgpack.unpackb(letter.record) == {"n": 1}


def test_a_pump_that_was_flushed_away(shared, redis_server):
    """Whoever asks for the standing of a pump that the buffer forgot is told that it was taken from him."""
    _, cursor_of = shared
    cursor = cursor_of("here")
    with redis_server.client() as client:
        client.flushall()
    with pytest.raises(Fenced, match="flushed"):
        cursor.stats()
