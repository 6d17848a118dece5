"""SIGKILL at random points: what was acknowledged is there, once, and every ledger balances."""

import contextlib
import random
import time
from pathlib import Path

import apsw
import msgpack
import pytest
from making import Other, balance, drain, other

from pumpkit.buffers import open_buffer

PRODUCER = """
from making import Producer
from pumpkit.buffers import open_buffer
buffer, producer = open_buffer(url), Producer()
while True:
    frames = [producer.frame(3, size=int(sys.argv[2])) for _ in range(1 + producer.next_seq % 2)]
    assert buffer.append(frames, timeout=60) is None
    print(producer.id.hex(), producer.next_seq, flush=True)
"""
#: A worker that does everything a worker can do, in any order.
WORKER = """
import random
from making import letter
from pumpkit.buffers import open_buffer
from pumpkit.buffers.base import Counts, Part
buffer = open_buffer(url)
cursor = buffer.cursor("audit")
chance = random.Random()
print("open", flush=True)
while True:
    for delivery in cursor.fetch(chance.randrange(1, 50), 1 << 20):
        again = delivery.total if delivery.redelivered else 0
        if chance.random() < 0.3:
            cursor.accept([Part(delivery.position, 0, delivery.total - 1)])
        if chance.random() < 0.2:
            dead = [letter(f"{delivery.position}-{n}", delivery.position) for n in range(delivery.total)]
            cursor.commit(delivery.position, Counts(dead=delivery.total, redelivered=again), dead)
        elif chance.random() < 0.1:
            cursor.skip(delivery.position)
        else:
            cursor.commit(delivery.position, Counts(delivery.total - 1, 1, redelivered=again))
"""
TRIMMER = """
from pumpkit.buffers import open_buffer
buffer = open_buffer(url)
print("open", flush=True)
while True:
    buffer.trim()
    buffer.stats()
"""


def acknowledged(process: Other, known: dict[str, int]) -> None:
    """Take in what a killed producer was told before it died."""
    for line in process.output:
        producer, _, next_seq = line.strip().partition(" ")
        if line.endswith("\n"):
            known[producer] = int(next_seq)


@pytest.mark.parametrize("size", [10, 3_000])
def test_nothing_acknowledged_is_lost(tmp_path: Path, size: int) -> None:
    """Producers that are killed at random points lose nothing that the log said it had stored."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    url, known = f"sqlite:///{tmp_path}/b.db", dict[str, int]()
    for _ in range(12):
        with other(PRODUCER, url, str(size)) as one, other(PRODUCER, url, str(size)) as two:
            for process in (one, two):
                assert process.line()
            time.sleep(chance.uniform(0, 0.1))
            one.kill()
            time.sleep(chance.uniform(0, 0.02))
            two.kill()
            for process in (one, two):
                acknowledged(process, known)
    with contextlib.closing(open_buffer(url)) as buffer:
        stored = {one.producer: one.next_seq for one in buffer.stats().producers}
        lost = {producer: next_seq for producer, next_seq in known.items() if stored.get(producer, 0) < next_seq}
        assert not lost
        cursor = buffer.cursor("audit")
        there: dict[str, int] = {}
        for frame in drain(cursor):
            _, producer, first, count, *_ = msgpack.unpackb(frame)
            assert first == there.get(producer.hex(), 0)
            there[producer.hex()] = first + count
        assert there == stored
        cursor.close()
        balance(buffer, "audit")


def test_everybody_is_killed(tmp_path: Path) -> None:
    """With producer, worker and trimmer killed at random points the ledger balances, and dead letters match it."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    url = f"sqlite:///{tmp_path}/b.db"
    with contextlib.closing(open_buffer(url)) as buffer:
        buffer.register("audit")
        for _ in range(10):
            with other(PRODUCER, url, "10") as one, other(WORKER, url) as two, other(TRIMMER, url) as three:
                processes = [one, two, three]
                for process in processes:
                    assert process.line()
                for process in chance.sample(processes, 3):
                    time.sleep(chance.uniform(0, 0.1))
                    process.kill()
            stats = balance(buffer, "audit")
            assert stats.dead_letters == stats.dead
            assert stats.dead_letters == len(buffer.dead_letters("audit", limit=1 << 30))
        cursor = buffer.cursor("audit")
        drain(cursor)
        cursor.close()
        stats = balance(buffer, "audit")
        assert stats.lag == 0
        assert stats.delivered > 0
        while buffer.trim():
            pass
        assert buffer.stats().frames == 0
    with contextlib.closing(apsw.Connection(f"{tmp_path}/b.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").get == "ok"
