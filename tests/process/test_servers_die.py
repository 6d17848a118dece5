"""Pumps into real servers that fail, by whole programs: nothing is lost, nothing is twice, and CSV beside goes on."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.process.stores import ElasticStore, MongoStore
from tests.servers.proxy import Proxy

#: Records of the producer, and its pause after each 50: it reports for some seconds.
RECORDS = 4_000
PAUSE = 0.04


@pytest.fixture(params=["mongo", pytest.param("elasticsearch", marks=pytest.mark.elasticsearch)])
def store(request):
    """Each kind of server in turn, one of this test's own."""
    if request.param == "mongo":
        return MongoStore(request.getfixturevalue("new_mongo")())
    return ElasticStore(request.getfixturevalue("new_es")())


class Load:
    """A pump into a server, CSV beside it, and a producer that reports for some seconds."""

    def __init__(self, world, store, port=None, **settings):
        self.world, self.store, self.count = world, store, RECORDS
        csv = {"meta": {"csv-dir": str(world.folder / "csv"), "id-field": "id"}}
        pump = {"type": store.type, "meta": store.meta(port), "batch-records": 200} | settings
        world.configure({"store": pump, "csv": csv}, **{"purge-delay": 0.02})
        world.run()
        world.wait_for_state("csv", "running")
        world.wait_for_state("store", "running")
        self.producer = world.report(0, RECORDS, PAUSE)
        world.until(lambda: world.stats("store").delivered > 0)

    def more(self, count):
        """Put more records into the log, beside those of the producer."""
        self.world.fill(count, start=self.count)
        self.count += count

    def csv_goes_on(self):
        """Check, by count, that CSV takes new records while the other pump stands still."""
        delivered = self.world.stats("store").delivered
        self.more(100)
        self.world.until(lambda: {int(row["n"]) for row in self.world.csv_rows()} >= set(range(RECORDS, self.count)))
        assert self.world.stats("store").delivered == delivered

    def check(self):
        """Check that everything is at the server once, and in CSV once, and that both ledgers balance."""
        assert self.producer.wait(60) == 0
        for name in ("store", "csv"):
            self.world.wait_for_lag(name)
            self.world.balance(name)
            assert self.world.dead(name) == []
        self.world.assert_exactly_once([int(row["n"]) for row in self.world.csv_rows()], self.count)
        self.world.assert_exactly_once(list(self.store.arrived().elements()), self.count)


def test_a_server_is_killed_and_restarted(world, store):
    """kill -9 under load, twice: the pump waits, says why, and goes on."""
    load = Load(world, store)
    for _ in range(2):
        store.server.kill()
        load.csv_goes_on()
        assert world.wait_for_state("store", "waiting")["reason"]
        store.server.start()
        world.wait_for_state("store", "running")
    load.check()


def test_a_server_stops_to_answer(world, store):
    """SIGSTOP well past the deadline of a write: what came of the last one is unknown, and it is sent again."""
    load = Load(world, store, timeout=1)
    store.server.pause()
    load.csv_goes_on()
    world.wait_for_state("store", "waiting", "crashed", "starting")
    time.sleep(3)
    store.server.resume()
    load.check()


def test_answers_are_lost(world, store):
    """The connection is cut after a write and before its answer, again and again."""
    with Proxy(store.server.port) as proxy:
        load = Load(world, store, proxy.port)
        proxy.cut(every=5, times=20)
        while proxy.lost < 5:
            load.more(100)
            world.wait_for_lag("store", 100)
        proxy.heal()
        load.check()


def test_workers_are_killed(world, store, dice):
    """kill -9 of both workers in a loop, at moments of chance."""
    load = Load(world, store)
    for _ in range(4):
        time.sleep(dice.uniform(0.2, 0.8))
        for pid in world.runners[0].workers():
            os.kill(pid, signal.SIGKILL)
    load.check()


def test_no_primary_and_writes_without_confirmation(world, new_mongo):
    """Step-downs, not-primary errors and write-concern errors under load: nothing passes for written that is not."""
    store = MongoStore(new_mongo())
    load = Load(world, store)
    for failure in (
        {"errorCode": 10107},
        {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}},
        {"errorCode": 91, "closeConnection": True},
    ):
        store.server.fail(["insert"], {"times": 3}, **failure)
        load.more(100)
        time.sleep(0.5)
    store.server.unfail()
    store.server.step_down(2)
    load.check()


@pytest.mark.elasticsearch
def test_a_full_write_queue(world, new_es):
    """Items and whole requests are refused with 429 while others fill the queue of writes; all arrives in the end."""
    store = ElasticStore(new_es("thread_pool.write.size=1", "thread_pool.write.queue_size=1"))
    refused = 0
    lines = b"".join(b'{"index":{}}\n{"text":"%s"}\n' % (b"word " * 50) for _ in range(2_000))

    def fill(_):
        status, answer = store.server.request("POST", "/other/_bulk", lines)
        if status == 429:
            return 1
        return sum(item["index"]["status"] == 429 for item in answer["items"])

    load = Load(world, store)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            load.more(200)
            refused += sum(pool.map(fill, range(8)))
    assert refused > 0
    load.check()
