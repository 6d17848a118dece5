"""The delivery rules over scripted sinks: no plugins, no processes, no waiting."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pumpkit.deliver import Failure, Memory, Outcome, Policy, deliver
from pumpkit.errors import ConfigError, Fenced, PartialWrite, RefusesEverything, Unavailable


class Sink:
    """A sink that keeps what it accepts; poison breaks every write it is in, an outage breaks all of them."""

    def __init__(self, poison=(), outages=(), reject=()):
        self.poison, self.outages, self.reject = set(poison), list(outages), set(reject)
        self.calls, self.stored, self.pauses = 0, [], []

    def write(self, numbers):
        self.calls += 1
        if any(first <= self.calls < last for first, last in self.outages):
            raise RuntimeError("down")
        if self.poison & set(numbers):
            raise ValueError("cannot write that")
        rejected = {i: "no" for i, number in enumerate(numbers) if number in self.reject}
        self.stored += [number for number in numbers if number not in self.reject]
        if rejected:
            raise PartialWrite(rejected)

    def pause(self, seconds, reason):
        self.pauses.append((seconds, reason))

    def policy(self, **changes):
        settings = {
            "batch_records": 1000,
            "max_attempts": 5,
            "reject_limit": 1000,
            "ordered": False,
            "pause": self.pause,
            "accepted": lambda numbers: None,
            "random": lambda: 1.0,
        }
        return Policy(**settings | changes)


def deliver_all(sink, batches, **changes):
    """Deliver batches as a pump does: what is held goes along with the next one; at the end it is tried alone."""
    memory, total, held = Memory(), Outcome(), []
    for batch in [*batches, [], []]:
        outcome = deliver([*held, *batch], sink.write, sink.policy(**changes), memory)
        total.written += outcome.written
        total.dead += outcome.dead
        held = outcome.held
    total.held = held
    return total


def test_a_healthy_sink_gets_everything_once_in_slices():
    """All records are written in order, at most batch_records at a time."""
    sizes = []
    sink = Sink()

    def write(numbers):
        sizes.append(len(numbers))
        sink.write(numbers)

    outcome = deliver(range(2500), write, sink.policy(), Memory())
    assert (sink.stored, sizes) == (list(range(2500)), [1000, 1000, 500])
    assert (outcome.written, outcome.dead, outcome.held) == (list(range(2500)), [], [])


@pytest.mark.parametrize("error", [Unavailable("busy"), ConnectionResetError("gone"), TimeoutError("slow")])
def test_unavailable_repeats_the_same_batch_without_end(error):
    """Unavailable, ConnectionError and TimeoutError repeat the whole batch, with pauses up to 30 seconds."""
    sink = Sink()
    seen = []

    def write(numbers):
        seen.append(list(numbers))
        if len(seen) <= 20:
            raise error
        sink.write(numbers)

    outcome = deliver([1, 2, 3], write, sink.policy(), Memory())
    assert seen == [[1, 2, 3]] * 21
    assert outcome.written == [1, 2, 3]
    assert [seconds for seconds, _ in sink.pauses][:8] == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_retry_after_is_honoured():
    """The pause is what the sink asked for."""
    sink, answers = Sink(), [Unavailable("429", retry_after=7.5)]

    def write(numbers):
        if answers:
            raise answers.pop()

    deliver([1], write, sink.policy(), Memory())
    assert sink.pauses == [(7.5, "Unavailable: 429")]


def test_partial_write_kills_the_rejected_and_repeats_only_the_rest():
    """Indices refer to the list just given; every index not named is written."""
    sink, seen = Sink(), []

    def write(numbers):
        seen.append(list(numbers))
        if len(seen) == 1:
            raise PartialWrite(rejected={1: "bad date"}, retry=[2, 4])
        if len(seen) == 2:
            raise PartialWrite(rejected={0: "late refusal"})

    outcome = deliver([10, 11, 12, 13, 14], write, sink.policy(), Memory())
    assert seen == [[10, 11, 12, 13, 14], [12, 14]]
    assert sorted(outcome.written) == [10, 13, 14]
    assert [(dead.number, dead.kind, dead.reason) for dead in outcome.dead] == [
        (11, "rejected", "bad date"),
        (12, "rejected", "late refusal"),
    ]


@pytest.mark.parametrize("asked", [-1, "120", "Wed, 21 Oct 2015 07:28:00 GMT", float("nan"), None, [3]])
def test_a_retry_after_that_is_no_time_is_not_honoured(asked):
    """A header's text, a negative number or nan leaves the pause to the pump; nothing breaks over it."""
    sink, answers = Sink(), [Unavailable("429", retry_after=asked)]

    def write(numbers):
        if answers:
            raise answers.pop()

    deliver([1], write, sink.policy(), Memory())
    assert sink.pauses == [(0.5, "Unavailable: 429")]


def test_a_retry_after_is_an_hour_at_most():
    """However long a sink asks for."""
    sink, answers = Sink(), [Unavailable("429", retry_after=float("inf"))]

    def write(numbers):
        if answers:
            raise answers.pop()

    deliver([1], write, sink.policy(), Memory())
    assert sink.pauses == [(3600.0, "Unavailable: 429")]


@pytest.mark.parametrize(
    "verdict",
    [
        PartialWrite({3: "x"}),
        PartialWrite({0: "x"}, [0]),
        PartialWrite({-1: "x"}),
        PartialWrite(),
        PartialWrite(retry=[0, 0]),
        PartialWrite(retry=[[0]]),
        PartialWrite(retry="0"),
        PartialWrite({True: "x"}),
        PartialWrite({1.0: "x"}),
        PartialWrite({None: "x"}, [0]),
    ],
)
def test_a_partial_write_that_makes_no_sense_is_an_unknown_verdict(verdict):
    """Indices out of range, named twice, of other types or none at all never count as written."""
    sink, answers = Sink(), [verdict]

    def write(numbers):
        if answers:
            raise answers.pop()
        sink.write(numbers)

    outcome = deliver([1, 2, 3], write, sink.policy(), Memory())
    assert (outcome.written, outcome.dead) == ([1, 2, 3], [])


def test_config_error_passes_through_at_once():
    """A sink that cannot work as configured is not tried again."""
    sink = Sink()
    with pytest.raises(ConfigError, match="no such index"):
        deliver([1], lambda numbers: (_ for _ in ()).throw(ConfigError("no such index")), sink.policy(), Memory())
    assert sink.pauses == []


def test_rejecting_everything_is_a_config_error():
    """`reject-limit` records in a row without one accepted stop the pump; an accepted one starts the count again."""
    sink = Sink(reject=range(100))
    memory = Memory()
    deliver(range(60), sink.write, sink.policy(reject_limit=61), memory)
    deliver([500], sink.write, sink.policy(reject_limit=61), memory)
    deliver(range(60), sink.write, sink.policy(reject_limit=61), memory)
    with pytest.raises(RefusesEverything, match="61 records in a row rejected, the last: no"):
        deliver([60], sink.write, sink.policy(reject_limit=61), memory)


def test_sys_exit_in_a_sink_is_an_unknown_verdict():
    """A plugin cannot end its worker with sys.exit."""
    sink, answers = Sink(), [SystemExit(3)]

    def write(numbers):
        if answers:
            raise answers.pop()
        sink.write(numbers)

    assert deliver([1], write, sink.policy(), Memory()).written == [1]


def test_an_ordered_sink_is_never_halved():
    """Its batch is repeated whole, however often it fails."""
    sink, seen = Sink(outages=[(1, 30)]), []

    def write(numbers):
        seen.append(list(numbers))
        sink.write(numbers)

    deliver([1, 2, 3, 4], write, sink.policy(ordered=True), Memory())
    assert seen == [[1, 2, 3, 4]] * 30


def test_poison_is_found_and_nothing_else_dies():
    """Three records that break every batch they are in die; the other 997 are written exactly once."""
    sink = Sink(poison={17, 500, 998})
    total = deliver_all(sink, [range(1000), range(1000, 1010)])
    assert {dead.number for dead in total.dead} == {17, 500, 998}
    assert all(dead.kind == "unknown" and dead.attempts >= 6 for dead in total.dead)
    assert sorted(sink.stored) == [n for n in range(1010) if n not in sink.poison]
    assert sink.calls < 150


def test_a_lone_poison_record_is_held_until_there_is_a_witness():
    """A single record that fails is held; the next batch is written; it fails again and is dead."""
    sink, memory = Sink(poison={1}), Memory()
    assert deliver([1], sink.write, sink.policy(), memory).held == [1]
    assert deliver([1], sink.write, sink.policy(), memory).held == [1]
    outcome = deliver([1, 2], sink.write, sink.policy(), memory)
    assert [dead.number for dead in outcome.dead] == [1]
    assert (outcome.written, outcome.held) == ([2], [])


@settings(max_examples=300, deadline=None)
@given(
    size=st.integers(1, 300),
    start=st.integers(1, 60),
    length=st.integers(1, 300),
    batch=st.sampled_from([1, 2, 7, 64, 1000]),
)
def test_an_outage_kills_nothing(size, start, length, batch):
    """Whenever an outage begins and however long it lasts, every record is written exactly once and none is dead."""
    sink = Sink(outages=[(start, start + length)])
    batches = [range(at, min(at + batch, size)) for at in range(0, size, batch)]
    total = deliver_all(sink, [*batches, *([n] for n in range(size, size + 30))])
    assert total.dead == []
    assert sorted(sink.stored + total.held) == list(range(size + 30))


@settings(max_examples=300, deadline=None)
@given(
    poison=st.sets(st.integers(0, 199), max_size=12),
    outage=st.none() | st.tuples(st.integers(1, 80), st.integers(1, 60)),
    batch=st.sampled_from([1, 3, 50, 200]),
)
def test_poison_is_found_whatever_else_happens(poison, outage, batch):
    """With poison anywhere and an outage at any time, exactly the poison dies once good records follow it."""
    sink = Sink(poison=poison, outages=[(outage[0], sum(outage))] if outage else [])
    batches = [range(at, min(at + batch, 200)) for at in range(0, 200, batch)]
    total = deliver_all(sink, [*batches, *([n] for n in range(200, 300))])
    assert {dead.number for dead in total.dead} == poison
    assert sorted(sink.stored) == [n for n in range(300) if n not in poison]


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 10**6), poison=st.sets(st.integers(0, 99), max_size=4))
def test_a_worker_that_dies_in_writes_finds_its_poison(seed, poison):
    """Deaths narrow down to the record that causes them, over as many workers as it takes; nothing is written twice."""
    stored, failures, dead, deaths = [], [], [], 0
    accepted_ever = 0
    while True:
        memory = Memory(accepted=accepted_ever)
        in_flight = []

        def write(numbers, in_flight=in_flight):
            in_flight[:] = [list(numbers)]
            if poison & set(numbers):
                raise KeyboardInterrupt  # stands for the death of the process: no code of ours sees it
            stored.extend(numbers)

        policy = Sink().policy(batch_records=random.Random(seed).choice([7, 40, 1000]))
        todo = [n for n in range(120) if n not in stored]
        try:
            outcome = deliver(todo, write, policy, memory, failures)
        except KeyboardInterrupt:
            accepted_ever = memory.accepted
            failures.append(Failure(in_flight[0], "crash", accepted_ever, len(in_flight[0]) == 1))
            deaths += 1
            assert deaths < 150
            continue
        dead += outcome.dead
        assert outcome.held == []
        break
    assert {record.number for record in dead} == poison
    assert sorted(stored) == [n for n in range(120) if n not in poison]
    assert all(record.kind == "crash" for record in dead)


def test_nothing_is_written_that_is_no_longer_ours():
    """`hold` is asked before each write; what it raises passes through, and the sink is not called."""
    sink, asked = Sink(), []

    def hold():
        asked.append(sink.calls)
        if len(asked) == 2:
            raise Fenced("somebody else has it")

    with pytest.raises(Fenced):
        deliver([1, 2, 3, 4], sink.write, sink.policy(batch_records=2, hold=hold), Memory())
    assert (asked, sink.stored) == ([0, 1], [1, 2])
