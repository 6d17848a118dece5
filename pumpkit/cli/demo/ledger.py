"""The account of a demonstration: what went in, what came out, and whether it adds up."""

from typing import Any

import attrs

from pumpkit.buffers.base import BufferStats, CursorStats


@attrs.frozen
class PumpAccount:
    """What became of records at one pump in this run, and what its files hold over all runs."""

    name: str
    delivered: int
    filtered: int
    dead: int
    skipped: int
    lag: int
    rows: int  # in its CSV files, read back
    delivered_ever: int
    balanced: bool  # stored since it began = delivered + filtered + dead + skipped + lag

    @property
    def good(self) -> bool:
        """Whether everything arrived, once."""
        return self.balanced and not (self.dead or self.skipped or self.lag) and self.rows == self.delivered_ever


@attrs.frozen
class Account:
    """A whole run. `waiting` are records that an earlier run had left in the buffer for its pumps."""

    recorded: int
    stored: int
    dropped: dict[str, int]
    waiting: int
    pumps: list[PumpAccount]

    @property
    def lost(self) -> int:
        """How many records were handed to the reporter and are not in the buffer."""
        return self.recorded - self.stored

    @property
    def good(self) -> bool:
        """Whether nothing is lost and every account balances."""
        return self.lost == 0 and bool(self.pumps) and all(pump.good for pump in self.pumps)

    def to_json(self) -> dict[str, Any]:
        """Return what `pumpkit demo --json` prints."""
        return attrs.asdict(self) | {"lost": self.lost, "good": self.good}


def settle(recorded: int, before: BufferStats, after: BufferStats, rows: dict[str, int]) -> Account:
    """Return the account of a run from the buffer's state before and after it; `rows` are those of the CSV files."""
    dropped = {cause: count - before.drops.get(cause, 0) for cause, count in after.drops.items()}
    pumps = [
        _pump(after.cursors[name], before.cursors.get(name), after.stored, count)
        for name, count in rows.items()
        if name in after.cursors
    ]
    waiting = max((cursor.lag for cursor in before.cursors.values()), default=0)
    stored = after.stored - before.stored
    return Account(recorded, stored, {cause: count for cause, count in dropped.items() if count}, waiting, pumps)


def _pump(after: CursorStats, before: CursorStats | None, stored: int, rows: int) -> PumpAccount:
    def since(count: str) -> int:
        earlier: int = getattr(before, count) if before else 0
        now: int = getattr(after, count)
        return now - earlier

    settled = after.delivered + after.filtered + after.dead + after.skipped + after.lag
    return PumpAccount(
        name=after.pump,
        delivered=since("delivered"),
        filtered=since("filtered"),
        dead=since("dead"),
        skipped=since("skipped"),
        lag=after.lag,
        rows=rows,
        delivered_ever=after.delivered,
        balanced=stored - after.began == settled,
    )
