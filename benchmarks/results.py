"""Results that are kept: `results.json`, beside this file, has every benchmark's last saved run in plain numbers."""

import json
from collections.abc import Iterable
from pathlib import Path

import attrs

from benchmarks.rounds import Samples, Size

FILE = Path(__file__).parent / "results.json"


@attrs.frozen
class Result:
    """One benchmark's numbers, and the circumstances they were measured in."""

    name: str
    machine: dict[str, str]
    size: Size
    #: The part of all processors' time that other processes used meanwhile.
    neighbours: float
    samples: Samples

    def on(self) -> str:
        """Return on what this was measured, as a list."""
        return "\n".join(f"- {what}: {which}" for what, which in self.machine.items())

    def circumstances(self) -> str:
        """Return how often, and how undisturbed, this was measured."""
        part = "" if self.size.scale == 1 else f", each of {self.size.scale:g} of the full work"
        return (
            f"Medians over {self.size.rounds} interleaved rounds{part}, with the smallest and the largest. Other"
            f" processes used {100 * self.neighbours:.0f} % of the machine meanwhile."
        )


def load() -> dict[str, Result]:
    """Return the saved results by the name of the benchmark."""
    if not FILE.exists():
        return {}
    documents = json.loads(FILE.read_text())
    return {one["name"]: Result(**one | {"size": Size(*one["size"])}) for one in documents}


def save(results: Iterable[Result]) -> None:
    """Keep these, beside those of other benchmarks."""
    kept = load() | {result.name: result for result in results}
    documents = [attrs.asdict(kept[name], recurse=False) for name in sorted(kept)]
    lines = ",\n".join(map(json.dumps, documents))
    FILE.write_text(f"[\n{lines}\n]\n")
