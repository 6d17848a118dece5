"""Servers that take everything and do nothing with it, each in a process of its own: HTTP, and bare TCP.

They keep what they get, and count the records in it at the end: a body of HTTP is a JSON document with a list `batch`,
a stream of TCP is msgpack, one object for each record.
"""

import http.server
import json
import multiprocessing
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import NamedTuple

import msgpack

_SPAWN = multiprocessing.get_context("spawn")

#: Seconds in which a server has to come up, and to answer.
_PATIENCE = 60.0


class Null(NamedTuple):
    """A server that runs: its port on 127.0.0.1, and what ends it and returns how many records it has got."""

    port: int
    records: Callable[[], int]


@contextmanager
def null_server(serve: Callable[[Connection], None]) -> Iterator[Null]:
    """Start `over_http` or `over_tcp`."""
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()

    def answer() -> int:
        if not ours.poll(_PATIENCE):
            raise RuntimeError(f"no answer from a server within {_PATIENCE} s")
        said: int = ours.recv()
        return said

    def records() -> int:
        ours.send("count")
        return answer()

    try:
        yield Null(answer(), records)
    finally:
        process.kill()
        process.join()
        ours.close()


def over_tcp(pipe: Connection) -> None:
    """Take streams, one connection after the other."""
    streams: list[bytes] = []

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            chunks = []
            with connection:
                while chunk := connection.recv(1 << 16):
                    chunks.append(chunk)
            if not chunks:
                return
            streams.append(b"".join(chunks))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        pipe.send(listener.getsockname()[1])
        pipe.recv()
        socket.create_connection(listener.getsockname()).close()  # after all others
        thread.join()
    pipe.send(sum(map(_objects, streams)))


def _objects(stream: bytes) -> int:
    unpacker = msgpack.Unpacker(timestamp=3)
    unpacker.feed(stream)
    return sum(1 for _ in unpacker)


def over_http(pipe: Connection) -> None:
    """Take bodies; each is kept before it is answered."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        pipe.send(server.server_port)
        pipe.recv()
        pipe.send(sum(len(json.loads(body)["batch"]) for body in _Handler.bodies))
        server.shutdown()


class _Handler(http.server.BaseHTTPRequestHandler):
    bodies: list[bytes] = []  # noqa: RUF012  # of the one server of its process
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one send for head and body

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        answer = b'{"success": true}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        pass
