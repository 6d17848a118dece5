"""What the applications have in common: they decide, report each decision, and say what that took.

From the environment: BENCH_BUFFER is the URL of the buffer, BENCH_WAIT is how many seconds a request waits for somebody
else. Reporting is off at first, and is switched while no request is under way.
"""

import os
import threading
import time
from typing import Any

from benchmarks.authz import decide
from pumpkit import Reporter

WAIT = float(os.environ["BENCH_WAIT"])

_reporter = Reporter(enabled=False)

#: Nanoseconds of calls of `record()`, and of the clock by itself.
_taken: list[int] = []
_timer: list[int] = []


def answer(request: bytes) -> bytes:
    """Decide, report, answer."""
    clock = time.perf_counter_ns
    reply, record = decide(request)
    began = clock()
    _timer.append(clock() - began)
    began = clock()
    _reporter.record(record)
    _taken.append(clock() - began)
    return reply


def switch(on: bool) -> dict[str, Any]:
    """Go on with a new reporter, with reporting on or off; return the state."""
    global _reporter
    _reporter.close()
    _reporter = Reporter(os.environ["BENCH_BUFFER"], enabled=on)
    return state()


def state() -> dict[str, Any]:
    """Wait until everything is stored; return the seconds of processor time so far, and what was measured since."""
    result = _reporter.flush(30)
    used = {"cpu": time.process_time(), "thread": _reporter_seconds()}
    measured = {"sent": result.sent, "lost": result.pending + result.dropped, "taken": _taken[:], "timer": _timer[:]}
    _taken.clear()
    _timer.clear()
    return used | measured


def _reporter_seconds() -> float:
    """Return the processor time of the reporter's thread, if there is one: less to measure, so more exact."""
    clocks = [
        time.pthread_getcpuclockid(thread.ident)
        for thread in threading.enumerate()
        if thread.name == "pumpkit-reporter" and thread.ident
    ]
    return sum(map(time.clock_gettime, clocks))
