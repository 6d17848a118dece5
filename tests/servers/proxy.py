"""A TCP proxy between a client and a real server, which fails as networks do. It knows no protocol.

with Proxy(server.port) as proxy:
    ...                                   # clients connect to proxy.port
    proxy.mode = "blackhole"              # connections are accepted, and nothing is ever answered
    proxy.mode = "pass"
    proxy.cut(every=3)                    # each third answer is lost: the server has done what was asked
"""

import contextlib
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Self

#: pass: as if it were not there. trickle: the same, a byte at a time. blackhole: accepts, swallows what either side
#: says. refuse: nobody listens, and what was connected is closed. reset: every connection ends with an RST.
Mode = Literal["pass", "trickle", "blackhole", "refuse", "reset"]

#: Seconds after which a change of mode has reached every connection.
_TICK = 0.02

#: Seconds between two bytes of a trickle.
_DROP = 0.0005

_PATIENCE = 10.0


class Proxy:
    """Listens at `port` of the loopback interface, and passes on to `target` there."""

    def __init__(self, target: int) -> None:
        self.target = target
        #: Seconds by which everything is late, in both directions.
        self.latency = 0.0
        #: Answers that were lost on the way, and connections that were accepted.
        self.lost = 0
        self.accepted = 0
        #: Called with what a client says before it is passed on; an OSError ends the connection instead.
        self.before: Callable[[bytes], None] = lambda data: None
        self._mode: Mode = "pass"
        self._when: Callable[[bytes], bool] | None = None
        self._every, self._left, self._matched = 1, 0, 0
        self._open: set[_Connection] = set()
        self._guard = threading.Lock()
        self._stopped = False
        self.port = 0
        self._listen()

    # What a test asks for -----------------------------------------------------------------------------------------

    @property
    def mode(self) -> Mode:
        """What is done with connections, the present ones too."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._mode = mode
        if mode == "refuse":
            self._deafen()
        elif self._deaf.is_set():
            self._listen()
        if mode in ("refuse", "reset"):
            self._wait_for_ends()

    def cut(self, when: Callable[[bytes], bool] = bool, *, every: int = 1, times: int = 1 << 30) -> None:
        """Lose answers: each time that an answer comes to a request for which `when` holds, every `every`th time.

        The request has reached the server. Its answer is thrown away and the connection closed, `times` times at most.
        """
        with self._guard:
            self._when, self._every, self._left, self._matched = when, every, times, 0

    def heal(self) -> None:
        """Be as if it were not there, from now on."""
        self.cut(times=0)
        self.latency = 0.0
        self.mode = "pass"

    def half_open(self) -> None:
        """Take the server's side of every present connection away, without a word to the client. New ones pass."""
        with self._guard:
            for connection in self._open:
                connection.half_open = True

    def stop(self) -> None:
        """Close everything. Idempotent."""
        self._stopped = True
        self._deafen()
        self._wait_for_ends()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # Connections --------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        self.port = listener.getsockname()[1]
        listener.settimeout(_TICK)
        self._deaf = threading.Event()
        self._accepting = threading.Thread(target=self._accept, args=(listener, self._deaf), daemon=True)
        self._accepting.start()

    def _deafen(self) -> None:
        self._deaf.set()
        self._accepting.join(_PATIENCE)

    def _accept(self, listener: socket.socket, deaf: threading.Event) -> None:
        with listener:
            while not deaf.is_set():
                with contextlib.suppress(TimeoutError):
                    client, _ = listener.accept()
                    self.accepted += 1
                    connection = _Connection(self, client)
                    with self._guard:
                        self._open.add(connection)
                        connection.thread.start()

    def _wait_for_ends(self) -> None:
        with self._guard:
            present = list(self._open)
        for connection in present:
            connection.thread.join(_PATIENCE)

    def ended(self, connection: "_Connection") -> None:
        """Forget a connection."""
        with self._guard:
            self._open.discard(connection)

    @property
    def stopped(self) -> bool:
        """Whether connections have to end."""
        return self._stopped or self._mode == "refuse"

    def is_lost(self, request: bytes) -> bool:
        """Whether the answer to a request is to be lost; counts it."""
        with self._guard:
            if not self._left or self._when is None or not self._when(request):
                return False
            self._matched += 1
            if self._matched % self._every:
                return False
            self._left -= 1
            self.lost += 1
            return True


class _Connection:
    """One client, and its connection to the server."""

    def __init__(self, proxy: Proxy, client: socket.socket) -> None:
        self.half_open = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self._proxy = proxy
        self._client = client
        self._request = b""  # what the client has said since the last answer

    def _run(self) -> None:
        try:
            with self._client, contextlib.suppress(OSError):
                self._client.settimeout(_PATIENCE)
                if self._proxy.mode == "blackhole":
                    return self._swallow([self._client])  # not even the server hears of it
                with socket.create_connection(("127.0.0.1", self._proxy.target), _PATIENCE) as server:
                    self._carry(server)
                if self.half_open:
                    self._swallow([self._client])
        finally:
            self._proxy.ended(self)

    def _carry(self, server: socket.socket) -> None:
        """Pass on what both say until one of them, or the proxy, has enough."""
        while not self._is_over() and not self.half_open:
            for side in select.select([self._client, server], [], [], _TICK)[0]:
                data = side.recv(1 << 16)
                if self._proxy.mode == "blackhole":
                    return self._swallow([self._client, server])
                if side is self._client:
                    self._proxy.before(data)
                    self._request += data
                elif self._proxy.is_lost(self._request):
                    data = b""
                else:
                    self._request = b""
                if not data:
                    return None
                self._pass_on(data, server if side is self._client else self._client)
        return None

    def _pass_on(self, data: bytes, to: socket.socket) -> None:
        time.sleep(self._proxy.latency)
        if self._proxy.mode != "trickle":
            return to.sendall(data)
        to.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in data:
            to.sendall(bytes([byte]))
            time.sleep(_DROP)
        return None

    def _swallow(self, sides: list[socket.socket]) -> None:
        """Listen to what they say, without an answer, until the proxy has enough."""
        while sides and not self._is_over():
            for side in select.select(sides, [], [], _TICK)[0]:
                if not side.recv(1 << 16):
                    sides.remove(side)

    def _is_over(self) -> bool:
        if self._proxy.mode == "reset":  # closing then sends an RST
            self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return True
        return self._proxy.stopped
