"""t-flaky: fails at random."""

import random

import attrs

from pumpkit import Meta, PartialWrite, Records, Unavailable, hookimpl
from pumpkit_test_sinks.base import FileSink


@attrs.define(eq=False)
class FlakySink(FileSink):
    """Fails a write with the chance `rate`: before anything is written, or after half of it."""

    seed: int = 0
    rate: float = 0.3
    dice: random.Random = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.dice = random.Random(self.seed)

    @hookimpl
    def write_data(self, records: Records, ids: list[str], late: bool) -> None:
        """Write all, some or nothing."""
        if self.dice.random() >= self.rate:
            self.accept(records, ids, late)
            return
        match self.dice.randrange(3):
            case 0:
                raise Unavailable("busy", retry_after=0)
            case 1:
                raise RuntimeError("lost the connection")
            case _:
                half = len(records) // 2
                self.accept(records[:half], ids[:half], late)
                raise PartialWrite(retry=range(half, len(records)))


@hookimpl
def new(meta: Meta) -> FlakySink:
    """Make the sink."""
    return meta.into(FlakySink)
