"""For tests of applications: what reporters are handed is kept for the test, and goes nowhere.

While a capture lasts, every reporter of the process has an outbox of the kind below in place of its own. It packs a
record and reads it back at once, in the thread that records: no queue, no thread, no buffer, no file.
"""

import os
import reprlib
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from pumpkit import frames
from pumpkit.reporter import common, process, reporter
from pumpkit.reporter.framer import Framer
from pumpkit.reporter.outbox import Outbox, copied
from pumpkit.reporter.sender import Sender
from pumpkit.reporter.settings import Log, Settings
from pumpkit.values import Packed, unpack_record


class RejectedRecord(NamedTuple):
    """A record that no sink would get.

    record: as it was handed over.
    cause: under which it would be counted: unpackable, too-large, or unsent if the reporter was closed.
    reason: one sentence for people, which names the field.
    """

    record: object
    cause: str
    reason: str


class _Kept(NamedTuple):
    """A captured record: itself, how it was packed, and what packs it again."""

    record: object
    packed: Packed
    pack: Callable[[object], Packed]


class CapturedRecords(list[dict[str, Any]]):
    """The records of a capture, in the order in which they were recorded, each as a sink would get it.

    rejected: those that no sink would get. A capture that ends with any of them raises AssertionError, so a test that
        expects some looks at them and calls `rejected.clear()`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rejected: list[RejectedRecord] = []
        self._kept: list[_Kept] = []

    def _problems(self) -> list[str]:
        """Return what is wrong with records, in words."""
        rejected = [f"{one.cause}: {one.reason}: {reprlib.repr(one.record)}" for one in self.rejected]
        changed = [
            f"changed after it was handed over, so a sink might get this instead: {reprlib.repr(kept.record)}"
            for kept in self._kept
            if kept.pack(kept.record).runs != kept.packed.runs
        ]
        return rejected + changed


@contextmanager
def captured() -> Iterator[CapturedRecords]:
    """Capture what is recorded in a `with` block, for a test: by the process-wide reporter and by every other.

    A record is in the list when `record` returns: packed and unpacked, with the fields of `common`, and shaped by
    `fields` and `omit_detailed`, so it is what a sink would get. Nothing is sent, and nothing is left out by `sample`
    or for want of room. A reporter with `enabled=False` records nothing. All threads are captured, an application that
    holds `pumpkit.record` since its import too, and reporters that are made or set up in the block.

    The child of a fork sends nothing either; what it records stays in the child. A process that is started anew knows
    of no capture. Afterwards all reporters are as they were before, those that the block closed or set up included.
    Captures may be nested, and the innermost gets the records.

    Raises AssertionError at the end of a block if some records could not be packed (see `CapturedRecords`), or were
    changed after they were handed over, which a reporter without `copy` does not allow.
    """
    records = CapturedRecords()

    def make(settings: Settings, closed: bool = False) -> Outbox:
        return _CapturingOutbox(settings, closed, records)

    undo = _replace_outboxes(make)
    try:
        yield records
    finally:
        undo()
    if problems := records._problems():
        several = f"{len(problems)} records would not reach a sink as they should:"
        one = "1 record would not reach a sink as it should:"
        raise AssertionError("\n  ".join([one if len(problems) == 1 else several, *problems]))


def _replace_outboxes(make: Callable[[Settings, bool], Outbox]) -> Callable[[], None]:
    """Give every reporter an outbox of another kind; return what undoes that. Keeps no reporter alive."""
    began_in, make_before = os.getpid(), reporter.make_outbox
    reporter.make_outbox = make
    before = [(weakref.ref(one), one._settings, one._outbox) for one in _reporters()]
    for one in _reporters():
        one._use(make(one._settings, one._outbox.closed))

    def undo() -> None:
        reporter.make_outbox = make_before
        new = set(_reporters())
        for reference, settings, outbox in before:
            one = reference()
            if one is None:  # nobody holds it any more
                outbox.stop()
                continue
            new.discard(one)
            one._settings = settings
            one._use(outbox)
            if os.getpid() != began_in:  # the outbox is the parent's
                one.renew()
        for one in new:
            one._use(make_before(one._settings, one._outbox.closed))

    return undo


def _reporters() -> list[reporter.Reporter]:
    return [one for one in process.watched() if isinstance(one, reporter.Reporter)]


class _CapturingOutbox(Outbox):
    """Takes every record at once; its `limit` stays 0, so all of them come to `take`."""

    def __init__(self, settings: Settings, closed: bool, records: CapturedRecords) -> None:
        super().__init__(settings, closed)
        self.append = self.take
        self.sender: _Counts = _Counts(self.queue, settings, _no_log)
        self._records = records
        self._common: dict[str, Any] | None = None
        self._framer = self._new_framer()
        self._packing = threading.Lock()
        self._counting = threading.RLock()  # a signal handler may record while its thread counts

    def take(self, record: object) -> None:
        """Keep a record. Raises nothing."""
        if not self._settings.enabled:
            return
        if self.closed:
            self._reject(record, "unsent", "the reporter is closed")
            return
        if self._common is None:
            self._common = dict(common.of_process(self._settings.common) or {})
        if self._settings.copy:
            record = copied(record)
        packed = self._pack(record)
        for error in packed.rejected:
            self._reject(record, error.cause, str(error))
        for blob, _ in packed.runs:
            try:
                fields = unpack_record(blob)
            except ValueError as error:  # it becomes a dead letter of every pump
                self._reject(record, "unpackable", str(error))
                continue
            self._records.append({**self._common, **fields})
            self._records._kept.append(_Kept(record, packed, self._pack))
            with self._counting:
                self.sender.confirmations += 1
                self.sender.sent += 1

    def _new_framer(self) -> Framer:
        return Framer(deque(), self._settings._replace(common=None), frames.RAW)

    def _pack(self, record: object) -> Packed:
        if not self._packing.acquire(blocking=False):  # another thread does, or a signal handler came in the middle
            return self._new_framer().pack([record])
        try:
            return self._framer.pack([record])
        finally:
            self._packing.release()

    def _reject(self, record: object, cause: str, reason: str) -> None:
        self._records.rejected.append(RejectedRecord(record, cause, reason))
        with self._counting:
            self.sender.rejected[cause] = self.sender.rejected.get(cause, 0) + 1

    def flush(self, timeout: float) -> bool:
        """Nothing waits."""
        return True

    def stop(self, timeout: float | None = None) -> None:
        """There is no thread to stop."""

    def join(self) -> None:
        """There is no thread to wait for."""


class _Counts(Sender):
    """The counts of a capturing outbox, which sends nothing: captured records count as confirmed."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.rejected: dict[str, int] = {}

    @property
    def in_memory(self) -> int:
        """Nothing waits."""
        return 0

    def drops(self) -> dict[str, int]:
        """Return how many records were rejected, by cause."""
        return dict(self.rejected)


def _no_log(timeout: float) -> Log:
    raise RuntimeError("a capture connects to nothing")
