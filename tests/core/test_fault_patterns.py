"""The delivery rules under random faults: poison, outages, partial writes, refusals and deaths of the worker, mixed."""

import math
import random

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pumpkit.deliver import Failure, Memory, Outcome, Policy, deliver
from pumpkit.errors import PartialWrite, Unavailable


class Death(BaseException):
    """Stands for the death of the process: no code of ours may see it."""


class World:
    """A sink with faults, and a pump and a runner around it: what they would do, with numbers for records."""

    def __init__(self, poison=(), rejects=(), killers=(), windows=(), seed=0, **policy):
        self.poison, self.rejects, self.killers = set(poison), set(rejects), set(killers)
        self.windows = list(windows)  # (first call, length, kind of fault)
        self.dice = random.Random(seed)
        self.calls = []  # (numbers, outcome: accepted | failed | known), in order
        self.stored = []
        self.accepted = set()
        self.memory = Memory()
        self.deaths = self.pauses = 0
        self.dead, self.written, self.hand, self.coming = [], [], [], []
        self.policy = {"batch_records": 1000, "max_attempts": 5, "reject_limit": 10**6, "ordered": False} | policy

    def write(self, numbers):
        """Take some records as a sink does."""
        numbers = list(numbers)
        assert not self.accepted.intersection(numbers), "written again after it was accepted"
        self.in_flight = numbers
        at = len(self.calls)
        kind = next((kind for first, length, kind in self.windows if first <= at < first + length), "")
        if kind == "die" or self.killers.intersection(numbers):
            self.calls.append((numbers, "failed"))
            raise Death
        if kind == "error" or self.poison.intersection(numbers):
            self.calls.append((numbers, "failed"))
            raise RuntimeError("cannot")
        if kind == "unavailable":
            self.calls.append((numbers, "known"))
            raise self.dice.choice([Unavailable("busy"), ConnectionResetError(), TimeoutError()])
        rejected = {i: "no" for i, number in enumerate(numbers) if number in self.rejects}
        retry = []
        if kind == "partial":
            retry = [i for i in range(len(numbers)) if i not in rejected and self.dice.random() < 0.5]
        taken = [number for i, number in enumerate(numbers) if i not in rejected and i not in retry]
        self.stored += taken
        self.calls.append((numbers, "accepted" if taken else "known"))
        if rejected or retry:
            raise PartialWrite(rejected, retry)

    def pause(self, seconds, reason):
        """Count, and see that nobody waits for ever."""
        self.pauses += 1
        assert self.pauses < 100_000

    def turn(self, batch):
        """Deliver what is new and what is held, over as many workers as it takes."""
        self.hand += batch
        failures = []
        while True:
            policy = Policy(**self.policy, pause=self.pause, accepted=self.accepted.update, random=self.dice.random)
            here = [attrs.evolve(f, numbers=[n for n in f.numbers if n in self.hand]) for f in failures]
            try:
                outcome = deliver(self.hand, self.write, policy, self.memory, [f for f in here if f.numbers])
            except Death:
                self.deaths += 1
                assert self.deaths < 1_000
                failures.append(Failure(self.in_flight, "crash", self.memory.accepted, len(self.in_flight) == 1))
                self.written += [n for n in self.hand if n in self.accepted]
                self.hand = [n for n in self.hand if n not in self.accepted]
                self.memory = Memory(accepted=self.memory.accepted)
                self.hand += self.coming.pop(0) if self.coming else []  # the next worker fetches what came meanwhile
                continue
            break
        self.written += outcome.written
        self.dead += outcome.dead
        self.hand = outcome.held
        self.check(outcome)

    def run(self, batches):
        """Take turns, the last of them on an idle log."""
        self.coming = [*map(list, batches), [], [], []]
        while self.coming:
            self.turn(self.coming.pop(0))

    def check(self, outcome: Outcome):
        """Compare an outcome with what the sink saw."""
        assert self.hand == sorted(set(self.hand))
        for dead in outcome.dead:
            if dead.kind == "rejected":
                assert dead.number in self.rejects
            else:
                assert self.has_witness(dead.number), f"{dead.number} is dead without a witness"
            failed = sum(dead.number in numbers for numbers, result in self.calls)
            assert 1 <= dead.attempts <= failed

    def has_witness(self, number):
        """Return whether others were accepted between two failures of this record alone."""
        alone = [at for at, (numbers, result) in enumerate(self.calls) if numbers == [number] and result == "failed"]
        return any(result == "accepted" for _, result in self.calls[alone[0] : alone[-1]])


FAULTS = st.lists(
    st.tuples(
        st.integers(0, 120), st.integers(1, 60), st.sampled_from(["error", "unavailable", "partial", "die", "error"])
    ),
    max_size=4,
)
RECORDS = 120


@settings(max_examples=250, deadline=None)
@given(
    poison=st.sets(st.integers(0, RECORDS - 1), max_size=10),
    rejects=st.sets(st.integers(0, RECORDS - 1), max_size=10),
    killers=st.sets(st.integers(0, RECORDS - 1), max_size=3),
    windows=FAULTS,
    fetch=st.sampled_from([1, 4, 30, RECORDS]),
    batch_records=st.sampled_from([1, 3, 16, 1000]),
    seed=st.integers(0, 10**6),
)
def test_every_record_ends_in_exactly_one_place(poison, rejects, killers, windows, fetch, batch_records, seed):
    """Under any mix of faults nothing is written twice or lost, nothing dies without a witness, all poison is found."""
    world = World(poison, rejects, killers, windows, seed, batch_records=batch_records)
    batches = [range(at, min(at + fetch, RECORDS)) for at in range(0, RECORDS, fetch)]
    world.run([*batches, *([n] for n in range(RECORDS, RECORDS + 260))])
    assert world.hand == []
    assert sorted(world.written) == sorted(world.stored)
    assert sorted([*world.written, *(dead.number for dead in world.dead)]) == list(range(RECORDS + 260))
    assert (poison | killers) - rejects <= {dead.number for dead in world.dead}
    assert rejects - poison - killers <= {dead.number for dead in world.dead}


@settings(max_examples=150, deadline=None)
@given(
    first=st.integers(0, 60),
    length=st.integers(1, 200),
    kind=st.sampled_from(["error", "unavailable", "partial", "die"]),
    fetch=st.sampled_from([1, 2, 7, 50, 200]),
    seed=st.integers(0, 10**6),
)
def test_one_outage_kills_nothing(first, length, kind, fetch, seed):
    """Whatever an outage looks like, however long it is: with nothing wrong with the records, none is dead."""
    world = World(windows=[(first, length, kind)], seed=seed)
    batches = [range(at, min(at + fetch, 200)) for at in range(0, 200, fetch)]
    world.run([*batches, *([n] for n in range(200, 230))])
    assert world.dead == []
    assert sorted([*world.written, *world.hand]) == list(range(230))


@pytest.mark.parametrize("bad", [1, 2, 7, 8, 30, 64, 300])
@pytest.mark.parametrize("fetch", [1, 8, 1000])
def test_a_burst_of_nothing_but_poison_does_not_stop_the_pump(bad, fetch):
    """A row of bad records is held like an outage until later ones are accepted; then it is found bad."""
    world = World(poison=range(bad))
    world.run([*(range(at, min(at + fetch, bad)) for at in range(0, bad, fetch)), [bad], [bad + 1]])
    assert sorted(dead.number for dead in world.dead) == list(range(bad))
    assert (world.written, world.hand) == ([bad, bad + 1], [])


def test_a_burst_that_fills_half_a_batch_does_not_hide_the_good_half():
    """Without a later record the good ones behind 600 bad ones get through, in time; a later one is the witness."""
    world = World(poison=range(600), seed=1)
    world.turn(range(1000))
    for _ in range(50):
        world.turn([])
    assert sorted(world.stored) == list(range(600, 1000))
    world.turn([1000])
    assert sorted(dead.number for dead in world.dead) == list(range(600))


@settings(max_examples=100, deadline=None)
@given(poison=st.sets(st.integers(0, 999), max_size=20), seed=st.integers(0, 10**6))
def test_finding_poison_costs_a_bounded_number_of_writes(poison, seed):
    """Each bad record costs at most two halvings' worth of extra writes."""
    world = World(poison=poison, seed=seed)
    world.run([range(1000), [1000], [1001]])
    assert {dead.number for dead in world.dead} == poison
    assert len(world.calls) <= 3 + 10 + len(poison) * (2 * math.ceil(math.log2(1000)) + 2) + 18


@pytest.mark.parametrize("poison", [{500}, {17, 500, 998}])
def test_the_usual_search_is_short(poison):
    """One bad record in a thousand costs 27 writes and no more than three of them 70."""
    world = World(poison=poison)
    world.run([range(1000), [1000]])
    assert len(world.calls) <= 5 + 21 * len(poison) + 4


def test_an_outage_is_not_hammered():
    """While nothing at all is accepted, there is a pause after every 19 writes at most."""
    world = World(windows=[(0, 1000, "error")])
    world.run([range(1000), *([n] for n in range(1000, 1010))])
    assert len(world.calls) / world.pauses < 5


def test_attempts_are_counted_over_all_batches_in_hand():
    """A dead letter says how many failed writes the record was part of, those of earlier batches included."""
    world = World(poison={0})
    world.turn([0])
    world.turn([])
    world.turn([1])
    assert [(dead.number, dead.attempts) for dead in world.dead] == [(0, 7)]
    assert world.memory.failed == {}


def test_keyboard_interrupt_passes_through():
    """An interrupt is nobody's verdict."""

    def write(numbers):
        raise KeyboardInterrupt

    world = World()
    world.write = write
    with pytest.raises(KeyboardInterrupt):
        world.turn([1, 2])
    assert world.memory == Memory()
