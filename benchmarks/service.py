"""The processor time of a request with reporting on and off, in a service that waits and in one that computes.

The service is an HTTP server of the standard library that decides authorization requests and reports each decision.
Bound by I/O, every request waits 5 ms for somebody else; bound by the processor, none does. "Off" is the same program
with `Reporter(enabled=False)`. Off against off, as a contender of its own, shows how exactly this measures.
"""

import http.server
import socket
import threading
import time
from functools import partial
from multiprocessing.synchronize import Barrier
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.apart import ready, together
from benchmarks.authz import decide, requests
from benchmarks.rounds import Measures, Samples, Size, interleaved, ratio, spread
from benchmarks.table import Aim, Report, Table, around
from pumpkit import Reporter

TITLE = "What reporting costs a service"


class Service(NamedTuple):
    """Seconds that a request waits, connections that send requests at a time, requests, and the aim for on/off."""

    wait: float
    connections: int
    requests: int
    limit: float


SERVICES = {
    "bound by I/O": Service(0.005, 8, 3_000, 1.02),
    "bound by the processor": Service(0.0, 2, 12_000, 1.03),
}
ON, OFF, AGAIN = "on", "off", "off again"

CPU, THREAD, RATE = "cpu_us", "reporter_thread_cpu_us", "requests_per_second"


def measure(size: Size) -> Samples:
    """Measure processor time, and the rate of requests, of every service with reporting on and off."""
    contenders = {
        _name(name, reporting): partial(_run, service, reporting == ON, size.of(service.requests, least=100))
        for name, service in SERVICES.items()
        for reporting in (OFF, ON, AGAIN)
    }
    return interleaved(size.rounds, contenders)


def _name(service: str, reporting: str) -> str:
    return f"{service}, {reporting}"


def _run(service: Service, on: bool, count: int) -> Measures:
    with TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        buffer = f"sqlite:///{folder}/buffer.db"
        measures: Measures
        serve, ask = (_serve, listener, buffer, on, service.wait, count), (_ask, port, service.connections, count)
        measures, _ = together(serve, ask)
    return measures


class _Server(http.server.ThreadingHTTPServer):
    def __init__(self, listener: socket.socket, reporter: Reporter, wait: float) -> None:
        super().__init__(listener.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.reporter = reporter
        self.wait = wait


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one send for head and body

    def do_POST(self) -> None:
        request = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.wait:
            time.sleep(self.server.wait)
        answer, record = decide(request)
        self.server.reporter.record(record)
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        pass


def _serve(barrier: Barrier, listener: socket.socket, buffer: str, on: bool, wait: float, count: int) -> Measures:
    """Serve; processor time counts from the start of the requests until all records are stored."""
    with Reporter(buffer, enabled=on) as reporter, _Server(listener, reporter, wait) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        reporter.record(decide(requests(1)[0])[1])  # starts its thread and makes the buffer
        reporter.flush(30)
        ready(barrier)
        cpu, thread, began = time.process_time(), _reporter_seconds(), time.monotonic()
        ready(barrier)  # the client has all its answers
        seconds = time.monotonic() - began
        result = reporter.flush(30)
        cpu, thread = time.process_time() - cpu, _reporter_seconds() - thread
        server.shutdown()
    if on and (result.sent != count + 1 or result.dropped):
        raise RuntimeError(f"not every record was stored: {result}")
    return {CPU: 1e6 * cpu / count, THREAD: 1e6 * thread / count, RATE: count / seconds}


def _reporter_seconds() -> float:
    """Return the processor time of the reporter's thread, if there is one: less to measure, so more exact."""
    clocks = [
        time.pthread_getcpuclockid(thread.ident)
        for thread in threading.enumerate()
        if thread.name == "pumpkit-reporter" and thread.ident
    ]
    return sum(map(time.clock_gettime, clocks))


def _ask(barrier: Barrier, port: int, connections: int, count: int) -> None:
    asked = requests(1_000)
    shares = [count // connections + (number < count % connections) for number in range(connections)]
    threads = [threading.Thread(target=_ask_in_turn, args=(port, asked, share)) for share in shares]
    ready(barrier)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ready(barrier)


def _ask_in_turn(port: int, asked: list[bytes], count: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for number in range(count):
            body = asked[number % len(asked)]
            connection.sendall(
                b"POST /decide HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            )
            answer = connection.recv(1 << 16)
            if not answer.startswith(b"HTTP/1.1 200 ") or not answer.endswith(b'"}'):
                raise RuntimeError(f"an answer of the service: {answer!r}")


def report(samples: Samples) -> Report:
    """Compare on and off, for each service."""
    rows, aims = [], []
    for name, service in SERVICES.items():
        off, on, again = (_name(name, reporting) for reporting in (OFF, ON, AGAIN))
        change = ratio(samples, CPU, on, off)
        rows.append(
            [
                name,
                around(spread(samples[off][CPU])),
                around(spread(samples[on][CPU])),
                around(change),
                around(ratio(samples, CPU, again, off)),
                around(spread(samples[on][THREAD])),
                around(ratio(samples, RATE, on, off)),
            ]
        )
        aims.append(Aim(f"processor time of a request, {name}, on against off,", change, service.limit))
    head = ["", "off, µs", "on, µs", "on/off", "off/off", "reporter's thread, µs", "requests/s, on/off"]
    about = "Processor time of the whole process, the reporter's thread included, for a request that makes one record."
    return Report(about, [Table(head, rows)], aims)
