"""The proxy that lets networks fail in other tests."""

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator

import pytest

from tests.servers.proxy import Proxy


class Echo(socketserver.ThreadingTCPServer):
    """Answers each line with the same line, and counts them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.lines: list[bytes] = []


class Answer(socketserver.StreamRequestHandler):
    """One connection to it."""

    def handle(self) -> None:
        assert isinstance(self.server, Echo)
        with contextlib.suppress(OSError):
            for line in self.rfile:
                self.server.lines.append(line)
                self.wfile.write(line)


@pytest.fixture
def echo() -> Iterator[Echo]:
    """Return a server."""
    with Echo() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    """Return a proxy before it."""
    with Proxy(echo.server_address[1]) as proxy:
        yield proxy


@pytest.fixture
def connect(proxy: Proxy) -> Iterator[type[socket.socket]]:
    """Return a maker of clients that wait two seconds at most."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port), 2))  # type: ignore[misc]


def ask(client: socket.socket, line: bytes = b"hello\n") -> bytes:
    """Return the answer to a line, b"" if the connection ends before it."""
    client.sendall(line)
    answer = b""
    while not answer.endswith(b"\n"):
        data = client.recv(100)
        if not data:
            return b""
        answer += data
    return answer


@pytest.mark.parametrize("mode", ["pass", "trickle"])
def test_it_passes_everything_on(proxy, connect, mode) -> None:
    """Whole, or a byte at a time; also late."""
    proxy.mode = mode
    proxy.latency = 0.01
    assert ask(connect(), b"x" * 200 + b"\n") == b"x" * 200 + b"\n"


def test_a_black_hole_swallows(proxy, echo, connect) -> None:
    """It accepts and never answers, on present connections and on new ones; the server hears nothing of it."""
    old = connect()
    assert ask(old) == b"hello\n"
    proxy.mode = "blackhole"
    for client in (old, connect()):
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            ask(client)
    assert echo.lines == [b"hello\n"]
    proxy.mode = "pass"
    assert ask(connect()) == b"hello\n"


@pytest.mark.parametrize(("mode", "error"), [("refuse", ConnectionRefusedError), ("reset", ConnectionResetError)])
def test_it_turns_clients_away(proxy, connect, mode, error) -> None:
    """Present connections end, new ones are refused, or reset; afterwards the same port serves again."""
    old, port = connect(), proxy.port
    assert ask(old) == b"hello\n"
    proxy.mode = mode
    with contextlib.suppress(ConnectionResetError):
        assert old.recv(1) == b""
    with pytest.raises(error):
        ask(connect())
    proxy.mode = "pass"
    assert ask(connect()) == b"hello\n"
    assert proxy.port == port


def test_answers_get_lost_after_the_server_has_done_its_work(proxy, echo, connect) -> None:
    """Only answers to requests that were meant, each so many times, and not more often than said."""
    proxy.cut(lambda request: request.startswith(b"cut"), every=2, times=2)
    answers = [
        ask(connect(), line) for line in [b"cut 1\n", b"keep\n", b"cut 2\n", b"cut 3\n", b"cut 4\n"] + [b"cut\n"] * 3
    ]
    assert answers == [b"cut 1\n", b"keep\n", b"", b"cut 3\n", b"", b"cut\n", b"cut\n", b"cut\n"]
    assert len(echo.lines) == 8
    assert proxy.lost == 2


def test_a_half_open_connection_is_silent(proxy, connect) -> None:
    """The client is not told that its server is gone; a new connection is served."""
    old = connect()
    assert ask(old) == b"hello\n"
    proxy.half_open()
    old.settimeout(0.2)
    with pytest.raises(TimeoutError):
        old.recv(1)
    with pytest.raises(TimeoutError):
        ask(old)
    assert ask(connect()) == b"hello\n"
