"""Web servers on a stage: each serves an application that records its requests, and clients ask it."""

import http.client
import importlib.util
import socket
import threading
from collections.abc import Callable, Iterable

from tests.conftest import missing
from tests.programs import wait_until
from tests.ways.way import Stage

#: Records something when it is imported, and under the name of the path what is asked for; `/-` only answers.
#: `/hang/N` never answers, and `/stuck/N` does not even end when it is told to.
WSGI = """
import os, threading
from recording import record

KEPT = not os.environ.get("RISKED")

record(f"import-{os.getpid()}", 1, kept=KEPT)

def app(environ, start_response):
    name = environ["PATH_INFO"][1:]
    if name != "-":
        record(name, 1, kept=KEPT)
    while name.startswith(("hang/", "stuck/")):
        try:
            threading.Event().wait()
        except BaseException:
            if name.startswith("hang/"):
                raise
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""

ASGI = """
import os
from recording import record

KEPT = not os.environ.get("RISKED")

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError  # as frameworks do that have no lifespan
    name = scope["path"][1:]
    if name != "-":
        record(name, 1, kept=KEPT)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
"""

#: With the middleware, here for the end of the application only: what is recorded is counted by `recording`.
MIDDLEWARE = (
    ASGI
    + """
import pumpkit
from pumpkit.contrib.asgi import RecordRequests

app = RecordRequests(app, reporter=pumpkit.Reporter(enabled=False))
"""
)
USE_MIDDLEWARE = "`pumpkit.contrib.asgi.RecordRequests`, or `pumpkit.flush()` in the application's lifespan"


def need(module: str) -> None:
    """Skip if a server or framework is not installed."""
    if importlib.util.find_spec(module) is None:
        missing(module, "it is in the extra `dev`: pip install -e '.[dev]'")


class Server:
    """A server that listens at `web.sock` in the stage's folder, and clients that know what was answered."""

    def __init__(self, stage: Stage, command: list[str], application: str = WSGI) -> None:
        (stage.program.folder / "webapp.py").write_text(application)
        self.process = stage.program.spawn(command)
        self.answered = 0
        self._rounds = 0
        self.workers: set[str] = set()
        self._stage = stage
        self._socket = str(stage.program.folder / "web.sock")
        self._lock = threading.Lock()
        wait_until(lambda: self.ask("-") or self.process.poll() is not None, "the server")

    def ask(self, name: str, timeout: float = 60.0) -> bool:
        """Send one request; return whether it was answered within `timeout` seconds."""
        connection = _Connection("web", timeout=timeout)
        connection.path = self._socket
        try:
            connection.request("GET", f"/{name}")
            answer = connection.getresponse()
            worker = answer.read().decode()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        if answer.status != 200:
            return False
        with self._lock:
            self.answered += name != "-"
            self.workers.add(worker)
        return True

    def ask_all(self, workers: int = 2) -> None:
        """Let clients ask, until so many workers have recorded something since the last call."""
        self.workers.clear()

        def all_answered() -> bool:
            self._rounds += 1
            join(self.load(4, 10, f"round-{self._rounds}"))
            return len(self.workers) >= workers

        wait_until(all_answered, f"answers of {workers} workers")

    def load(self, clients: int, requests: int, what: str = "load") -> list[threading.Thread]:
        """Start clients that ask until they have asked often enough, or the server has ended."""

        def client(name: int) -> None:
            for number in range(requests):
                if not self.ask(f"{what}/{name}/{number}") and self.process.poll() is not None:
                    return

        threads = [threading.Thread(target=client, args=(name,)) for name in range(clients)]
        for thread in threads:
            thread.start()
        return threads

    def stop(self, how: Callable[[], object] | None = None, status: int = 0) -> None:
        """Tell it to stop, by SIGTERM or as `how` does, and wait for its end."""
        self._stage.ending()
        (how or self.process.terminate)()
        self._stage.end(self.process, status)

    def stop_under_load(self, how: Callable[[], object] | None = None, status: int = 0, workers: int = 2) -> None:
        """Let clients ask all the time, stop it in the middle, and wait for the end."""
        clients = self.load(4, 100_000)
        wait_until(lambda: self.answered > 100 and len(self.workers) == workers, "100 answers of all workers")
        self.stop(how, status)
        join(clients)


def join(threads: Iterable[threading.Thread]) -> None:
    """Wait for the end of clients."""
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


class _Connection(http.client.HTTPConnection):
    path = ""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)
