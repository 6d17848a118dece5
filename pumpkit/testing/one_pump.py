"""A pump over a log in a folder, as a worker has it, in this process: to compare what it counts with what is there."""

import contextlib
from collections.abc import Iterator

import attrs

from pumpkit.buffers import open_buffer
from pumpkit.frames import pack_frame
from pumpkit.hookspecs import Records
from pumpkit.ids import new_producer, record_ids
from pumpkit.pump import Pump
from pumpkit.testing.bench import Bench
from pumpkit.testing.case import Failed, check
from pumpkit.testing.limit import GRACE, NO_LIMIT, within
from pumpkit.trouble import Place, Stage
from pumpkit.values import RecordPacker

#: Records of one frame, and of one write.
FRAME, WRITE = 100, 150

#: Tries in all of what does not go well at once.
PATIENCE = 20


@attrs.define
class Ledger:
    """What is sent, by producer, and what a pump counts of it: `dead` are the ids of its dead letters."""

    frames: list[list[bytes]] = attrs.field(factory=list)
    sent: list[str] = attrs.field(factory=list)
    delivered: int = 0
    filtered: int = 0
    dead: list[str] = attrs.field(factory=list)

    def send(self, records: Records) -> None:
        """Pack records as a producer of their own does."""
        producer, packer = new_producer(), RecordPacker()
        self.sent += record_ids(producer, 0, len(records))
        self.frames.append(
            [
                pack_frame(
                    producer=producer, first=first, runs=packer.pack(records[first : first + FRAME]).runs, created_ms=1
                )
                for first in range(0, len(records), FRAME)
            ]
        )


def drain(bench: Bench, ledger: Ledger) -> None:
    """Let a pump with the sink deliver what is sent, and note its counts. Raises Failed if it comes to no end."""
    config = attrs.evolve(bench.config, batch_records=WRITE)
    with contextlib.closing(open_buffer(f"sqlite:///{bench.folder}/buffer.db")) as buffer:
        for frames in ledger.frames:
            buffer.append(frames)
        with contextlib.closing(buffer.cursor(config.name)) as cursor:
            pump = Pump(config, bench.sink(), cursor, buffer.stats().buffer_id, _Watcher())
            while pump.turn():
                pass
            counts = cursor.stats()
        check(not counts.lag, f"{counts.lag} records were neither written nor rejected, each time that the pump tried")
        ledger.delivered, ledger.filtered = counts.delivered, counts.filtered
        ledger.dead = [letter.id for letter in buffer.dead_letters(config.name, len(ledger.sent))]


class _Watcher:
    """What a pump needs of its process: here it never waits, and gives up at some time."""

    def __init__(self) -> None:
        self._pauses = 0

    @contextlib.contextmanager
    def watch(self, stage: Stage, first: Place, last: Place, limit: float | None) -> Iterator[None]:
        """Let it fail if it hangs; a worker would end with it."""
        with within(NO_LIMIT if limit is None else limit + GRACE, f"the pump's call of the sink ({stage})"):
            yield

    def pause(self, seconds: float, reason: str) -> None:
        """Count how often it has to wait."""
        self._pauses += 1
        if self._pauses > PATIENCE:
            raise Failed(f"the pump gets nowhere, after {PATIENCE} tries: {reason}")

    def wrote(self, records: int, seconds: float) -> None:
        """Look at what is there instead."""
