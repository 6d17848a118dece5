"""The buffer in Redis against models of it, through whatever sequence of events hypothesis finds."""

from collections.abc import Iterator

import attrs
import pytest
import redis
from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from machine import ANY_SPEED, BufferMachine
from making import PLENTY, Producer
from meddling import end_lease, everything, pending

from pumpkit.buffers import Delivery, open_buffer
from pumpkit.buffers.base import Counts, Part
from pumpkit.buffers.redis import cursor as cursors
from pumpkit.buffers.redis import leases
from pumpkit.buffers.redis.cursor import RedisCursor
from pumpkit.errors import BufferBusy, BufferReplaced, Fenced
from tests.servers.fixtures import program
from tests.servers.redis import RedisServer

_running: list[RedisServer] = []


@pytest.fixture(scope="module", autouse=True)
def _server() -> Iterator[None]:
    """Run a server for these tests."""
    _running.append(RedisServer(program()).start())
    yield
    _running.pop().stop()


class ContractMachine(BufferMachine):
    """What every buffer does, in Redis."""

    def __init__(self) -> None:
        super().__init__()
        self.client = redis.Redis(port=_running[0].port)
        self.client.flushall()
        self.url = f"{_running[0].url}?name=model"

    def positions(self) -> list[int]:
        """Return the positions of all frames in the log."""
        return [int(id_.split(b"-")[0]) for id_, _ in self.client.xrange("{model}:log")]

    def remove_log(self, everything: bool) -> None:
        """Remove the log, perhaps with what is known of it and its producers."""
        self.client.delete("{model}:log")
        if everything:
            self.client.delete("{model}:meta", "{model}:producers")

    def teardown(self) -> None:
        """Leave nothing behind."""
        super().teardown()
        self.client.close()


@attrs.define(eq=False)
class Worker:
    """A cursor and what the model knows of it."""

    pump: str
    share: str | None
    cursor: RedisCursor
    hand: list[Delivery] = attrs.field(factory=list)
    #: Its lease is over, and nobody has taken it: it may go on, or be too late.
    lapsed: bool = False


@attrs.define
class Pump:
    """What the model knows of a pump: positions of frames it has passed, and who was ever handed which."""

    passed: set[int] = attrs.field(factory=set)
    handed: dict[int, RedisCursor] = attrs.field(factory=dict)
    parts: dict[int, set[int]] = attrs.field(factory=dict)


PUMPS = ["audit", "trail"]
LOG, LOCKS = "{model}:log", "{model}:locks"


class SharingMachine(RuleBasedStateMachine):
    """Cursors that are alone or share, that die, fall asleep and wake up, and people who meddle with the log."""

    @initialize()
    def begin(self) -> None:
        """Make a buffer."""
        self.client = redis.Redis(port=_running[0].port)
        self.client.flushall()
        self.buffer = open_buffer(f"{_running[0].url}?name=model")
        self.producers = [Producer(), Producer()]
        self.workers: list[Worker] = []
        self.too_late: list[Worker] = []
        self.pumps: dict[str, Pump] = {}
        self.new_log()

    def new_log(self) -> None:
        """Forget what the log held."""
        self.totals: dict[int, int] = {}  # of every frame ever, by position
        self.ids: dict[int, bytes] = {}
        self.removed: set[int] = set()  # by hand
        self.trimmed: set[int] = set()

    def teardown(self) -> None:
        """Deliver everything, and leave nothing behind."""
        if not hasattr(self, "buffer"):
            return
        for worker in self.workers:
            worker.cursor.close()
        for name, pump in self.pumps.items():
            for worker in self.too_late:
                worker.cursor.close()
            cursor = self.buffer.cursor(name)
            positions = []
            while deliveries := cursor.fetch(PLENTY, PLENTY):
                positions += [one.position for one in deliveries]
                cursor.commit(positions[-1], Counts(sum(one.total for one in deliveries)))  # type: ignore[arg-type]
            assert positions == sorted(positions)
            assert set(positions) >= self.unpassed(pump), "a frame is never delivered"
            stats = cursor.stats()
            assert stats.lag == 0
            cursor.close()
        while self.pumps and self.buffer.trim():
            pass
        stats_ = self.buffer.stats()
        assert not self.pumps or (stats_.frames, stats_.size_bytes) == (0, 0)
        self.buffer.close()
        self.client.close()

    def living(self, pump: str) -> list[Worker]:
        """Return who holds a pump."""
        return [worker for worker in self.workers if worker.pump == pump and not worker.lapsed]

    def unpassed(self, pump: Pump) -> set[int]:
        """Return the positions of frames that a pump has still to be handed; what holds no records does not count."""
        return {position for position in self.unread(pump) if self.totals[position]}

    def unread(self, pump: Pump) -> set[int]:
        """Return the positions of all entries that a pump has not passed."""
        return set(self.totals) - pump.passed - self.removed - self.trimmed

    def draw_worker(self, data: st.DataObject, with_hand: bool = False) -> Worker:
        """Return one that is not too late."""
        workers = [one for one in self.workers if not one.lapsed and (one.hand or not with_hand)]
        return workers[data.draw(st.integers(0, len(workers) - 1))]

    def any_awake(self) -> bool:
        """Return whether somebody holds anything."""
        return any(not worker.lapsed for worker in self.workers)

    def any_hand(self) -> bool:
        """Return whether somebody has anything in hand."""
        return any(worker.hand and not worker.lapsed for worker in self.workers)

    # Producers ------------------------------------------------------------------------------------------------

    @rule(who=st.integers(0, 1), sizes=st.lists(st.integers(1, 4), min_size=1, max_size=6))
    def append(self, who: int, sizes: list[int]) -> None:
        """A producer appends frames."""
        self.buffer.append([self.producers[who].frame(size) for size in sizes], accept_gap=True)
        self.learn(sizes)

    @rule(ours=st.booleans())
    def meddle_add(self, ours: bool) -> None:
        """Somebody adds an entry by hand: a pump is handed it, and it counts for nothing."""
        fields = {"f": b"junk", "n": b"many"} if ours else {"x": b"y"}
        self.client.xadd(LOG, fields)  # type: ignore[arg-type]
        self.learn([0])

    def learn(self, sizes: list[int]) -> None:
        """Learn where new entries are."""
        entries = self.client.xrevrange(LOG, count=len(sizes))[::-1]
        for (id_, _), size in zip(entries, sizes, strict=True):
            us, _, seq = id_.partition(b"-")
            position = int(us) + int(seq)
            assert position > max(self.totals, default=0), "positions grow"
            self.totals[position], self.ids[position] = size, id_

    # Pumps ----------------------------------------------------------------------------------------------------

    @rule(pump=st.sampled_from(PUMPS), start=st.sampled_from(["oldest", "newest"]))
    def register(self, pump: str, start: str) -> None:
        """A runner registers a pump."""
        self.buffer.register(pump, start)  # type: ignore[arg-type]
        if pump not in self.pumps:
            self.pumps[pump] = Pump(set(self.totals) if start == "newest" else set(self.trimmed))

    @rule(pump=st.sampled_from(PUMPS), share=st.sampled_from([None, "one", "two", "three"]))
    def open_cursor(self, pump: str, share: str | None) -> None:
        """A worker starts; it takes over from those that are dead, and is turned away by those that are not."""
        in_the_way = [one for one in self.living(pump) if None in (one.share, share) or one.share == share]
        if in_the_way:
            with pytest.raises(BufferBusy):
                self.buffer.cursor(pump, share=share)
            self.pumps.setdefault(pump, Pump(set(self.trimmed)))
            return
        self.pumps.setdefault(pump, Pump(set(self.trimmed)))
        cursor = self.buffer.cursor(pump, share=share)
        assert isinstance(cursor, RedisCursor)
        cursor._next_claim = float("inf")  # but for the rule `claim`
        self.late(pump)
        self.workers.append(Worker(pump, share, cursor))

    def late(self, pump: str) -> None:
        """Those are too late whose lease was over and has been taken."""
        for worker in [one for one in self.workers if one.pump == pump and one.lapsed]:
            lease = self.client.hget(LOCKS, worker.cursor._lease.name) or b""
            if not lease.startswith(worker.cursor._lease.token.encode()):
                self.workers.remove(worker)
                self.too_late.append(worker)

    @precondition(any_awake)
    @rule(data=st.data(), records=st.integers(1, 9), more=st.booleans())
    def fetch(self, data: st.DataObject, records: int, more: bool) -> None:
        """A worker fetches, perhaps behind what it has in hand."""
        worker = self.draw_worker(data)
        after = worker.hand[-1].position if more and worker.hand else None
        if after is None:
            worker.hand = []
        self.take(worker, worker.cursor.fetch(records, PLENTY, after))

    def take(self, worker: Worker, deliveries: list[Delivery]) -> None:
        """Check what a worker was handed."""
        pump = self.pumps[worker.pump]
        positions = [one.position for one in deliveries]
        assert positions == sorted(positions)
        assert not set(positions) & pump.passed, "handed out again after it was passed"
        for other in self.workers:
            if other.pump == worker.pump and other is not worker:
                assert not set(positions) & {one.position for one in other.hand}, "two have the same frame"
        if worker.share is None:
            begun = {one.position for one in worker.hand}
            left = sorted(self.unpassed(pump) | begun)
            kept = [one for one in positions if one not in self.removed and self.totals[one]]
            expected = [one for one in left if one not in begun]
            assert kept == expected[: len(kept)], "not in order"
            assert not expected or positions
        for one in deliveries:
            assert one.total == self.totals[one.position]
            before = pump.handed.setdefault(one.position, worker.cursor)
            told = before is worker.cursor or one.redelivered or not one.total
            assert told, "it was handed out before, and is not told"
            pump.handed[one.position] = worker.cursor
        worker.hand += deliveries

    @precondition(any_hand)
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        """A worker commits the first frames in hand."""
        worker = self.draw_worker(data, with_hand=True)
        number = data.draw(st.integers(1, len(worker.hand)))
        passed = worker.hand[:number]
        total = sum(one.total for one in passed)
        filtered = data.draw(st.integers(0, total))
        worker.cursor.commit(passed[-1].position, Counts(total - filtered, filtered))
        del worker.hand[:number]
        self.passed(self.pumps[worker.pump], {one.position for one in passed})

    def passed(self, pump: Pump, positions: set[int]) -> None:
        """A pump has passed frames, each for the first time."""
        assert not positions & pump.passed, "counted twice"
        pump.passed |= positions
        for position in positions:
            pump.parts.pop(position, None)

    @precondition(any_hand)
    @rule(data=st.data())
    def accept(self, data: st.DataObject) -> None:
        """A sink takes part of a batch in hand."""
        worker = self.draw_worker(data, with_hand=True)
        with_records = [one for one in worker.hand if one.total]
        if with_records:
            one = data.draw(st.sampled_from(with_records))
            last = data.draw(st.integers(0, one.total - 1))
            worker.cursor.accept([Part(one.position, 0, last)])
            self.pumps[worker.pump].parts.setdefault(one.position, set()).update(range(last + 1))

    @precondition(any_awake)
    @rule(data=st.data(), ahead=st.floats(0, 1))
    def skip(self, data: st.DataObject, ahead: float) -> None:
        """A worker moves ahead, past everything but what others have in hand."""
        worker = self.draw_worker(data)
        pump, positions = self.pumps[worker.pump], sorted(self.totals)
        through = positions[int(ahead * (len(positions) - 1))] if positions else 0
        owners = pending(self.client, LOG, worker.pump)
        of_others = {self.position(id_) for id_, owner in owners.items() if owner.decode() != (worker.share or "@")}
        mine = {self.position(id_) for id_, owner in owners.items() if owner.decode() == (worker.share or "@")}
        # What was removed while it was in hand is still in hand; what was read ahead and not handed out is gone.
        in_hand = set(worker.cursor._hand)
        unread = self.unread(pump) - of_others
        due = {position for position in unread | (mine & in_hand) if position <= through}
        worker.hand = []
        taken = sum(len(pump.parts.get(position, ())) for position in due)
        assert worker.cursor.skip(through) == sum(self.totals[position] for position in due) - taken
        self.passed(pump, due)

    def position(self, id_: bytes) -> int:
        """Return the position of an entry."""
        us, _, seq = id_.partition(b"-")
        return int(us) + int(seq)

    @precondition(lambda self: any(worker.share and not worker.lapsed for worker in self.workers))
    @rule(data=st.data())
    def claim(self, data: st.DataObject) -> None:
        """A worker of several looks for dead ones when it fetches next; their frames come first."""
        sharing = [worker for worker in self.workers if worker.share and not worker.lapsed]
        worker = sharing[data.draw(st.integers(0, len(sharing) - 1))]
        worker.hand = []
        worker.cursor._next_claim = 0.0
        deliveries = worker.cursor.fetch(PLENTY, PLENTY)
        worker.cursor._next_claim = float("inf")
        self.late(worker.pump)
        assert not [one for one in self.workers if one.pump == worker.pump and one.lapsed and one.hand]
        self.take(worker, deliveries)
        of_others: set[int] = set().union(*(other.cursor._hand for other in self.living(worker.pump)))
        assert self.unpassed(self.pumps[worker.pump]) <= of_others, "nobody has it"

    @precondition(any_awake)
    @rule(data=st.data())
    def close_cursor(self, data: st.DataObject) -> None:
        """A worker stops cleanly, perhaps with frames in hand."""
        worker = self.draw_worker(data)
        worker.cursor.close()
        self.workers.remove(worker)

    @precondition(any_awake)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        """A worker is gone without a word; so is its lease."""
        event("crash")
        worker = self.draw_worker(data)
        self.workers.remove(worker)
        worker.cursor.__del__()

    @precondition(any_awake)
    @rule(data=st.data())
    def freeze(self, data: st.DataObject) -> None:
        """A worker falls asleep for longer than its lease."""
        worker = self.draw_worker(data)
        end_lease(self.client, LOCKS, worker.cursor._lease.name)
        worker.lapsed = True

    @precondition(lambda self: any(worker.lapsed for worker in self.workers))
    @rule(data=st.data())
    def wake_in_time(self, data: st.DataObject) -> None:
        """A worker wakes up before anybody has noticed, and goes on."""
        worker = data.draw(st.sampled_from([one for one in self.workers if one.lapsed]))
        worker.cursor._lease.renewed = 0.0
        worker.cursor.hold()
        worker.lapsed = False

    @precondition(lambda self: self.too_late)
    @rule(data=st.data(), what=st.sampled_from(["fetch", "commit", "accept", "skip", "hold"]))
    def wake_too_late(self, data: st.DataObject, what: str) -> None:
        """A worker wakes up when its frames are somebody else's: it can do nothing, and nothing changes."""
        event("too late")
        worker = data.draw(st.sampled_from(self.too_late))
        before = everything(self.client)
        with pytest.raises(Fenced):
            self.write(worker, what)
        if what == "fetch":
            worker.hand = []
        assert everything(self.client) == before

    def write(self, worker: Worker, what: str) -> None:
        """Let a worker do what asks the server."""
        cursor, hand = worker.cursor, worker.hand
        if what == "commit" and hand:
            cursor.commit(hand[-1].position, Counts(sum(one.total for one in hand)))
        elif what == "accept" and hand:
            cursor.accept([Part(hand[0].position, 0, 0)])
        elif what == "skip":
            cursor.skip(PLENTY**3)
        elif what == "fetch":
            cursor.fetch(PLENTY, PLENTY)
        else:
            cursor._lease.renewed = 0.0
            cursor.hold()

    # People ---------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.pumps)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        """A person drops a pump, which works unless somebody has it."""
        name = data.draw(st.sampled_from(sorted(self.pumps)))
        if self.living(name):
            with pytest.raises(BufferBusy):
                self.buffer.drop_cursor(name)
            return
        self.buffer.drop_cursor(name)
        self.late(name)
        del self.pumps[name]

    @precondition(lambda self: len(self.pumps) == 1)
    @rule()
    def rename(self) -> None:
        """A person renames a pump, which works unless somebody has it."""
        [(name, pump)] = self.pumps.items()
        new = "archive" if name == PUMPS[0] else PUMPS[0]
        if self.living(name):
            with pytest.raises(BufferBusy):
                self.buffer.rename_cursor(name, new)
            return
        self.buffer.rename_cursor(name, new)
        self.late(name)
        self.pumps = {new: pump}

    @rule()
    def trim(self) -> None:
        """The runner trims."""
        self.buffer.trim()
        self.trimmed |= set(self.totals) - self.removed - self.present()

    @rule(data=st.data())
    def meddle_remove(self, data: st.DataObject) -> None:
        """Somebody removes an entry by hand."""
        present = sorted(self.present())
        if present:
            event("removed")
            position = data.draw(st.sampled_from(present))
            self.client.xdel(LOG, self.ids[position])
            self.removed.add(position)

    @precondition(lambda self: self.pumps)
    @rule(data=st.data())
    def meddle_group(self, data: st.DataObject) -> None:
        """Somebody destroys a group: whoever has frames in hand is too late, and some are handed out again."""
        event("group destroyed")
        name = data.draw(st.sampled_from(sorted(self.pumps)))
        pump = self.pumps[name]
        floor = int(self.client.hget(f"{{model}}:pump:{name}", "floor") or 0)
        below = {position for position in self.totals if position <= floor}
        assert below - pump.passed <= self.removed, "nobody would be handed it any more"
        self.client.xgroup_destroy(LOG, name)
        for worker in [one for one in self.workers if one.pump == name]:
            self.workers.remove(worker)
            if worker.hand and not worker.lapsed:
                with pytest.raises(Fenced):
                    worker.cursor.commit(worker.hand[-1].position, Counts(sum(one.total for one in worker.hand)))
            worker.cursor.close()
        self.buffer.cursor(name).close()
        pump.passed = below | self.trimmed

    @rule()
    def meddle_log(self) -> None:
        """Somebody removes the log: what is in hand is of no use, and counts for nothing in the new one."""
        event("log removed")
        self.client.delete(LOG, "{model}:meta", "{model}:producers")
        self.buffer.append([self.producers[0].frame(2)], accept_gap=True)
        for worker in self.workers:
            if worker.hand:
                with pytest.raises(BufferReplaced):
                    worker.cursor.fetch(PLENTY, PLENTY, worker.hand[-1].position)
                self.buffer.register(worker.pump)
                total = sum(one.total for one in worker.hand)
                worker.cursor.commit(worker.hand[-1].position, Counts(total))
            worker.cursor.close()
        self.workers = []
        self.new_log()
        for name in self.pumps:
            cursor = self.buffer.cursor(name)
            assert cursor.was_reset
            cursor.close()
            self.pumps[name] = Pump()
        self.learn([2])

    # What always holds ----------------------------------------------------------------------------------------

    def present(self) -> set[int]:
        """Return the positions of all entries in the log."""
        return {self.position(id_) for id_, _ in self.client.xrange(LOG)}

    @invariant()
    def agrees(self) -> None:
        """Every ledger balances, and nothing is gone that somebody has to be handed."""
        stats = self.buffer.stats()
        present = self.present()
        assert stats.cursors.keys() == self.pumps.keys()
        removed = sum(self.totals[position] for position in self.removed)
        for name, pump in self.pumps.items():
            cursor = stats.cursors[name]
            accounted = cursor.delivered + cursor.filtered + cursor.dead + cursor.skipped + cursor.lag
            assert stats.stored - cursor.began == accounted
            assert self.unpassed(pump) <= present, "a frame is gone that a registered pump has not passed"
            lag = sum(self.totals[position] for position in self.unpassed(pump))
            assert lag <= cursor.lag <= lag + removed
            gone = {position for position in self.trimmed if self.totals[position]}
            assert gone <= pump.passed | self.removed


class TestRedisContractModel(ContractMachine.TestCase):  # type: ignore[misc, valid-type]
    """Some sequences of events, the same each time; those at length are new ones."""

    settings = settings(max_examples=25, stateful_step_count=40, derandomize=True, **ANY_SPEED)


@pytest.mark.slow
@pytest.mark.timeout(3_000)
class TestRedisContractModelAtLength(ContractMachine.TestCase):  # type: ignore[misc, valid-type]
    """Many, and longer ones."""

    settings = settings(max_examples=150, stateful_step_count=80, **ANY_SPEED)


@pytest.fixture(autouse=True)
def _nobody_renews(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model says when a lease is over."""
    monkeypatch.setattr(leases, "PERIOD", 3_600.0)
    monkeypatch.setattr(leases, "TTL", 3_600.0)
    monkeypatch.setattr(cursors, "TTL", 3_600.0)


class TestSharingModel(SharingMachine.TestCase):  # type: ignore[misc, valid-type]
    """Some sequences of events, the same each time; those at length are new ones."""

    settings = settings(max_examples=40, stateful_step_count=40, derandomize=True, **ANY_SPEED)


@pytest.mark.slow
@pytest.mark.timeout(3_000)
class TestSharingModelAtLength(SharingMachine.TestCase):  # type: ignore[misc, valid-type]
    """Many, and longer ones."""

    settings = settings(max_examples=200, stateful_step_count=80, **ANY_SPEED)
