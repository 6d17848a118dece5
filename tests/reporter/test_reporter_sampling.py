"""Which records are taken, and what of them leaves the process."""

import enum
import os
import random
import socket
import sys
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pumpkit import Reporter, Sample, frames, process_fields
from pumpkit.reporter import sampling


class Odd:
    """A record with code of its own, which fails."""

    @property
    def user(self) -> str:
        raise RuntimeError("no user")


class Plan(enum.Enum):
    FREE = "free"
    GOLD = "gold"
    PRO = "pro"
    TEAM = "team"


@attrs.define
class Decision:
    user: str
    effect: str


def test_a_rate_takes_about_that_share_by_chance(make_reporter: Any, log: Any) -> None:
    """Of 20,000 records a tenth arrives, the others are counted as sampled, and nothing is a drop."""
    reporter = make_reporter(sample=0.1, records_buffer_size=50_000)
    for number in range(20_000):
        reporter.record({"n": number})
    result = reporter.flush()
    stats = reporter.stats()
    assert 1_700 < result.sent < 2_300  # six standard deviations are 255
    assert stats.sampled == 20_000 - result.sent
    assert result.dropped == 0
    assert len(log.records()) == result.sent


def test_a_sample_by_key_takes_all_records_that_agree_in_it_or_none(make_reporter: Any, log: Any) -> None:
    """Two reporters take the same users, about a quarter of them, each with all records."""
    reporters = [make_reporter(sample=Sample(0.25, key="user")) for _ in range(2)]
    for number in range(4_000):
        for reporter in reporters:
            reporter.record({"user": f"user{number % 400}", "n": number})
    for reporter in reporters:
        reporter.flush()
    counts: dict[str, int] = {}
    for record in log.records():
        counts[record["user"]] = counts.get(record["user"], 0) + 1
    assert set(counts.values()) == {20}
    assert 50 < len(counts) < 150


@pytest.mark.parametrize("record", [{"n": 1}, {"user": None}, Decision("", ""), object(), Odd()])
def test_what_has_no_key_is_taken(record: object) -> None:
    """A record without the field, or whose own code fails, is taken: losing it would not be sampling."""
    take = sampling.chooser(Sample(1e-9, key="nobody" if isinstance(record, Decision) else "user"))
    assert take(record)


@given(value=st.one_of(st.text(), st.integers(), st.binary(), st.floats(), st.uuids()), rate=st.floats(0.01, 1.0))
def test_objects_and_mappings_are_sampled_alike(value: Any, rate: float) -> None:
    """Objects and mappings that agree are treated alike, and a larger share takes what a smaller one took."""
    take = sampling.chooser(Sample(rate, key="user"))
    assert take({"user": value}) == take(Decision(value, "allow"))
    assert take({"user": value}) or not sampling.chooser(Sample(rate / 2, key="user"))({"user": value})


@pytest.mark.parametrize("plan", list(Plan))
def test_a_member_of_an_enum_is_sampled_as_its_value(plan: Plan) -> None:
    """They are the same at the sink, so services that record either take the same records."""
    take = sampling.chooser(Sample(0.5, key="plan"))
    assert take({"plan": plan}) == take({"plan": plan.value})


def test_sampling_leaves_the_numbers_of_the_application_alone(make_reporter: Any) -> None:
    """A program that has seeded `random` gets the same numbers with a sampled reporter as without."""
    random.seed(7)
    expected = [random.random() for _ in range(3)]
    random.seed(7)
    reporter = make_reporter(sample=0.5)
    for _ in range(100):
        reporter.record({"n": 1})
    assert [random.random() for _ in range(3)] == expected


@pytest.mark.parametrize(
    "sample", [0, -0.1, 1.5, True, "0.1", float("nan"), float("inf"), 10**400, Sample(0), Sample(0.1, key="")]
)
def test_a_wrong_sample_is_refused(sample: Any) -> None:
    """What is no share raises ValueError and says what it must be."""
    with pytest.raises(ValueError, match=r"sample=.*above 0 and up to 1"):
        Reporter(sample=sample)


def test_a_sampled_record_costs_no_room_and_a_full_queue_counts_only_what_was_taken(
    make_reporter: Any, log: Any
) -> None:
    """With the queue full, what the sample leaves out is sampled, and only what it takes is dropped."""
    log.down = OSError("away")
    reporter = make_reporter(sample=Sample(0.5, key="user"), records_buffer_size=10, buffer_bytes=1, exit_timeout=0.0)
    for number in range(1_000):
        reporter.record({"user": number})
    stats = reporter.stats()
    take = sampling.chooser(Sample(0.5, key="user"))
    assert stats.sampled == sum(not take({"user": number}) for number in range(1_000))
    assert stats.pending + stats.drops.get("full", 0) == 1_000 - stats.sampled


def test_copies_and_samples_go_together(make_reporter: Any, log: Any) -> None:
    """`copy=True` keeps what the record was, also beside a sample."""
    reporter = make_reporter(sample=Sample(0.999999, key="n"), copy=True)
    for _ in range(3):
        record = {"n": 0}
        reporter.record(record)
        record["n"] = 9
    reporter.flush()
    assert [record["n"] for record in log.records()] == [0, 0, 0]


def test_only_listed_fields_leave_the_process(make_reporter: Any, log: Any) -> None:
    """Of mappings and objects alike; the record itself is not touched, and common fields are not listed."""
    reporter = make_reporter(fields=["user", "effect"], common={"service": "authz"})
    secret = {"user": "ann", "password": "x", "other": object()}
    reporter.record(secret)
    reporter.record(Decision("bob", "deny"))
    reporter.flush()
    assert list(secret) == ["user", "password", "other"]
    assert log.records() == [{"user": "ann"}, {"user": "bob", "effect": "deny"}]
    assert b"password" not in b"".join(log.stored)
    assert frames.read_header(log.stored[0]).common == {"service": "authz"}


@pytest.mark.parametrize("fields", ["user", [], [1], 3])
def test_a_wrong_field_list_is_refused(fields: Any) -> None:
    """A name alone is no list of names."""
    with pytest.raises(ValueError, match=r"fields=.*names of fields"):
        Reporter(fields=fields)


def test_common_fields_of_a_process_are_made_once_in_each(program: Any) -> None:
    """A parent and its child say their own pid, and the host."""
    program.run(
        """
        import os, pumpkit
        reporter = pumpkit.Reporter(common=pumpkit.process_fields)
        reporter.record({"who": os.getpid()})
        reporter.flush()
        child = os.fork()
        reporter.record({"who": os.getpid()})
        reporter.flush()
        if not child:
            os._exit(0)
        os.waitpid(child, 0)
        """
    )
    found = program.records()
    assert len(found) == 3
    assert {record["host"] for record in found} == {socket.gethostname()}
    assert all(record["pid"] == record["who"] for record in found)
    assert len({record["pid"] for record in found}) == 2


@pytest.mark.parametrize("common", [lambda: 1 / 0, lambda: {"a": [1]}, lambda: None, sys.exit])
def test_common_fields_that_cannot_be_made_are_left_out(
    make_reporter: Any, log: Any, caplog: pytest.LogCaptureFixture, common: Any
) -> None:
    """Records go on without them, and one line says why."""
    reporter = make_reporter(common=common)
    reporter.record({"n": 1})
    reporter.flush()
    assert log.records() == [{"n": 1}]
    assert [message for message in caplog.messages if message.startswith("no common fields are sent")]


def test_process_fields() -> None:
    """They name the host and the process."""
    assert process_fields() == {"host": socket.gethostname(), "pid": os.getpid()}
