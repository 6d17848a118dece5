"""What a buffer is: the contract that every implementation passes unchanged (`tests/buffers/contract.py`).

A buffer is a log of frames. Producers append; each pump reads at a cursor of its own; the runner trims what every
registered cursor has passed. Nothing here waits longer than the deadline it was given, and every method may raise
`BufferUnavailable`, `BufferFull` or `BufferConfigError` (see `pumpkit.errors`).

The ledger, which balances for every pump at every moment and after any kill:

    stored since it began = delivered + filtered + dead + skipped + lag
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

#: A place in the log: larger is later. Gaps mean nothing.
Position = int

Start = Literal["oldest", "newest"]
Wanted = Literal["run", "pause"]
Mark = Literal["replay", "purge"]
Severity = Literal["good", "warning", "error"]

#: What an append waits for: kept as the buffer keeps things, on its disk, or on its replicas as well.
Confirm = Literal["stored", "synced", "replicated"]


class Gap(NamedTuple):
    """The answer to an append that would leave a hole: the log expects `next_seq` from this producer."""

    next_seq: int


class Delivery(NamedTuple):
    """One frame as a pump gets it; `total` is the number of records the log counted for it.

    `redelivered` is whether it may have been handed out before. After an unclean stop nobody knows how far that went,
    so it is True of every frame that was in the log when the cursor was opened again.
    """

    position: Position
    frame: bytes
    total: int
    redelivered: bool


class Counts(NamedTuple):
    """What became of records: added to a cursor by `commit`."""

    delivered: int = 0
    filtered: int = 0
    dead: int = 0
    redelivered: int = 0  # of all these, how many may have been handed out before: those of `Delivery.redelivered`


class Part(NamedTuple):
    """Records `first` to `last` (indexes in the frame, both included) of the frame at `position`."""

    position: Position
    first: int
    last: int


class DeadLetter(NamedTuple):
    """A record, or a whole bad frame, that a pump could not deliver for good.

    `id` is the record id, or `{buffer_id}:{position}` for a frame; `kind` is rejected, unknown, timeout, crash, filter
    or bad-frame; `at_ms` is Unix milliseconds; `record` is the msgpack map the sink was to get, or the bad bytes.
    `records` is how many records of the ledger it stands for; `mark` is what a person asked for.
    """

    id: str
    position: Position
    at_ms: int
    kind: str
    reason: str
    attempts: int
    plugin: str
    record: bytes
    records: int = 1
    mark: Mark | None = None


class CursorStats(NamedTuple):
    """One pump's position and ledger. `began` is what the log had stored, ever, when the cursor began."""

    pump: str
    position: Position
    began: int
    delivered: int
    filtered: int
    dead: int
    skipped: int
    redelivered: int
    lag: int
    oldest_ms: int | None  # creation time of the oldest frame it has not passed, Unix milliseconds
    wanted: Wanted
    dead_letters: int  # rows kept now
    dead_bytes: int


def together(parts: Sequence[CursorStats]) -> CursorStats:
    """Return what one pump's cursors in the parts of a buffer are together: sums, and the position all have passed."""
    first, *rest = parts
    for other in rest:
        ages = [age for age in (first.oldest_ms, other.oldest_ms) if age is not None]
        first = CursorStats(
            pump=first.pump,
            position=min(first.position, other.position),
            began=first.began + other.began,
            delivered=first.delivered + other.delivered,
            filtered=first.filtered + other.filtered,
            dead=first.dead + other.dead,
            skipped=first.skipped + other.skipped,
            redelivered=first.redelivered + other.redelivered,
            lag=first.lag + other.lag,
            oldest_ms=min(ages, default=None),
            wanted="pause" if "pause" in (first.wanted, other.wanted) else "run",
            dead_letters=first.dead_letters + other.dead_letters,
            dead_bytes=first.dead_bytes + other.dead_bytes,
        )
    return first


class ProducerStats(NamedTuple):
    """One producer as the log knows it."""

    producer: str
    source: str
    host: str
    pid: int
    next_seq: int
    last_ms: int
    drops: dict[str, int]


class HostDrops(NamedTuple):
    """What reporters of one source dropped on one host, by cause: it was new in frames that the host appended.

    A buffer keeps a bounded number of such pairs apart: those that dropped last. `last_ms` is when (Unix milliseconds),
    None of the sums of the host "other", of pairs that had to make room, and of the host "unknown", of what was counted
    before the buffer knew of hosts; their source is "".
    """

    host: str
    source: str
    last_ms: int | None
    drops: dict[str, int]


class BufferStats(NamedTuple):
    """The whole log. `stored` counts records ever; `drops` sums all producers, by cause; `lost` are gaps accepted.

    `drops_by_host` is the same sum taken apart, the pair that dropped last first. Totals of a cause never shrink; those
    of a pair only by moving to "other", whole.

    `is_young` is whether it was made within the last minute, where whatever removed the one before may have taken the
    cursors with it. Nothing should be trimmed until every runner has had the time to register its pumps again.
    """

    buffer_id: str
    location: str
    size_bytes: int
    max_bytes: int
    frames: int
    stored: int
    lost: int
    drops: dict[str, int]
    producers: list[ProducerStats]
    cursors: dict[str, CursorStats]
    is_young: bool = False
    drops_by_host: Sequence[HostDrops] = ()


class Fact(NamedTuple):
    """Something that whoever sets a buffer up should know, in one sentence.

    A `warning` can cost records, room or time; an `error` is why it cannot work as it is.
    """

    severity: Severity
    text: str


@runtime_checkable
class Cursor(Protocol):
    """One pump's place in the log. Whoever holds it holds the pump's lock: two writers would count twice.

    Where a buffer can be shared, several cursors of one pump may share its frames: each is handed what no other has.
    Any method raises Fenced once somebody else has taken over what this cursor had in hand.
    """

    pump: str

    #: True when the buffer was recreated since this cursor last saw it; it then began again at the oldest frame.
    was_reset: bool

    def fetch(self, max_records: int, max_bytes: int, after: Position | None = None) -> list[Delivery]:
        """Return the next whole frames after the committed position, or after `after`, without waiting.

        At least one frame if there is any; more only while they stay within `max_records` and `max_bytes` (of
        frames as stored). `after` has to be a position handed out before. Raises ValueError for another one, and
        BufferConfigError if the buffer was recreated and `after` is given: what is in hand is of the old one, and
        its cursor has to be opened anew.
        """

    def commit(self, through: Position, counts: Counts, dead: Sequence[DeadLetter] = ()) -> None:
        """Move past everything up to `through`: position, counts and dead letters in one transaction.

        Raises ValueError unless `through` was handed out and `counts` account for every record up to it.
        """

    def hold(self) -> None:
        """Make sure that this cursor still holds what it has in hand, asking if its lease may have lapsed meanwhile.

        To be called before each write. Raises Fenced if somebody else has taken over.
        """

    def accept(self, parts: Sequence[Part]) -> None:
        """Remember parts of the fetch in hand that the sink has taken, until a commit passes them."""

    def accepted(self) -> list[Part]:
        """Return the parts remembered since the last commit."""

    def skip(self, through: Position) -> int:
        """Move ahead to `through` without delivering; return how many records that skipped, counted as such.

        Parts that the sink has taken (`accept`) are not skipped: they count as delivered.
        """

    def marked(self, limit: int) -> list[DeadLetter]:
        """Return up to `limit` dead letters marked for replay or purge, in order of position."""

    def resolve(self, replayed: Iterable[str], purged: Iterable[str], failed: Iterable[DeadLetter]) -> None:
        """Finish marked dead letters in one transaction.

        Replayed ones are deleted and move from `dead` to `delivered` in the ledger; purged ones are deleted and stay
        counted as dead; failed ones replace the row of the same id, without its mark.
        """

    def stats(self) -> CursorStats:
        """Return this cursor's position and ledger."""

    def close(self) -> None:
        """Give the lock back. Idempotent."""


@runtime_checkable
class Buffer(Protocol):
    """A durable log of frames."""

    #: Whether several cursors of one pump may be open at a time (`share`), and several runners (`slot`).
    can_be_shared: ClassVar[bool]

    #: Whether it may lose frames that it confirmed, in a crash of what it is kept in. Producers then keep them a while.
    may_forget: ClassVar[bool]

    def append(
        self,
        frames: Sequence[bytes],
        *,
        accept_gap: bool = False,
        timeout: float = 5.0,
        confirm: Confirm = "stored",
    ) -> Gap | None:
        """Store frames of one producer, in order; durable on return. Repeating them is harmless.

        In one transaction: a frame below the producer's next sequence is already there and skipped; a frame above it
        is not stored, nor any after it, and the answer is a `Gap`, unless `accept_gap`, which stores it and counts
        the hole as lost. A farewell frame (no records) only updates the producer's drops. `timeout` is in seconds.
        Until `confirm` is reached Unconfirmed is raised, though they may be stored: repeating them tries again.
        All frames or none are refused: BadFrame for bytes that are not a frame or that overlap what is there,
        FrameTooNew, ValueError for frames of several producers, BufferFull, BufferConfigError for a `confirm` that
        this buffer cannot give.
        """

    def cursor(self, pump: str, start: Start = "oldest", *, share: str | None = None) -> Cursor:
        """Open a pump's cursor, registering it first if it is new.

        Without `share` it is held alone. With it, others that share may hold it as well; `share` then names this one
        among them, the same after each restart.
        Raises BufferBusy if somebody else holds it, ValueError for a name that no pump can have, BufferConfigError
        for `share` where the buffer cannot be shared.
        """

    def register(self, pump: str, start: Start = "oldest") -> None:
        """Make sure a pump's cursor exists, without opening it: from now on it holds trimming."""

    def trim(self) -> int:
        """Delete a small slice of frames that every registered cursor has passed; return how many frames."""

    def skip_target(self, pump: str, free_bytes: int, others: Collection[str] = ()) -> Position | None:
        """Return how far this pump would have to move for about `free_bytes` to become trimmable; None if no use.

        `others` are pumps that are going to be moved as well: those not named hold the log where they are, and a
        pump that is ahead of the place where room is needed need not move. Raises KeyError.
        """

    def set_max_bytes(self, max_bytes: int) -> None:
        """Set the size cap, in bytes, for every connection to this buffer."""

    def set_wanted(self, pump: str, wanted: Wanted) -> None:
        """Pause or resume a pump. Raises KeyError for an unknown one."""

    def drop_cursor(self, pump: str) -> None:
        """Forget a pump, its dead letters too. Raises KeyError, or BufferBusy while a worker has it."""

    def rename_cursor(self, pump: str, new: str) -> None:
        """Rename a pump's cursor. Raises KeyError, ValueError if `new` exists, or BufferBusy."""

    def dead_letters(self, pump: str, limit: int = 100, after: str | None = None) -> list[DeadLetter]:
        """Return dead letters in order of position and id, those after the id `after`. Raises KeyError for either."""

    def mark(self, pump: str, mark: Mark, ids: Sequence[str] | None = None) -> int:
        """Mark dead letters (all without `ids`) for the pump's worker; return how many. Raises KeyError."""

    def stats(self) -> BufferStats:
        """Return the state of the whole log."""

    def runner_lock(self, holder: Mapping[str, str], slot: str = "") -> "RunnerLock":
        """Become the one runner of this buffer, or of its `slot` where it can be shared.

        `holder` is what others are told: health address, `pumps` (names, separated by spaces) and so on; pid and host
        are added. Raises BufferBusy, naming the other one.
        """

    def runner(self) -> dict[str, str] | None:
        """Return what a living runner of this buffer said of itself (pid, host, health address), None without one."""

    def runners(self) -> list[dict[str, str]]:
        """Return what every runner said of itself, with its `slot`; `alive` is "yes", or "no" for a week at most.

        A buffer that cannot be shared knows of the living one only.
        """

    def parts(self) -> "Sequence[Buffer]":
        """Return the logs that this buffer is made of, itself if it is one. A producer's frames are all in one."""

    def close(self) -> None:
        """Close connections. Idempotent."""


def pumps_of(runners: Iterable[Mapping[str, str]]) -> set[str]:
    """Return the pumps that any of these runners (see `Buffer.runners`) configures."""
    return {name for runner in runners for name in runner.get("pumps", "").split()}


class RunnerLock(Protocol):
    """Held by the runner for as long as it lives; free soon after it dies."""

    def tell(self, holder: Mapping[str, str]) -> None:
        """Say something else of the runner from now on."""

    def release(self) -> None:
        """Give it back. Idempotent."""


class BufferModule(Protocol):
    """What an entry point of the group `pumpkit.buffers` names: a module with these functions."""

    @staticmethod
    def open(url: str, *, create: bool, timeout: float = 5.0) -> Buffer:
        """Open the buffer at `url`; with `create`, make it if it does not exist.

        `timeout` is in seconds, for opening and for what is asked of the buffer later without another one.
        Without `create`, a missing buffer raises BufferUnavailable. A bad URL raises BufferConfigError.
        """

    @staticmethod
    def facts(url: str) -> list[Fact]:
        """Return what `pumpkit check --connect` tells of the place at `url`: versions, how it keeps data, room left.

        It changes nothing there, and need not find a buffer: one may be about to be made. What `Buffer.stats` and
        `Buffer.runners` tell is not repeated. Raises BufferUnavailable if it cannot be reached, BufferConfigError.
        """
