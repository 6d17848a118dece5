"""A server to test a sink against that speaks HTTP: it keeps what it is sent by id, and misbehaves on demand.

    PUT /records   one JSON object a line, each with its id as `_id`; stored before the answer, an id that is there
                   stays as it is. The answer is 200 with `{"rejected": {LINE: REASON}}`.

A line that is no JSON, or whose `refuse` is true, is rejected. 401: the token is wrong; 429 with Retry-After: busy.
"""

import contextlib
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: The token that it takes, as `Authorization: Bearer TOKEN`.
TOKEN = "open-sesame-5f1d"


class Shelf:
    """The server, in threads of this process, on a free port of the loopback interface."""

    def __init__(self, token: str = TOKEN) -> None:
        self.token = token
        #: What is there: id and object, in the order of arrival.
        self.kept: list[tuple[str, dict[str, Any]]] = []
        #: Requests that were answered.
        self.requests = 0
        #: Seconds that it asks its clients to wait; None takes records.
        self.busy: int | None = None
        self._ids: set[str] = set()
        self._lock = threading.Lock()
        self._answering = threading.Event()
        self._answering.set()
        self._port = 0
        self._server: _Server | None = None
        self.start()

    @property
    def url(self) -> str:
        """The address to PUT to."""
        return f"http://127.0.0.1:{self._port}/records"

    def start(self) -> None:
        """Take connections, at the port of before."""
        self._server = _Server(self, self._port)
        self._port = self._server.server_address[1]
        self._server.run()

    def stop(self) -> None:
        """Take no connections; end those that are open."""
        server, self._server = self._server, None
        self._answering.set()
        if server is not None:
            server.end()

    def hang(self) -> None:
        """Answer nothing until `unhang`."""
        self._answering.clear()

    def unhang(self) -> None:
        """Answer again."""
        self._answering.set()

    def put(self, body: bytes) -> dict[str, str]:
        """Keep the lines of a body; return why some are rejected, by their number."""
        rejected = {}
        for number, line in enumerate(body.splitlines()):
            try:
                record = json.loads(line)
                id_ = record["_id"]
            except (ValueError, KeyError, TypeError) as error:
                rejected[str(number)] = f"{type(error).__name__}: {error}"
                continue
            if record.get("refuse") is True:
                rejected[str(number)] = "asks to be refused"
                continue
            with self._lock:
                if id_ not in self._ids:
                    self._ids.add(id_)
                    self.kept.append((id_, record))
        return rejected

    def wait_for_answers(self) -> None:
        """Wait as long as it hangs."""
        self._answering.wait()


class _Server(ThreadingHTTPServer):
    """One run of the server, between start and stop."""

    daemon_threads = False
    allow_reuse_address = True

    def __init__(self, shelf: Shelf, port: int) -> None:
        self.shelf = shelf
        self._connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))

    def run(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self.shutdown()
        self._thread.join()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()  # waits for the threads of connections too

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that go away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_PUT(self) -> None:  # as http.server calls it
        shelf = self.server.shelf
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        shelf.wait_for_answers()
        shelf.requests += 1
        if self.headers.get("Authorization") != f"Bearer {shelf.token}":
            self._answer(401, {"error": "wrong token"})
        elif shelf.busy is not None:
            self._answer(429, {"error": "busy"}, {"Retry-After": str(shelf.busy)})
        else:
            self._answer(200, {"rejected": shelf.put(body)})

    def do_GET(self) -> None:
        """Say that it is there, to clients with the right token."""
        shelf = self.server.shelf
        shelf.wait_for_answers()
        shelf.requests += 1
        right = self.headers.get("Authorization") == f"Bearer {shelf.token}"
        self._answer(200 if right else 401, {"kept": len(shelf.kept)} if right else {"error": "wrong token"})

    def _answer(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""
