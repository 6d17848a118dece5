"""A process that writes batches and is killed: at once when a write has returned, or at any moment.

The job comes as a line of JSON; each batch that was written is told by a line, anything else by the line of what came.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pumpkit.config import Meta, PumpConfig
from pumpkit.hookspecs import Records
from pumpkit.plugins import Sink
from pumpkit.testing.bench import TIMEOUT, Answer, Bench, answer
from pumpkit.testing.case import check
from pumpkit.testing.limit import NO_LIMIT, within

#: Seconds for which it tries again what is unavailable, as a pump does.
PATIENCE = 10.0

READY, WRITTEN = "ready", "written"

Batch = tuple[Records, list[str]]


def write_and_die(bench: Bench, batch: Batch) -> None:
    """Write a batch in a process that kills itself when the write has returned. Raises Failed if it does not."""
    with bench.child("from pumpkit.testing.crash import serve; serve()") as process:
        _tell(bench, process, [batch], die=True)
        said = _lines(process)
        check(process.wait() == -signal.SIGKILL, f"a batch, in a process of its own: {_last(said)}")


def write_until_killed(bench: Bench, batches: Sequence[Batch], after: int | None, seconds: float = 0.0) -> int:
    """Write batches in a process that is killed `seconds` after so many were written (None: it may finish).

    Returns how many were written, as far as it could tell. Raises Failed if a write came to anything else.
    """
    with bench.child("from pumpkit.testing.crash import serve; serve()") as process:
        _tell(bench, process, batches, die=False)
        said = _lines(process, None if after is None else after + 1)
        if after is not None:
            time.sleep(seconds)
            process.kill()
            said += _lines(process)
        bad = [line for line in said if line not in (READY, WRITTEN)]
        check(not bad, f"batches in a process of their own, some of them for the second time: {_last(bad)}")
        check(after is not None or process.wait() == 0, f"the process ended with exit code {process.returncode}")
    return said.count(WRITTEN)


def _tell(bench: Bench, process: "subprocess.Popen[str]", batches: Sequence[Batch], *, die: bool) -> None:
    job = {"plugin": bench.plugin, "settings": bench.further, "meta": bench.destination.meta(), "die": die}
    if process.stdin is None:
        raise RuntimeError("the process has no pipes")
    print(json.dumps(job | {"base": bench.folder, "batches": batches}, default=str), file=process.stdin, flush=True)


def _lines(process: "subprocess.Popen[str]", count: int | None = None) -> list[str]:
    """Return so many lines that it says, or all until its end."""
    if process.stdout is None:
        raise RuntimeError("the process has no pipes")
    lines: list[str] = []
    with within(NO_LIMIT, "a process that writes batches, or `init` in it,"):
        while (count is None or len(lines) < count) and (line := process.stdout.readline()):
            lines.append(line.rstrip("\n"))
    return lines


def _last(said: Sequence[str]) -> str:
    return said[-1] if said else "it ended without a word"


# In the process ---------------------------------------------------------------------------------------------


def serve() -> None:
    """Do the job that stands on stdin."""
    out = os.dup(1)
    os.dup2(2, 1)  # what the sink prints is not what this process says
    job = json.loads(sys.stdin.readline())
    config = PumpConfig(name="conformance", type=job["plugin"], **job["settings"])
    sink = Sink.open(config, Meta(job["meta"], base=Path(job["base"])))
    _say(out, _patiently(sink.init), READY)
    for records, ids in job["batches"]:
        came = _write(sink, records, ids)
        if job["die"] and came.kind == "written":
            os.kill(os.getpid(), signal.SIGKILL)
        _say(out, came, WRITTEN)
    sink.close()


def _write(sink: Sink, records: Records, ids: list[str]) -> Answer:
    return _patiently(lambda: sink.write([dict(record) for record in records], list(ids), TIMEOUT, False))


def _patiently(call: Callable[[], None]) -> Answer:
    end = time.monotonic() + PATIENCE
    while (came := answer(call)).kind == "unavailable" and time.monotonic() < end:
        time.sleep(0.1)
    return came


def _say(out: int, came: Answer, good: str) -> None:
    """Say what a call came to; after anything but the best there is nothing more to do."""
    is_good = came.kind == "written"
    os.write(out, f"{good if is_good else str(came).replace(chr(10), ' ')}\n".encode(errors="backslashreplace"))
    if not is_good:
        os._exit(1)
