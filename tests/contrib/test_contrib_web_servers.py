"""Feeds of requests under real servers that are stopped under load: every answered request arrives, once."""

import contextlib
import http.client
import importlib.util
import itertools
import signal
import socket
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.programs import PATIENCE, wait_until

#: Nothing is sent before the end, which takes as long as it needs.
CONFIGURE = """
import pumpkit
pumpkit.configure(source="shop", flush_interval=600, exit_timeout=60)
"""

FASTAPI = (
    CONFIGURE
    + """
import asyncio, os
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pumpkit.contrib.asgi import RecordRequests

app = FastAPI()
app.add_middleware(RecordRequests, extra=lambda scope: {"worker": os.getpid()})

@app.get("/load/{number}")
async def load(number: int):
    return number

@app.get("/endless")
async def endless():
    async def parts():
        while True:
            yield b"x" * 1000
            await asyncio.sleep(0.001)
    return StreamingResponse(parts())
"""
)

BARE = (
    CONFIGURE
    + """
import os
from pumpkit.contrib.asgi import RecordRequests

async def bare(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})

app = RecordRequests(bare, extra=lambda scope: {"worker": os.getpid()})
"""
)

DJANGO = (
    CONFIGURE
    + """
import os
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpResponse
from django.urls import path
from pumpkit.contrib.asgi import RecordRequests

async def load(request, number):
    return HttpResponse(b"x")

class Urls:
    urlpatterns = (path("load/<int:number>", load),)

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=Urls, MIDDLEWARE=["pumpkit.contrib.django.RequestFacts"])
app = RecordRequests(get_asgi_application(), extra=lambda scope: {"worker": os.getpid()})
"""
)

FLASK = (
    CONFIGURE
    + """
import os
from flask import Flask, Response, send_file
from pumpkit.contrib.flask import init_app

app = Flask(__name__)
init_app(app, extra=lambda environ: {"worker": os.getpid(), "sendfile": "wsgi.file_wrapper" in environ})

@app.get("/load/<int:number>")
def load(number):
    return str(number)

@app.get("/file")
def file():
    return send_file(__file__, mimetype="text/plain")

@app.get("/endless")
def endless():
    return Response(b"x" * 100_000 for _ in range(1_000_000))
"""
)


class Connection(http.client.HTTPConnection):
    """A connection to the server's socket, which is a file."""

    def __init__(self, path):
        super().__init__("shop", timeout=PATIENCE)
        self.path = path

    def connect(self):
        """Connect."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Shop:
    """A server with its application, and its clients."""

    def __init__(self, program, command, application):
        self.program = program
        self.answered = []
        self.bodies = set()
        self.socket = str(program.folder / "web.sock")
        (program.folder / "shop.py").write_text(application)
        self.process = program.spawn(command)
        wait_until(lambda: self.ask("/load/0") or self.process.poll() is not None, "the server")

    def ask(self, path, method="GET"):
        """Ask once; return the answer's body, None if there was none."""
        connection = Connection(self.socket)
        with contextlib.closing(connection):
            try:
                connection.request(method, path)
                answer = connection.getresponse()
                body = answer.read()
            except (OSError, http.client.HTTPException):
                return None
        assert answer.status == 200, (answer.status, body)
        self.answered.append(path)
        self.bodies.add(body)
        return body or b"-"

    @contextlib.contextmanager
    def reading(self, path):
        """Ask, read a little, and go away when the block is left."""
        with contextlib.closing(Connection(self.socket)) as connection:
            connection.request("GET", path)
            with contextlib.closing(connection.getresponse()) as answer:
                assert len(answer.read(1000)) == 1000
                yield

    def stop_under_load(self, status, enough=lambda: True):
        """Let clients ask all the time, tell the server to stop in the middle, and wait for its end."""
        numbers = itertools.count(1)

        def client():
            while self.process.poll() is None:
                self.ask(f"/load/{next(numbers)}")

        clients = [threading.Thread(target=client) for _ in range(4)]
        for thread in clients:
            thread.start()
        wait_until(lambda: (len(self.answered) > 200 and enough()) or self.process.poll() is not None, "200 answers")
        self.process.send_signal(signal.SIGTERM)
        self.program.end(self.process, status)
        for thread in clients:
            thread.join(PATIENCE)

    def records(self):
        """Return the records, after the check that each answered request is there once, and no other twice."""
        records = self.program.records()
        counts = Counter(record["path"] for record in records if record["path"] != "/load/0")
        assert set(counts.values()) == {1}
        assert {path for path in self.answered if path != "/load/0"} <= set(counts)
        assert self.program.drops() == {}
        return records


def need(*modules):
    """Skip if a server or a framework is not installed."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            missing(module, "it is in the extra `dev`: pip install -e '.[dev]'")


def uvicorn(program, application, *options):
    """Start uvicorn."""
    return Shop(
        program,
        [sys.executable, "-m", "uvicorn", "--uds", "web.sock", "--no-access-log", *options, "shop:app"],
        application,
    )


def test_fastapi_under_uvicorn(program):
    """Which ends by the signal itself, so that no exit handler runs. A client that goes away leaves one record."""
    need("uvicorn", "fastapi")
    shop = uvicorn(program, FASTAPI)
    with shop.reading("/endless"):
        pass
    shop.stop_under_load(-signal.SIGTERM)
    routes = Counter(record["route"] for record in shop.records())
    assert set(routes) == {"/load/{number}", "/endless"}
    assert routes["/endless"] == 1


def test_a_request_that_uvicorn_cancels(program):
    """It is recorded before the end, as cancelled, and so are those that were answered."""
    need("uvicorn", "fastapi")
    shop = uvicorn(program, FASTAPI, "--timeout-graceful-shutdown", "1")
    with shop.reading("/endless"):
        shop.stop_under_load(-signal.SIGTERM)
    errors = Counter((record["path"], record["error"]) for record in shop.records() if "error" in record)
    assert errors == {("/endless", "CancelledError"): 1}


def test_several_workers_of_uvicorn(program):
    """Of an application that knows nothing of the lifespan protocol, where uvicorn insists on it."""
    need("uvicorn")
    shop = uvicorn(program, BARE, "--workers", "2", "--lifespan", "on")
    shop.stop_under_load(0, lambda: len(shop.bodies) == 2)
    assert len({record["worker"] for record in shop.records()}) == 2


def test_django_under_uvicorn(program):
    """It refuses the lifespan protocol."""
    need("uvicorn", "django")
    shop = uvicorn(program, DJANGO)
    shop.stop_under_load(-signal.SIGTERM)
    assert {record["route"] for record in shop.records()} == {"/load/<int:number>"}


def test_flask_under_gunicorn(program):
    """Gunicorn sends files by itself, and goes on to do so. A client that goes away leaves one record."""
    need("gunicorn", "flask")
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "--bind",
        "unix:web.sock",
        "--workers",
        "2",
        "--graceful-timeout",
        "60",
    ]
    shop = Shop(program, [*command, "shop:app"], FLASK)
    assert shop.ask("/file") == FLASK.encode()
    with shop.reading("/endless"):
        pass
    shop.stop_under_load(0)
    records = shop.records()
    assert {record["route"] for record in records} == {"/load/<int:number>", "/endless", "/file"}
    assert {(record["status"], record["client"], record["sendfile"]) for record in records} == {(200, None, True)}


def test_flask_under_uwsgi(program):
    """uWSGI knows a file that it shall send by the object, so it gets the file itself."""
    need("pyuwsgi", "flask")
    program.environment["PYTHONPATH"] = str(program.folder)
    uwsgi = str(Path(sys.executable).with_name("uwsgi"))
    command = [uwsgi, "--http-socket", "web.sock", "--master", "--master-fifo", "fifo", "--need-app"]
    shop = Shop(program, [*command, "--module", "shop:app"], FLASK)
    assert shop.ask("/file") == FLASK.encode()
    assert shop.ask("/load/1", "HEAD") == b"-"
    (program.folder / "fifo").write_text("q")  # in order; SIGTERM breaks requests off
    _, told = program.end(shop.process)
    assert "via sendfile()" in told
    assert [(record["method"], record["route"], record["sendfile"]) for record in shop.records()][-2:] == [
        ("GET", "/file", True),
        ("HEAD", "/load/<int:number>", True),
    ]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_server_of_the_standard_library(program, method):
    """It concludes the length of a response from a body with one part, with the middleware as without."""
    code = """
    import sys, threading, urllib.request
    from wsgiref.simple_server import WSGIRequestHandler, make_server
    from wsgiref.validate import validator
    from pumpkit.contrib.wsgi import RecordRequests

    class Quiet(WSGIRequestHandler):
        def log_message(self, *_):
            pass

    def hello(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    for app in (hello, RecordRequests(hello), validator(RecordRequests(validator(hello)))):
        server = make_server("127.0.0.1", 0, app, handler_class=Quiet)
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        request = urllib.request.Request(f"http://127.0.0.1:{server.server_port}/x?secret", method=sys.argv[1])
        with urllib.request.urlopen(request, timeout=30) as answer:
            print(answer.status, answer.headers["Content-Length"], answer.read())
        thread.join()
        server.server_close()
    """
    out, err = program.run(code, method)
    first, second, _ = out.splitlines()
    assert first == second
    assert err == ""
    assert [(record["method"], record["status"], record["path"]) for record in program.records()] == [
        (method, 200, "/x")
    ] * 2
    assert {record["client"] for record in program.records()} == {"127.0.0.1"}
