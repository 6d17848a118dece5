"""Time: deadlines, and what is left behind when they pass. The sink is in a process of its own, since it may hang."""

import time
from collections.abc import Callable

from pumpkit.testing.bench import Bench
from pumpkit.testing.case import can, case, check
from pumpkit.testing.elsewhere import Batch, Elsewhere, connected, until_written

#: Seconds that a write may take which the destination does not answer.
SHORT = 0.3

#: Writes that run out of time.
TIMES = 5

#: Seconds for what was let go of to be gone.
SETTLE = 5.0


@case("time", needs=["hang", "unhang"])
def timeout_is_obeyed(bench: Bench) -> None:
    """A write that the destination does not answer gives up within its `timeout`, by an error that lets the pump send
    the batch again (Unavailable, TimeoutError); then the batch is there once.

    It is judged with 10 s beyond the limit; a worker gives a tenth of it, and one second at least.
    """
    with connected(bench) as sink:
        first, ids = bench.batch(10)
        until_written(lambda: sink.write(first, ids), "a batch before the destination hangs")
        records, more = bench.batch(10)
        bench.destination.hang()
        came = sink.write(records, more, timeout=1.0)
        held = came.kind == "partial" and not came.rejected and sorted(came.retry) == list(range(10))
        words = "the destination does not answer, whether it wrote is unknown, and nothing is wrong with the records"
        check(came.kind == "unavailable" or held, f"{words}: raise Unavailable or TimeoutError; came: {came}")
        bench.destination.unhang()
        until_written(lambda: sink.write(records, more), "the batch again, when the destination answers")
        bench.check_arrived(ids + more, once=bench.new().duplicates == "never")


@case("time", needs=["hang", "unhang"])
def cancel_releases_resources(bench: Bench) -> None:
    """When writes ran out of time and the sink is closed, no more files and sockets are open than after a close before
    which all went well.
    """
    with connected(bench) as sink:
        until_written(lambda: sink.write(*bench.batch(10)), "a batch before the destination hangs")
        sink.close()
        before = sink.open_files()
        check((came := sink.new(bench)).kind == "written", f"`new`: {came}")
        check((came := sink.init()).kind == "written", f"`init`, of a second sink: {came}")
        bench.destination.hang()
        _time_out(bench, sink, TIMES)
        bench.destination.unhang()
        sink.close()
        after = _settled(sink.open_files, before)
        check(after <= before, f"{TIMES} writes ran out of time, and {after - before} files or sockets are left open")


@case("time", needs=["hang", "unhang"])
def slow_sink_does_not_leak_threads(bench: Bench) -> None:
    """Writes that ran out of time leave no threads behind, also while the destination still hangs."""
    with connected(bench) as sink:
        until_written(lambda: sink.write(*bench.batch(10)), "a batch before the destination hangs")
        bench.destination.hang()
        _time_out(bench, sink, 2)  # whatever a driver starts when something goes wrong
        before = sink.threads()
        _time_out(bench, sink, TIMES)
        after = _settled(sink.threads, before)
        words = f"{TIMES} more writes ran out of time, and {after - before} more threads wait; end what a write began"
        check(after <= before, words)


@case("time")
def close_drains_within_deadline(bench: Bench) -> None:
    """`close` returns within 10 s, also when the destination hangs; it adds nothing and loses nothing: what was
    accepted was there before.
    """
    with connected(bench) as sink:
        records, ids = bench.batch(100)
        until_written(lambda: sink.write(records, ids), "a batch before `close`")
        bench.check_arrived(ids, once=bench.new().duplicates == "never")
        unanswered = bench.batch(10)
        before = _there(bench, unanswered)
        if can(bench.destination, "hang") and can(bench.destination, "unhang"):
            bench.destination.hang()
            _time_out(bench, sink, 1, unanswered)
            sink.close()
            bench.destination.unhang()
        else:
            sink.close()
        after = _there(bench, unanswered)
        words = f"`close` changed what was there: {len(before)} records before, {len(after)} after"
        check(after == before, words)


@case("time")
def write_after_close_raises(bench: Bench) -> None:
    """A write after `close` raises, and writes nothing."""
    with connected(bench) as sink:
        first, ids = bench.batch(3)
        until_written(lambda: sink.write(first, ids), "a batch before `close`")
        sink.close()
        came = sink.write(*bench.batch(3))
        check(came.kind not in ("written", "partial"), f"a write after `close` has to raise an error; came: {came}")
        bench.check_arrived(ids, once=bench.new().duplicates == "never")


@case("time")
def no_timeout_is_taken(bench: Bench) -> None:
    """A write with `timeout=None`, no limit, is written like any other."""
    with connected(bench) as sink:
        records, ids = bench.batch(10)
        until_written(lambda: sink.write(records, ids, timeout=None), "a write with timeout=None")
        bench.check_arrived(ids, once=bench.new().duplicates == "never")


def _time_out(bench: Bench, sink: Elsewhere, times: int, batch: Batch | None = None) -> None:
    """Let writes run out of time, to a destination that hangs."""
    for _ in range(times):
        came = sink.write(*(batch or bench.batch(10)), timeout=SHORT)
        check(came.kind != "written", "the destination does not answer, and the sink says that it wrote")


def _there(bench: Bench, but: Batch) -> list[str]:
    """Return what is there, but for a batch of which nobody knows whether it was written."""
    return sorted(repr(arrived) for arrived in bench.destination.read() if arrived.id not in but[1])


def _settled(count: Callable[[], int], enough: int) -> int:
    """Return a count when it is as low as that, or has had its time to get there."""
    end = time.monotonic() + SETTLE
    while (now := count()) > enough and time.monotonic() < end:
        time.sleep(0.1)
    return now
