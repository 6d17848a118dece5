"""The processor time and the rate of requests of real services, with reporting on and with it off.

The services are the authorization server of these benchmarks in Flask under gunicorn and in Starlette under uvicorn,
with one worker. Bound by I/O, every request waits 5 ms for somebody else; bound by the processor, none does. "Off" is
a reporter with `enabled=False`; off against off, as a contender of its own, shows how exactly this measures.

The three take turns of two seconds or three in one process, which switches its reporting in between: two processes of
one program differ by more than reporting costs. Every round has another process. A turn begins when a reporter is at
work, and ends when its records are stored, by an append that comes sooner than it would; much shorter turns would make
that weigh too much. The worker tells the processor time of its process, its reporter's thread included. Where there
are two processors, the service has one, and the process that sends the requests has the other.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from benchmarks.apart import apart
from benchmarks.authz import requests
from benchmarks.rounds import Measures, Samples, Size, Spread, interleaved, percentile, spread
from benchmarks.table import Aim, Report, Table, around
from benchmarks.world import PATIENCE, until
from tests.servers.redis import free_port

TITLE = "What reporting costs a service"


class Service(NamedTuple):
    """How it is started, seconds that a request waits, connections, requests in a turn, and the aim for on/off."""

    command: tuple[str, ...]
    wait: float
    connections: int
    requests: int
    limit: float


_GUNICORN = ("gunicorn", "benchmarks.applications.wsgi:app", "--no-control-socket", "--log-level", "warning")
_GTHREAD = (*_GUNICORN, "--worker-class", "gthread", "--threads", "4")
_UVICORN = ("uvicorn", "benchmarks.applications.asgi:app", "--no-access-log", "--log-level", "warning")
_WAIT = 0.005
THREADED = "gunicorn, 4 threads, bound by I/O"

SERVICES = {
    "gunicorn, sync, bound by the processor": Service(_GUNICORN, 0.0, 2, 6_000, 1.03),
    THREADED: Service(_GTHREAD, _WAIT, 4, 2_000, 1.02),
    "uvicorn, bound by the processor": Service(_UVICORN, 0.0, 4, 12_000, 1.03),
    "uvicorn, bound by I/O": Service(_UVICORN, _WAIT, 8, 4_000, 1.02),
}
OFF, ON, AGAIN = "off", "on", "off again"
TURNS = (OFF, ON, AGAIN, AGAIN, ON, OFF)

CPU, THREAD, RATE = "cpu_us", "reporter_thread_cpu_us", "requests_per_second"
MARKS = {"p50": 50.0, "p99": 99.0, "p99.9": 99.9, "max": 100.0}


def measure(size: Size, names: tuple[str, ...] = tuple(SERVICES)) -> Samples:
    """Measure microseconds for a request, requests a second, and nanoseconds that `record()` took in the service."""
    rounds = interleaved(size.rounds, {name: partial(_run, SERVICES[name], size) for name in names})
    samples: Samples = {}
    for name, measures in rounds.items():
        for measure, values in measures.items():
            reporting, _, what = measure.partition(": ")
            samples.setdefault(f"{name}, {reporting}", {})[what] = values
    return samples


def _run(service: Service, size: Size) -> Measures:
    """Return what was measured in one round, named by the contender and the measure."""
    count = size.of(service.requests, least=40)
    processors = os.sched_getaffinity(0)
    with ExitStack() as stack:
        stack.callback(os.sched_setaffinity, 0, processors)
        folder = Path(stack.enter_context(TemporaryDirectory()))
        _use(processors, 0)
        port = stack.enter_context(_running(service, folder))
        _use(processors, 1)
        measures: Measures = apart(_take_turns, port, service.connections, count)
    return measures


def _use(processors: set[int], number: int) -> None:
    """Let this process, and those that it starts from now on, have one of the processors only."""
    if len(processors) > 1:
        os.sched_setaffinity(0, {sorted(processors)[number]})


@contextmanager
def _running(service: Service, folder: Path) -> Iterator[int]:
    """Start a service; return its port."""
    port = free_port()
    address = ["--bind", f"127.0.0.1:{port}"] if service.command[0] == "gunicorn" else ["--port", str(port)]
    environment = {
        "BENCH_BUFFER": f"sqlite:///{folder}/buffer.db",
        "BENCH_WAIT": str(service.wait),
        "PYTHONHASHSEED": "0",
    }
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *service.command, *address],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            cwd=Path(__file__).parents[2],
            start_new_session=True,
        )
    try:
        until(lambda: process.poll() is not None or _answers(port), f"{service.command[0]} answers")
        yield port
        process.terminate()
        process.wait(PATIENCE)
    except (OSError, RuntimeError) as error:
        error.add_note(log.read_text(errors="replace")[-2_000:])
        raise
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()


def _answers(port: int) -> bool:
    with suppress(OSError):
        _get(port, "/state")
        return True
    return False


def _get(port: int, path: str) -> dict[str, Any]:
    """Ask a service for a path that answers with its state; return that."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        state: dict[str, Any] = json.load(connection.getresponse())
        return state
    finally:
        connection.close()


class _Totals:
    """What the turns of one contender took together."""

    def __init__(self) -> None:
        self.requests = 0
        self.cpu = self.thread = self.seconds = 0.0
        self.taken: list[int] = []
        self.timer: list[int] = []

    def measures(self) -> Measures:
        """Return the measures; calls of `record()` net of the timer."""
        timer = percentile(self.timer, 50)
        calls = {mark: percentile(self.taken, percent) - timer for mark, percent in MARKS.items()}
        used = {CPU: 1e6 * self.cpu / self.requests, THREAD: 1e6 * self.thread / self.requests}
        return used | {RATE: self.requests / self.seconds} | calls


def _take_turns(port: int, connections: int, count: int) -> Measures:
    asked = requests(1_000)
    totals: defaultdict[str, _Totals] = defaultdict(_Totals)
    for name in TURNS:
        _get(port, "/switch/on" if name == ON else "/switch/off")
        _send(port, connections, asked, max(20, count // 8))  # starts threads, opens the buffer
        _turn(port, connections, asked, count, totals[name], name == ON)
    return {f"{name}: {what}": value for name, one in totals.items() for what, value in one.measures().items()}


def _turn(port: int, connections: int, asked: list[bytes], count: int, totals: _Totals, on: bool) -> None:
    before, began = _get(port, "/state"), time.monotonic()
    _send(port, connections, asked, count)
    seconds = time.monotonic() - began
    after = _get(port, "/state")
    if after["lost"] or after["sent"] - before["sent"] != (count if on else 0):
        raise RuntimeError(f"not every record was stored: {after['sent']} - {before['sent']}, {after['lost']} lost")
    totals.requests += count
    totals.cpu += after["cpu"] - before["cpu"]
    totals.thread += after["thread"] - before["thread"]
    totals.seconds += seconds
    totals.taken += after["taken"]
    totals.timer += after["timer"]


def _send(port: int, connections: int, asked: list[bytes], count: int) -> None:
    """Send requests, and wait for their answers. Raises RuntimeError for an answer that is none."""
    faults: list[Exception] = []
    shares = [count // connections + (number < count % connections) for number in range(connections)]
    threads = [threading.Thread(target=_send_in_turn, args=(port, asked, share, faults)) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise RuntimeError(f"a request failed: {faults[0]!r}") from faults[0]


def _send_in_turn(port: int, asked: list[bytes], count: int, faults: list[Exception]) -> None:
    """Send requests one after the other, over one connection for as long as the server keeps it."""
    connection: socket.socket | None = None
    try:
        for number in range(count):
            connection = connection or socket.create_connection(("127.0.0.1", port), PATIENCE)
            body = asked[number % len(asked)]
            connection.sendall(
                b"POST /decide HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
            )
            if not _receive(connection):
                connection.close()
                connection = None
    except Exception as error:  # of another thread than the one that has to know
        faults.append(error)
    finally:
        if connection:
            connection.close()


def _receive(connection: socket.socket) -> bool:
    """Receive an answer; return whether the connection is kept. Raises RuntimeError if it is not the one expected."""
    answer = b""
    while b"\r\n\r\n" not in answer or not answer.endswith(b'"}'):
        chunk = connection.recv(1 << 16)
        if not chunk:
            break
        answer += chunk
    if not answer.startswith(b"HTTP/1.1 200 ") or not answer.endswith(b'"}'):
        raise RuntimeError(f"an answer of the service: {answer!r}")
    return b"connection: close" not in answer.partition(b"\r\n\r\n")[0].lower()


def report(samples: Samples) -> Report:
    """Compare on and off, for each service."""
    rows, aims, calls = [], [], []
    names = [name for name in SERVICES if f"{name}, {ON}" in samples]
    for name in names:
        on, off = samples[f"{name}, {ON}"], samples[f"{name}, {OFF}"]
        change = _ratio(on, off, CPU)
        rows.append(
            [
                name,
                around(spread(off[CPU])),
                around(spread(on[CPU])),
                around(change),
                around(_ratio(samples[f"{name}, {AGAIN}"], off, CPU)),
                around(spread(on[THREAD])),
                around(spread(on[RATE])),
                around(_ratio(on, off, RATE)),
            ]
        )
        calls.append([name, *(around(spread(on[mark])) for mark in MARKS)])
        aims.append(Aim(f"processor time of a request, {name}, on against off,", change, SERVICES[name].limit))
    if THREADED in names:
        slow = spread([ns / 1e3 for ns in samples[f"{THREADED}, {ON}"]["p99"]])
        aims.append(Aim(f"p99 of record() in the service, {THREADED},", slow, 3, " µs"))
    head = ["", "off, µs", "on, µs", "on/off", "off/off", "reporter's thread, µs", "requests/s", "requests/s, on/off"]
    about = (
        "Processor time of the worker process, the reporter's thread included, for a request that makes one record; and"
        " nanoseconds of the calls of record() in these services."
    )
    return Report(about, [Table(head, rows), Table(["", *(f"{mark}, ns" for mark in MARKS)], calls)], aims)


def _ratio(over: dict[str, list[float]], under: dict[str, list[float]], measure: str) -> Spread:
    return spread([a / b for a, b in zip(over[measure], under[measure], strict=True)])
