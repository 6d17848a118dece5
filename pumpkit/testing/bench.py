"""What a case works with: a sink opened as a pump opens it, the destination, records, and child processes."""

import contextlib
import copy
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from pumpkit.config import Meta, PumpConfig
from pumpkit.errors import ConfigError, PartialWrite, Unavailable
from pumpkit.hookspecs import Record, Records
from pumpkit.ids import new_producer
from pumpkit.plugins import Plugin, Sink, find
from pumpkit.testing.case import check
from pumpkit.testing.destination import Destination, lacks
from pumpkit.testing.limit import CLOSE_LIMIT, GRACE, INIT_LIMIT, NO_LIMIT, within

#: Seconds of one write, where a case does not say.
TIMEOUT = 10.0


@attrs.frozen
class Answer:
    """What a write came to, in the words of the table of verdicts.

    `kind` is written, unavailable, partial, misconfigured or unknown; `rejected` and `retry` are those of a partial
    one, else empty.
    """

    kind: str
    error: BaseException | None = None
    rejected: Mapping[int, str] = attrs.field(factory=dict)
    retry: Sequence[int] = ()

    def __str__(self) -> str:
        if self.kind == "partial":
            return f"partial, rejected {dict(self.rejected)!s:.300}, retry {list(self.retry)!s:.100}"
        return self.kind if self.error is None else f"{self.kind} ({type(self.error).__name__}: {self.error})"

    def written(self, count: int) -> list[int]:
        """Return the indices, of so many, that it says are written."""
        if self.kind == "written":
            return list(range(count))
        if self.kind != "partial":
            return []
        return [index for index in range(count) if index not in self.rejected and index not in self.retry]


def answer(call: Callable[[], object]) -> Answer:
    """Call a sink and return what it came to."""
    try:
        call()
    except PartialWrite as error:
        return Answer("partial", error, error.rejected, error.retry)
    except (Unavailable, ConnectionError, TimeoutError) as error:
        return Answer("unavailable", error)
    except ConfigError as error:
        return Answer("misconfigured", error)
    except Exception as error:
        return Answer("unknown", error)
    return Answer("written")


class Producer:
    """Gives ids to records, as one producer of the log does: strictly growing."""

    def __init__(self) -> None:
        self._name = new_producer().hex()
        self._next = 0

    def ids(self, count: int) -> list[str]:
        """Return the ids of its next records."""
        first, self._next = self._next, self._next + count
        return [f"{self._name}-{sequence}" for sequence in range(first, self._next)]


class Bench:
    """One case's place: made before it, closed after it.

    `make_destination` makes one destination in an empty folder; `settings` are further settings of the pump, beside its
    name, type and meta.
    """

    def __init__(
        self, plugin: str, make_destination: Callable[[Path], Destination], folder: Path, **settings: Any
    ) -> None:
        self.plugin = plugin
        self.folder = folder
        self._make = make_destination
        #: Further settings of the pump.
        self.further = settings
        self._open = contextlib.ExitStack()
        self._destination: Destination | None = None
        self.producer = Producer()

    @property
    def destination(self) -> Destination:
        """The destination of this case, made when it is first asked for."""
        if self._destination is None:
            self._destination = self.another_destination()
        return self._destination

    def another_destination(self) -> Destination:
        """Return one more destination, as empty as the first and apart from it."""
        made = self._make(Path(tempfile.mkdtemp(prefix="destination-", dir=self.folder)))
        self._open.callback(made.close)
        return made

    def close(self) -> None:
        """Close every sink, then every destination."""
        if self._destination is not None and not lacks(self._destination, "unhang"):
            with contextlib.suppress(Exception):
                self._destination.unhang()  # or a sink's `close` may wait for it
        self._open.close()

    # The plugin ---------------------------------------------------------------------------------------------

    @property
    def installed(self) -> Plugin:
        """The plugin as it is installed."""
        return find(self.plugin)

    @property
    def config(self) -> PumpConfig:
        """The configuration of a pump with this sink."""
        return PumpConfig(name="conformance", type=self.plugin, **self.further)

    def settings(self, meta: Mapping[str, Any] | None = None) -> Meta:
        """Return settings as a sink gets them; default: those that lead to the destination."""
        return Meta(copy.deepcopy(dict(self.destination.meta() if meta is None else meta)), base=self.folder)

    def new(self, meta: Mapping[str, Any] | None = None) -> Sink:
        """Return a sink that was made and not connected (`new` without `init`)."""
        return Sink.open(self.config, self.settings(meta))

    def sink(self, meta: Mapping[str, Any] | None = None) -> Sink:
        """Return a sink that is connected; it is closed after the case, if the case has not."""
        sink = self.new(meta)
        with within(INIT_LIMIT + GRACE, "`init`"):
            sink.init()
        self._open.callback(_close_quietly, sink)
        return sink

    # Records ------------------------------------------------------------------------------------------------

    def batch(self, count: int, **fields: Any) -> tuple[Records, list[str]]:
        """Return so many records that differ, and their ids."""
        records: Records = [
            {"number": number, "username": f"user-{number % 7}", "path": "/v1/secrets", "effect": "allow"} | fields
            for number in range(count)
        ]
        return records, self.producer.ids(count)

    def write(
        self, sink: Sink, records: Records, ids: list[str], *, timeout: float | None = TIMEOUT, late: bool = False
    ) -> Answer:
        """Write copies of records, which are the sink's to change; return what it came to.

        Raises Failed if it does not come back.
        """
        limit = NO_LIMIT if timeout is None else timeout + GRACE
        with within(limit, f"a write of {len(records)} records with timeout={timeout}"):
            return answer(lambda: sink.write(copy.deepcopy(records), list(ids), timeout, late))

    def must_write(self, sink: Sink, records: Records, ids: list[str], *, late: bool = False) -> None:
        """Write records that a destination in order has to take. Raises Failed."""
        came = self.write(sink, records, ids, late=late)
        check(came.kind == "written", f"{len(records)} good records for a destination in order: {came}")

    # What arrived -------------------------------------------------------------------------------------------

    def check_arrived(self, ids: Sequence[str], *, once: bool = True, at: Destination | None = None) -> None:
        """Check that exactly these ids are there, each once (or, where `once` is False, at least once).

        `at` is where to look, if not at this case's first destination.
        """
        there = [arrived.id for arrived in (at or self.destination).read()]
        check(None not in there, "the destination reads back records without an id")
        lost, foreign = set(ids) - set(there), set(there) - set(ids)
        check(not lost, f"{len(lost)} of {len(ids)} records are not there: {sorted(lost)[:3]}")
        check(not foreign, f"{len(foreign)} records are there that were not accepted: {sorted(map(str, foreign))[:3]}")
        doubled = len(there) - len(set(there))
        check(not (once and doubled), f"{doubled} records are there more than once")

    def stored(self) -> dict[str | None, Record]:
        """Return what is there, by id."""
        return {arrived.id: arrived.record for arrived in self.destination.read()}

    # Other processes ----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def child(self, program: str, *args: str) -> Iterator["subprocess.Popen[str]"]:
        """Run a Python program in a process of its own; it and its children are killed when the block is left.

        It imports what this process imports. Its `stdout` is a pipe of text, stderr goes into `folder / "stderr"`.
        """
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
        with (
            open(self.folder / "stderr", "ab") as errors,
            subprocess.Popen(
                [sys.executable, "-c", program, *args],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment,
                start_new_session=True,
            ) as process,
        ):
            try:
                yield process
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # with what it has forked


def _close_quietly(sink: Sink) -> None:
    """Close a sink that its case may have closed, or broken."""
    with contextlib.suppress(Exception), within(CLOSE_LIMIT, "`close`"):
        sink.close()
