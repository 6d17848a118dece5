"""Interleaved rounds: each contender runs once in every round, so that a slow moment of the machine is nobody's own."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

#: What one run of a contender measured: a name and a number each.
Measures = dict[str, float]

#: By contender and measure, one number for each round.
Samples = dict[str, dict[str, list[float]]]


class Size(NamedTuple):
    """How much is measured: rounds, and the part of the full amount of work in each."""

    rounds: int
    scale: float

    def of(self, count: int, least: int = 1) -> int:
        """Return a number of calls, records or the like for this size."""
        return max(least, round(count * self.scale))


class Spread(NamedTuple):
    """The median over rounds, and the smallest and the largest."""

    median: float
    low: float
    high: float


def interleaved(rounds: int, contenders: Mapping[str, Callable[[], Measures]]) -> Samples:
    """Run all contenders in every round; who begins takes turns."""
    samples: Samples = {name: {} for name in contenders}
    names = list(contenders)
    for number in range(rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            for measure, value in contenders[name]().items():
                samples[name].setdefault(measure, []).append(value)
    return samples


def spread(values: Sequence[float]) -> Spread:
    """Return median, smallest and largest."""
    return Spread(statistics.median(values), min(values), max(values))


def ratio(samples: Samples, measure: str, over: str, under: str) -> Spread:
    """Return how many times as much one contender has of a measure as another, taken within each round."""
    pairs = zip(samples[over][measure], samples[under][measure], strict=True)
    return spread([a / b for a, b in pairs])


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least `percent` % of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered), -int(-len(ordered) * percent // 100)) - 1)]
