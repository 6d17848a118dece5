"""The worker's end of the pipes to its runner: JSON lines, orders in by stdin, status out by what was stdout.

    in   {"v": 1, "pump": NAME, ...}                     the job, the first line
         {"do": "stop"}  {"do": "skip", "part": INDEX, "to": POSITION}
    out  {"status": "state", "state": ..., "reason": ..., "plugin": ..., "timeout": SECONDS | null}
         {"status": "working", "stage": ..., "first": [position, index], "last": [...], "limit": SECONDS | null}
         {"status": "free"}                              the guarded call came back
         {"status": "wrote", "records": N, "seconds": S}
         {"status": "replayed"}                          the search for a dead letter that kills is over
         {"status": "counts", ..., "moved": BOOL}        each second: the cursor's ledger, and the heartbeat
         {"status": "report", ...}                       the answer to a `check` or `describe` job

The end of stdin means that the runner is gone. A worker ends with one of the exit codes below, or by a signal.
"""

import ctypes
import faulthandler
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

#: Exit codes: it was told to stop; plugin code, or a bug, ended it; something is not there yet, so that a fresh worker
#: tries soon; a person has to change something.
STOPPED, CRASHED, NOT_YET, MISCONFIGURED = 0, 1, 75, 78

#: Seconds that a plugin has to be imported and connect, and to close.
INIT_LIMIT = CLOSE_LIMIT = 30.0


_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent() -> None:
    """Be told to stop when the runner dies, whatever has become of the pipe (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def live(work: Callable[[dict[str, Any], "Pipes"], int]) -> NoReturn:
    """Be a process of the runner: do the job that stands on stdin, by `work`, and end with the exit code it returns.

    Threads and atexit handlers, of a plugin say, keep nothing alive whose work is done.
    """
    try:
        code = _live(work)
    except BaseException:
        traceback.print_exc()
        code = CRASHED
    sys.stderr.flush()
    os._exit(code)


def _live(work: Callable[[dict[str, Any], "Pipes"], int]) -> int:
    pipes = Pipes()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    die_with_parent()
    try:
        job = pipes.job()
    except EOFError:
        return STOPPED
    if os.getppid() != job["runner"]:  # it died before it could be noticed
        return STOPPED
    return work(job, pipes)


class Pipes:
    """Both pipes. Made first of all, so that a plugin that prints or reads cannot touch them."""

    def __init__(self) -> None:
        self._in, self._out = os.dup(0), os.dup(1)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        os.dup2(2, 1)
        self._lines = _lines(self._in)
        self._state: tuple[str, str] | None = None

    def job(self) -> dict[str, Any]:
        """Return the first line. Raises EOFError if the runner went away."""
        for line in self._lines:
            job: dict[str, Any] = json.loads(line)
            return job
        raise EOFError("no job on stdin")

    def listen(self, obey: Callable[[dict[str, Any]], None]) -> None:
        """Call `obey` for every order, in a thread of its own; at the end of the pipe for `{"do": "eof"}`."""

        def run() -> None:
            for line in self._lines:
                obey(json.loads(line))
            obey({"do": "eof"})

        threading.Thread(target=run, name="orders", daemon=True).start()

    def send(self, status: str, **more: Any) -> None:
        """Send one status line. A runner that is gone is no error here: stdin tells."""
        line = json.dumps({"status": status} | more).encode() + b"\n"
        try:
            while line:
                line = line[os.write(self._out, line) :]
        except BrokenPipeError:
            pass

    def state(self, state: str, reason: str = "", **more: Any) -> None:
        """Tell the state, if it is another than the one told last."""
        if (state, reason) != self._state:
            self._state = (state, reason)
            self.send("state", state=state, reason=reason, **more)


def _lines(fd: int) -> Iterator[bytes]:
    """Yield lines from a file descriptor; unlike a file object, safe to be blocked in when the process ends."""
    rest = b""
    while chunk := os.read(fd, 1 << 16):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
