"""A sink in a process of its own, as the pump's worker is one: where it may hang, leak, fork, or be killed.

Requests and answers are JSON lines over the pipes of `Bench.child`. What the sink prints goes where its stderr goes.
"""

import contextlib
import gc
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pumpkit.config import Meta, PumpConfig
from pumpkit.describing import try_sink
from pumpkit.hookspecs import Records
from pumpkit.plugins import Sink
from pumpkit.testing.bench import TIMEOUT, Answer, Bench, answer
from pumpkit.testing.case import Failed, check
from pumpkit.testing.limit import CLOSE_LIMIT, GRACE, INIT_LIMIT, NO_LIMIT

Batch = tuple[Records, list[str]]


class Elsewhere:
    """The process, seen from the case. Its methods raise Failed where the sink does not come back in time."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def new(self, bench: Bench, meta: Mapping[str, Any] | None = None) -> Answer:
        """Make the sink, from these settings or those that lead to the destination."""
        settings = dict(bench.destination.meta() if meta is None else meta)
        about = {"plugin": bench.plugin, "settings": bench.further, "meta": settings, "base": bench.folder}
        return _answer(self._ask("`new`", INIT_LIMIT, do="new", **about))

    def init(self) -> Answer:
        """Let the sink connect."""
        return _answer(self._ask("`init`", INIT_LIMIT + GRACE, do="init"))

    def write(self, records: Records, ids: Sequence[str], *, timeout: float | None = TIMEOUT) -> Answer:
        """Write a batch."""
        limit = NO_LIMIT if timeout is None else timeout + GRACE
        said = self._ask(f"a write with timeout={timeout}", limit, do="write", batch=(records, ids), timeout=timeout)
        return _answer(said)

    def close(self) -> Answer:
        """Close the sink."""
        return _answer(self._ask("`close`", CLOSE_LIMIT, do="close"))

    def open_files(self) -> int:
        """Return how many files and sockets are open."""
        return int(self._ask("counting files", GRACE, do="open_files"))

    def threads(self) -> int:
        """Return how many threads there are."""
        return int(self._ask("counting threads", GRACE, do="threads"))

    def try_sink(self) -> dict[str, Any]:
        """Return what `pumpkit check --connect` would find: `problems`, or the `trial`."""
        found: dict[str, Any] = self._ask("the trial of `check --connect`", INIT_LIMIT + GRACE, do="try_sink")
        return found

    def write_in_a_fork(self, batch: Batch) -> Answer:
        """Fork; init, write and close the sink in the child."""
        limit = INIT_LIMIT + TIMEOUT + GRACE
        return _answer(self._ask("init, write and close in a forked child", limit, do="write_in_a_fork", batch=batch))

    def write_in_threads(self, batches: Sequence[Sequence[Batch]]) -> list[Answer]:
        """Write each list of batches by a sink of its own in a thread of its own, all at once."""
        limit = INIT_LIMIT + TIMEOUT * max(map(len, batches)) + GRACE
        return [_answer(one) for one in self._ask("writes in threads", limit, do="write_in_threads", batches=batches)]

    def kill(self) -> None:
        """Kill the process, as nothing else can be: at once."""
        self._process.kill()
        self._process.wait()

    def _ask(self, what: str, limit: float, **request: Any) -> Any:
        to, of = self._process.stdin, self._process.stdout
        if to is None or of is None:
            raise RuntimeError("the process has no pipes")
        with contextlib.suppress(BrokenPipeError):  # it has died: the empty answer tells
            print(json.dumps(request, default=str), file=to, flush=True)
        if not select.select([of], [], [], limit)[0]:
            raise Failed(f"{what} did not come back within {limit:g} s")
        line = of.readline()
        check(line, f"{what} ended the process, with exit code {self._process.wait() if not line else 0}")
        return json.loads(line)


@contextlib.contextmanager
def elsewhere(bench: Bench) -> Iterator[Elsewhere]:
    """Begin a process with a sink that leads to the destination and is not connected yet."""
    with bench.child("from pumpkit.testing.elsewhere import serve; serve()") as process:
        there = Elsewhere(process)
        check((came := there.new(bench)).kind == "written", f"`new`: {came}")
        yield there


@contextlib.contextmanager
def connected(bench: Bench) -> Iterator[Elsewhere]:
    """Begin a process with a sink that is connected."""
    with elsewhere(bench) as there:
        check((came := there.init()).kind == "written", f"`init`, the destination in order: {came}")
        yield there


def until_written(write: Callable[[], Answer], what: str) -> None:
    """Write again while the sink says that its destination is away, as a pump does. Raises Failed after a while."""
    end = time.monotonic() + GRACE
    while (came := write()).kind == "unavailable" and time.monotonic() < end:
        time.sleep(0.1)
    check(came.kind == "written", f"{what}: {came}")


def _answer(said: dict[str, Any]) -> Answer:
    """Return what a sink said in another process; its error is one of the same name and words."""
    error = said["error"]
    raised = None if error is None else type(error[0], (Exception,), {})(error[1])
    return Answer(said["kind"], raised, {int(index): why for index, why in said["rejected"].items()}, said["retry"])


# In the process ---------------------------------------------------------------------------------------------


def serve() -> None:
    """Do what is asked on stdin, until it ends."""
    there = _There(os.dup(1))
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        there.say(getattr(there, request.pop("do"))(**request))


class _There:
    """One method per request."""

    def __init__(self, out: int) -> None:
        self._out = out
        self._open: Callable[[], Sink]
        self._try: Callable[[], dict[str, Any]]
        self._sink: Sink

    def say(self, value: Any) -> None:
        os.write(self._out, json.dumps(value, default=str).encode() + b"\n")

    def new(self, plugin: str, settings: dict[str, Any], meta: dict[str, Any], base: str) -> Any:
        config, made = PumpConfig(name="conformance", type=plugin, **settings), Meta(meta, base=Path(base))
        self._open = lambda: Sink.open(config, made)
        self._try = lambda: try_sink(config, made, lambda: None)

        def make() -> None:
            self._sink = self._open()

        return _told(make)

    def init(self) -> Any:
        return _told(self._sink.init)

    def write(self, batch: Batch, timeout: float | None) -> Any:
        return _told(lambda: self._sink.write(*batch, timeout, False))

    def close(self) -> Any:
        return _told(self._sink.close)

    def open_files(self) -> int:
        gc.collect()
        return len(os.listdir("/dev/fd"))

    def threads(self) -> int:
        tasks = Path("/proc/self/task")  # these are the threads of drivers in C too
        return len(list(tasks.iterdir())) if tasks.exists() else threading.active_count()

    def try_sink(self) -> Any:
        return self._try()

    def write_in_a_fork(self, batch: Batch) -> Any:
        read, write = os.pipe()
        if (child := os.fork()) == 0:
            os.write(write, json.dumps(_told(lambda: _one_life(self._sink, [batch]))).encode())
            os._exit(0)
        os.close(write)
        with open(read) as pipe:
            said = pipe.read()
        _, status = os.waitpid(child, 0)
        return json.loads(said) if said else _say(Answer("unknown", RuntimeError(f"the child's end: status {status}")))

    def write_in_threads(self, batches: list[list[Batch]]) -> Any:
        said: list[Any] = [None] * len(batches)
        begin = threading.Barrier(len(batches))

        def work(number: int) -> None:
            said[number] = _told(lambda: _one_life(self._open(), batches[number], begin.wait))
            if said[number]["kind"] != "written":
                begin.abort()  # nobody waits for a sink that cannot connect

        threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(len(batches))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return said


def _one_life(sink: Sink, batches: Sequence[Batch], begin: Callable[[], object] = lambda: None) -> None:
    """Let a sink connect, write, and close."""
    sink.init()
    begin()
    for records, ids in batches:
        sink.write(records, ids, TIMEOUT, False)
    sink.close()


def _told(call: Callable[[], object]) -> dict[str, Any]:
    return _say(answer(call))


def _say(came: Answer) -> dict[str, Any]:
    error = None if came.error is None else (type(came.error).__name__, str(came.error))
    return {"kind": came.kind, "error": error, "rejected": dict(came.rejected), "retry": list(came.retry)}
