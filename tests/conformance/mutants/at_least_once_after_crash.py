"""It notes in a file what it is about to write, and skips that when it is started again."""

import time
from pathlib import Path

import attrs

from pumpkit import Meta, PumpConfig, Records, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()

#: Where the ids are.
NOTES = Path(__file__).with_name("notes")


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Takes what it meant to do for done."""

    noted: set[str] = attrs.field(factory=set, init=False, repr=False)

    @hookimpl
    def init(self, config: PumpConfig) -> None:
        """Connect, and read the notes."""
        super().init(config)
        self.noted = set(NOTES.read_text().splitlines()) if NOTES.exists() else set()

    @hookimpl
    def write_data(self, records: Records, ids: list[str], timeout: float | None) -> None:
        """Note it, then write what was not noted before it was started."""
        new = [index for index, id_ in enumerate(ids) if id_ not in self.noted]
        with NOTES.open("a") as notes:
            notes.writelines(f"{id_}\n" for id_ in ids)
        time.sleep(0.005)  # as long as a durable note takes
        super().write_data([records[index] for index in new], [ids[index] for index in new], timeout)


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
