"""Two reporters under gunicorn: the real server, real requests, a real buffer. More of it is in `tests/ways`."""

import http.client
import importlib.util
import re
import signal
import sys
import threading
from typing import Any

import pytest

_APP = """
    import os
    import pumpkit
    from pumpkit import record

    pumpkit.configure(source="web", flush_interval=60, exit_timeout=30)
    own = pumpkit.Reporter(source="own", flush_interval=0.05, exit_timeout=30)
    record({"n": f"import {os.getpid()}"})

    def app(environ, start_response):
        name = environ["PATH_INFO"]
        record({"n": name})
        own.record({"n": name + " own"})
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{name} {os.getpid()}".encode()]
"""


class Server:
    """A gunicorn with two workers, and clients that remember what was answered."""

    def __init__(self, program: Any, *options: str) -> None:
        (program.folder / "webapp.py").write_text("\n".join(line[4:] for line in _APP.splitlines()))
        self.log = program.folder / "gunicorn.log"
        command = [sys.executable, "-m", "gunicorn", "-w", "2", "-b", "127.0.0.1:0", "--error-logfile", str(self.log)]
        self.process = program.spawn([*command, "--graceful-timeout", "60", *options, "webapp:app"])
        self.port = 0
        self.answered: list[str] = []
        self.workers: set[str] = set()

    def ready(self) -> bool:
        """Whether it listens; its log says where."""
        text = self.log.read_text() if self.log.exists() else ""
        found = re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", text)
        self.port = int(found[1]) if found else 0
        return text.count("Booting worker") >= 2 and self.port > 0

    def ask(self, name: str) -> bool:
        """Send one request; return whether it was answered."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", name)
            answer, worker = connection.getresponse().read().decode().split()
        except (OSError, http.client.HTTPException, ValueError):
            return False
        finally:
            connection.close()
        assert answer == name
        self.answered.append(name)
        self.workers.add(worker)
        return True

    def load(self, clients: int, requests: int) -> list[threading.Thread]:
        """Start clients that ask until they have asked often enough, or are not answered any more."""

        def client(name: int) -> None:
            for number in range(requests):
                if not self.ask(f"/{name}/{number}") and self.process.poll() is not None:
                    return

        threads = [threading.Thread(target=client, args=(name,)) for name in range(clients)]
        for thread in threads:
            thread.start()
        return threads


def _check(program: Any, server: Server) -> list[str]:
    """Wait for the end, and check that every record answered for is there once; return them all."""
    _, err = program.end(server.process)
    assert "could not be sent" not in err
    names = [record["n"] for record in program.records()]
    assert len(set(names)) == len(names)
    assert set(server.answered) | {name + " own" for name in server.answered} <= set(names)
    return names


_WORKERS = {"sync": [], "gthread": ["-k", "gthread", "--threads", "4"]}


@pytest.fixture(autouse=True)
def _gunicorn() -> None:
    if importlib.util.find_spec("gunicorn") is None:
        from tests.conftest import missing

        missing("gunicorn", "pip install gunicorn")


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preload"])
@pytest.mark.parametrize("workers", list(_WORKERS))
def test_what_gunicorn_answered_for_arrives(program: Any, wait_until: Any, preload: list[str], workers: str) -> None:
    """Through a graceful stop in the middle of the load, what two reporters recorded for an answer arrives once."""
    server = Server(program, *_WORKERS[workers], *preload)
    wait_until(server.ready, "gunicorn")
    clients = server.load(4, 100_000)
    wait_until(lambda: len(server.answered) > 200 and len(server.workers) == 2, "200 answers of both workers")
    server.process.send_signal(signal.SIGTERM)
    for client in clients:
        client.join()
    names = _check(program, server)
    imports = sum(name.startswith("import") for name in names)
    assert imports == (1 if preload else 2)
