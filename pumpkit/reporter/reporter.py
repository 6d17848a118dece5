"""The reporter: what an application calls."""

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import NamedTuple, Self

from pumpkit.reporter import process, uwsgi
from pumpkit.reporter.common import Common
from pumpkit.reporter.log_lines import log
from pumpkit.reporter.outbox import Outbox
from pumpkit.reporter.sampling import Sample
from pumpkit.reporter.settings import Confirm, Log, Overflow, Settings
from pumpkit.values import MAX_RECORD

#: Makes the outbox of a reporter, of its settings and whether it is closed; a capture puts another in its place.
make_outbox: Callable[[Settings, bool], Outbox] = Outbox


class FlushResult(NamedTuple):
    """Records since the reporter began in this process: confirmed, still in memory or in the spill file, dropped."""

    sent: int
    pending: int
    dropped: int


class ReporterStats(NamedTuple):
    """The state of a reporter in this process.

    Counts are of records since the reporter began in this process. What was recorded is `confirmed` + `spilled` +
    `pending` + `sampled` + the sum of `drops`; while its thread is at work, some are of a moment later than others.

    - `producer`: what its records are numbered under (32 hex digits), None before the first frame.
    - `queued`: those not in a frame yet.
    - `pending`: those in memory, `queued` included.
    - `sent`: those that the buffer was handed at least once.
    - `confirmed`: those that the buffer has.
    - `spilled`: those in the spill file that were not sent on yet.
    - `sampled`: those that `sample` left out.
    - `drops`: by cause: full, unpackable, too-large, unsent.
    - `frames`, `frame_bytes`: frames in memory that are not confirmed, and their bytes.
    - `sent_bytes`: bytes of the frames that the buffer has confirmed.
    - `trouble`: why the buffer does not take frames now, None while it does.
    - `last_error`: the last reason why it did not, None if it always did.
    - `append_seconds`: how long the last append took, None before the first.
    - `resent`: those that the buffer had confirmed and then forgotten, each time they became `pending` again.
    """

    producer: str | None
    queued: int
    pending: int
    sent: int
    confirmed: int
    spilled: int
    sampled: int
    drops: dict[str, int]
    frames: int
    frame_bytes: int
    sent_bytes: int
    trouble: str | None
    last_error: str | None
    append_seconds: float | None
    resent: int


class Reporter:
    """Takes records in memory and sends them to a buffer in the background.

    A record is any mapping, attrs class or dataclass with str keys. Hand it over and do not change it afterwards. It is
    safe in the buffer about `flush_interval` seconds later; what is in memory is lost if the process is killed.

    buffer: URL of the buffer; None for `$PUMPKIT_BUFFER`, else the default file in the XDG state directory. Or an open
        Buffer, which stays yours to close; a forked child cannot use it and counts its records as `unsent`.
    source: name of the service, up to 64 characters; pumps can select on it.
    enabled: False makes `record` do nothing.
    records_buffer_size: records that may wait in memory before they are packed.
    buffer_bytes: bytes that records may take once they are packed: in the frame being built, in those that wait for the
        buffer, and in those kept for `resend_window`. While there are more, packing stops. The step
        before may exceed it, by 62 records whose size was not known yet at most.
    flush_interval: seconds after which waiting records are sent, however few they are.
    pool_size: for those who know it from the original. One thread sends for a process; more is ignored with a warning,
        because they would share one interpreter lock and one order of records.
    overflow: what to do with a record when `records_buffer_size` wait: "drop-newest" drops it, "drop-oldest" drops the
        oldest that waits, "block" waits up to `block_timeout` seconds for room and then drops it. Drops are counted.
        "spill" moves what waits into a local file while the buffer is away, and drops what finds no room all the same.
        What the file holds is sent on once the buffer is back, by another process if need be.
    omit_detailed: True blanks the fields `policies` and `deciders` before they leave the process.
    max_record_bytes: bytes of one packed record; larger ones are dropped as `too-large`.
    exit_timeout: seconds that the end of the program, or `close`, may take to send what waits. With "spill" the last
        quarter of it is for what the buffer has not taken by then.
    spill_folder: where "spill" keeps its file, which is named after the buffer; None for the XDG state directory.
    spill_bytes: bytes that the file may take, for all reporters together that share it.
    copy: True copies each record (one level deep) when it is handed over, for callers who change it afterwards.
    sample: the share of records to take, such as 0.1, or a `Sample`, which can decide by a field. Others cost nothing.
    fields: names of the fields that may leave the process; None for all.
    common: fields of every record, such as host and version, sent once with each frame; a record's own fields win.
        Or what returns them, such as `process_fields`: it is called before the first frame of each process, in the
        background or by whoever flushes.
    confirm: when a record counts as sent: once the buffer has it ("stored"), has it on its disk ("synced"), or on its
        replicas too ("replicated"). Until then it stays in memory and is sent again.
    resend_window: seconds for which records are kept after they were sent, where the buffer may forget what it has
        confirmed (a Redis that fails over); those it has forgotten are sent again. 0 keeps nothing.
    resend_bytes: bytes of frames kept so, at most. They count as part of `buffer_bytes`, and never take more than half.

    The thread and the connection are started by the first record of a process, so a reporter may be made in a master
    that forks. They end with `close`, or when the garbage collector finds a reporter that nobody holds: where
    it is switched off (`gc.disable`), close what is made for a while. Raises ValueError for a wrong argument.
    """

    def __init__(
        self,
        buffer: str | Log | None = None,
        *,
        source: str = "",
        enabled: bool = True,
        records_buffer_size: int = 10_000,
        buffer_bytes: int = 64 << 20,
        flush_interval: float = 0.2,
        pool_size: int = 1,
        overflow: Overflow = "drop-newest",
        block_timeout: float = 0.05,
        spill_folder: str | None = None,
        spill_bytes: int = 256 << 20,
        omit_detailed: bool = False,
        max_record_bytes: int = MAX_RECORD,
        exit_timeout: float = 2.0,
        copy: bool = False,
        sample: float | Sample | None = None,
        fields: Iterable[str] | None = None,
        common: Common | None = None,
        confirm: Confirm = "stored",
        resend_window: float = 10.0,
        resend_bytes: int = 16 << 20,
    ) -> None:
        arguments = {name: value for name, value in locals().items() if name != "self"}
        self._redirect: Callable[[Outbox], None] | None = None
        self._set_up(Settings(**arguments).checked())
        process.watch(self)

    def _set_up(self, settings: Settings) -> None:
        self._settings = settings
        self._use(make_outbox(settings, False))

    def _use(self, outbox: Outbox) -> None:
        self._outbox = outbox
        if self._redirect is None:
            take, self._redirect = _taker(outbox)
            vars(take)["reporter"] = self  # as a method would, it keeps its reporter
            if type(self).record is Reporter.record:  # not what a subclass does instead
                vars(self)["record"] = take  # found on the object itself, it is a third cheaper
        else:
            self._redirect(outbox)

    def record(self, record: object) -> None:
        """Take a record. Never raises, and never waits (unless `overflow` is "block").

        It may be called from any thread, signal handler, finalizer, exit handler or log handler.
        """
        process.notice_fork()
        self._outbox.take(record)

    @property
    def source(self) -> str:
        """The name of the service, as it was given."""
        return self._settings.source

    def flush(self, timeout: float = 5.0) -> FlushResult:
        """Wait until all that was recorded before is confirmed, spilled or dropped, `timeout` seconds at most."""
        self._flush(timeout)
        return self._result()

    def close(self, timeout: float | None = None) -> FlushResult:
        """Send what waits, for `timeout` seconds at most (by default `exit_timeout`), and end.

        Records that come afterwards are counted as `unsent`. Harmless when repeated.
        """
        process.notice_fork()
        first = not self._outbox.closed
        self._outbox.closed = True
        self._outbox.stop(timeout)
        self._outbox.join()
        result = self._result()
        if first and self._outbox.sender.in_memory:
            log.error("closed: %s", self._outbox.left())
        return result

    def stats(self) -> ReporterStats:
        """Return the state of this reporter in this process."""
        sender = self._outbox.sender
        resent = sender.resent
        return ReporterStats(
            producer=sender.producer.hex() if sender.producer else None,
            queued=sender.queued,
            pending=sender.in_memory,
            sent=sender.sent,
            confirmed=sender.confirmations - resent,
            spilled=sender.spilled,
            sampled=sender.sampled.read(),
            drops=sender.drops(),
            frames=len(sender.pending),
            frame_bytes=sender.pending_bytes,
            sent_bytes=sender.sent_bytes,
            trouble=sender.link.trouble,
            last_error=sender.link.last_error,
            append_seconds=sender.link.append_seconds,
            resent=resent,
        )

    def renew(self) -> None:
        """Begin anew in the child of a fork: what waits is the parent's, and so are its connection and its thread."""
        waiting = self._outbox.queue if uwsgi.is_heir() else None
        usable = self._settings.buffer is None or isinstance(self._settings.buffer, str)
        self._use(make_outbox(self._settings, self._outbox.closed or not usable))
        if waiting:
            self._outbox.inherit(waiting)

    def _flush(self, timeout: float) -> bool:
        process.notice_fork()
        return self._outbox.flush(timeout)

    def _result(self) -> FlushResult:
        sender = self._outbox.sender
        return FlushResult(sender.confirmed, sender.in_memory + sender.spilled, sum(sender.drops().values()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        outbox = getattr(self, "_outbox", None)  # arguments were refused
        if outbox is not None:
            outbox.stop()


def _taker(outbox: Outbox) -> tuple[Callable[[object], None], Callable[[Outbox], None]]:
    """Return what takes records for an outbox, and what makes it take them for another: after a fork, say.

    The first may be kept by anybody, for as long as he likes.
    """
    queue, append = outbox.queue, outbox.append

    def take(record: object) -> None:
        if len(queue) < outbox.limit:
            append(record)
        else:
            process.notice_fork()
            outbox.take(record)

    def redirect(other: Outbox) -> None:
        nonlocal outbox, queue, append
        outbox, queue, append = other, other.queue, other.append

    return take, redirect
