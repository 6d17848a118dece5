"""How figures are made of runs: who runs when, medians, ratios, percentiles, aims."""

import statistics
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import apart, results
from benchmarks.rounds import Size, Spread, interleaved, percentile, ratio, spread
from benchmarks.table import Aim, Report, Table, around, number


def test_every_contender_runs_once_a_round_and_each_begins_in_turn():
    """Rounds interleave, and the order rotates."""
    ran = []
    interleaved(3, {name: lambda name=name: ran.append(name) or {} for name in "abc"})
    assert "".join(ran) == "abc" + "bca" + "cab"


def test_samples_are_kept_by_round():
    """Each measure of a contender has one number for each round, in order."""
    numbers = count()
    samples = interleaved(3, {"one": lambda: {"cpu": next(numbers)}})
    assert samples == {"one": {"cpu": [0, 1, 2]}}


def test_ratios_are_taken_within_rounds():
    """A machine that is twice as slow in one round does not move the ratio."""
    samples = {"a": {"cpu": [2.0, 4.0, 2.2]}, "b": {"cpu": [1.0, 2.0, 1.0]}}
    assert ratio(samples, "cpu", "a", "b") == Spread(2.0, 2.0, 2.2)


@given(st.lists(st.floats(0, 1e9), min_size=1), st.sampled_from([50, 99, 99.9, 100]))
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(values, percent):
    """It is one of the values; so many are no larger, and any smaller value has fewer."""
    found = percentile(values, percent)
    assert found in values
    assert 100 * sum(value <= found for value in values) >= percent * len(values) * (1 - 1e-12)
    assert 100 * sum(value < found for value in values) < percent * len(values)


def test_the_size_is_part_of_the_full_work_but_never_nothing():
    """A scale of a hundredth leaves a hundredth of the calls, and at least what a run needs."""
    assert Size(1, 0.01).of(20_000) == 200
    assert Size(1, 0.01).of(20_000, least=1_000) == 1_000


@pytest.mark.parametrize(
    ("limit", "at_least", "verdict"),
    [(3, False, "met"), (1, False, "**not met**"), (1, True, "met"), (3, True, "**not met**")],
)
def test_an_aim_is_judged_by_the_median(limit, at_least, verdict):
    """The interval is printed beside it, and does not count."""
    aim = Aim("x", Spread(2, 0.5, 4), limit, " s", at_least)
    assert str(aim) == f"- {verdict}: x at {'least' if at_least else 'most'} {limit} s; it is 2 (0.500–4) s"


def test_numbers_have_three_digits():
    """Neither exponents nor digits that mean nothing; ratios near one keep what matters."""
    shown = [number(value) for value in (0.0123, 1.0149, 2.345, 12.34, 123.4, 123456.7, 0)]
    assert shown == ["0.012", "1.015", "2.35", "12.3", "123", "123,457", "0"]
    assert around(spread([3, 1, 2])) == "2 (1–3)"


def test_a_report_is_markdown():
    """Tables are aligned, so that they read well as text too."""
    report = Report("About.", [Table(["", "µs"], [["one", "1"], ["other", "10.5"]])])
    assert str(report).splitlines() == [
        "About.",
        "",
        "|       |   µs |",
        "| ----- | ---: |",
        "| one   |    1 |",
        "| other | 10.5 |",
    ]


def test_what_fails_in_a_process_of_its_own_is_told():
    """The traceback of the other process is in the message."""
    with pytest.raises(RuntimeError, match=r"StatisticsError: no median"):
        apart.apart(statistics.median, [])


def test_saved_results_replace_those_of_the_same_benchmark(tmp_path, monkeypatch):
    """Others stay."""
    monkeypatch.setattr(results, "FILE", tmp_path / "results.json")
    some = [results.Result(name, {}, Size(1, 1.0), 0.0, {}) for name in ("log", "drain")]
    results.save(some)
    newer = results.Result("log", {}, Size(9, 1.0), 0.01, {"a": {"cpu": [1.5]}})
    results.save([newer])
    assert results.load() == {"drain": some[1], "log": newer}
