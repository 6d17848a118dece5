"""A benchmark that is made of several: the samples of each are kept under its name."""

from benchmarks.rounds import Samples


def named(part: str, samples: Samples) -> Samples:
    """Return the samples of a part under names that tell which part it is."""
    return {f"{part}: {contender}": one for contender, one in samples.items()}


def of(part: str, samples: Samples) -> Samples:
    """Return the samples of one part, under the names that it gave them."""
    begin = f"{part}: "
    return {name.removeprefix(begin): one for name, one in samples.items() if name.startswith(begin)}
