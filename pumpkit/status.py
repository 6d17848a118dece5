"""What a runner knows of its pumps: the table that the health endpoint, the metrics and `pumpkit status` show.

Times are Unix seconds and only label; nothing decides by them.
"""

import time
from typing import Any, ClassVar, Literal

import attrs

from pumpkit.buffers.base import BufferStats, CursorStats

#: `standby` waits for its turn at a pump that another runner has. `elsewhere` is the cursor of a pump that only another
#: runner's configuration has, `orphan` one of a pump that none has; it still holds trimming. `unknown` is what the
#: command line says when a runner lives but does not answer.
State = Literal[
    "starting",
    "running",
    "standby",
    "waiting",
    "failed",
    "crashed",
    "paused",
    "stopping",
    "stopped",
    "elsewhere",
    "orphan",
    "unknown",
]


@attrs.define
class ProcessStatus:
    """What a supervised process is doing."""

    name: str
    type: str = ""
    required: bool = True
    state: State = "stopped"
    reason: str = ""
    since: float = attrs.field(factory=time.time)
    pid: int | None = None
    restarts: int = 0
    last_error: str = ""
    last_error_at: float | None = None
    moved: float = attrs.field(factory=time.monotonic)  # when it last got on, or had nothing to do
    patience: float = 70.0  # seconds without progress, with records waiting, until health says so

    #: What becomes of a record that waits for it.
    verb: ClassVar[str] = "committed"

    def enter(self, state: State, reason: str = "") -> None:
        """Take up a state; `since` starts again when it, or the reason, is a new one."""
        if (state, reason) != (self.state, self.reason):
            self.state, self.reason, self.since = state, reason, time.time()

    @property
    def tag(self) -> dict[str, str]:
        """What a message in the log about it carries."""
        return {"pump": self.name}

    def waiting_records(self) -> int:
        """Return how many records wait for it."""
        return 0

    def failing(self) -> str:
        """Return why it is not healthy, "" if it is. A standby is: it would take over."""
        if self.state == "failed":
            return self.reason or "failed"
        still = time.monotonic() - self.moved
        if self.state not in ("standby", "paused", "stopping", "stopped") and still > self.patience:
            lag = self.waiting_records()
            return f"stalled: {lag} records waiting, none {self.verb} for {still:.0f} s" if lag else ""
        return ""


@attrs.define
class PumpStatus(ProcessStatus):
    """One worker of a pump: what it is doing, and the pump's place and ledger in the log.

    The first worker has the pump's name, others `NAME#2` and so on. They share the ledger; only the first one shows it.
    """

    plugin: str = ""  # name, distribution and version, once a worker has loaded it
    rate: float = 0.0  # records delivered a second, over the last few seconds
    writes: int = 0
    write_seconds: float = 0.0
    cursor: CursorStats | None = None

    @property
    def pump(self) -> str:
        """The pump's name."""
        return self.name.partition("#")[0]

    @property
    def is_first(self) -> bool:
        """Whether it shows what belongs to the pump as a whole."""
        return "#" not in self.name

    def waiting_records(self) -> int:
        """Return the pump's lag."""
        return self.cursor.lag if self.cursor else 0

    def oldest_seconds(self) -> float:
        """Return the age of the oldest frame it has not passed, 0 without one. Clocks may differ: never below 0."""
        oldest = self.cursor.oldest_ms if self.cursor else None
        return max(0.0, time.time() - oldest / 1000) if oldest is not None else 0.0


@attrs.define
class InputStatus(ProcessStatus):
    """The process of an input. What it has moved is counted since the runner's start."""

    verb: ClassVar[str] = "moved"

    records: int = 0
    bad: int = 0  # of these: items that are no records, and become dead letters
    bytes: int = 0  # of all as items of the lists
    waiting: int | None = None  # items in the lists, once somebody has looked

    @property
    def tag(self) -> dict[str, str]:
        """See `ProcessStatus.tag`."""
        return {"input": self.name}

    def waiting_records(self) -> int:
        """Return the items in its lists."""
        return self.waiting or 0


@attrs.define
class Status:
    """A runner, its pumps and inputs; without a runner, what the log alone tells (`pid` is None)."""

    buffer: BufferStats | None = None
    pumps: dict[str, PumpStatus] = attrs.field(factory=dict)
    inputs: dict[str, InputStatus] = attrs.field(factory=dict)
    runners: list[dict[str, str]] = attrs.field(factory=list)  # as `Buffer.runners` has them, this one too
    pid: int | None = None
    host: str = ""
    started: float | None = None
    config: str = ""  # path of pumpkit.yaml
    version: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return what `/status.json` and `pumpkit status --json` print."""
        document = attrs.asdict(self, recurse=False)
        document["pumps"] = {name: _pump_json(pump) for name, pump in dict(self.pumps).items()}
        document["inputs"] = {name: _shown(one) for name, one in dict(self.inputs).items()}
        document["buffer"] = _buffer_json(self.buffer) if self.buffer else None
        return document


def _shown(status: ProcessStatus) -> dict[str, Any]:
    return attrs.asdict(status, recurse=False, filter=attrs.filters.exclude("moved", "patience"))


def _pump_json(pump: PumpStatus) -> dict[str, Any]:
    document = _shown(pump)
    cursor = document.pop("cursor")
    if cursor is not None and pump.is_first:
        document |= {key: value for key, value in cursor._asdict().items() if key != "pump"}
    return document


def _buffer_json(stats: BufferStats) -> dict[str, Any]:
    document = stats._asdict()
    document["producers"] = [producer._asdict() for producer in stats.producers]
    document["drops_by_host"] = [pair._asdict() for pair in stats.drops_by_host]
    del document["cursors"]
    return document
