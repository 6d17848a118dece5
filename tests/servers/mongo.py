"""A server that speaks MongoDB's protocol: SecantusDB, a one-node replica set over WiredTiger. It is no MongoDB.

It runs from a virtual environment of its own, as a process of its own, and is never imported: its licence is not ours.
`tests.servers.install` gets it.
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pymongo
from pymongo.errors import PyMongoError

from tests.servers.certificates import Certificates
from tests.servers.process import INSTALLED, ServerProcess

#: Users of a server with `auth`: name and password of one that may do all, and of one that may only read.
ROOT = ("root", "root-password-4711")
READER = ("reader", "reader-password-4712")

#: Starts the server with a sweep for expired documents each second, for which its program has no option.
_LAUNCHER = """
import sys, threading
from secantus.server import SecantusDBServer
server = SecantusDBServer(host="127.0.0.1", port=int(sys.argv[1]), storage_path=sys.argv[2], ttl_sweep_seconds=1.0)
server.start()
threading.Event().wait()
"""


def find() -> Path | None:
    """Return the server's program, None if it is not installed with a Python to run it."""
    found = INSTALLED / "mongo" / "bin" / "secantusd-py"
    return found if found.exists() and found.with_name("python").exists() else None


class MongoServer(ServerProcess):
    """One server process. `auth` asks clients for a user, `certificates` makes it speak only TLS."""

    def __init__(
        self, *options: str, auth: bool = False, certificates: Certificates | None = None, quick_ttl: bool = False
    ) -> None:
        super().__init__("mongo")
        self.options = options
        self.auth = auth
        self.certificates = certificates
        self.quick_ttl = quick_ttl
        self._has_users = False
        (self.folder / "data").mkdir()

    @property
    def url(self) -> str:
        """Where it is, without a user."""
        return f"mongodb://127.0.0.1:{self.port}/"

    def client(self, **options: Any) -> "pymongo.MongoClient[dict[str, Any]]":
        """Return a client of its own, that may do all; close it."""
        if self._has_users:
            options = {"username": ROOT[0], "password": ROOT[1]} | options
        if self.certificates is not None:
            options = {"tls": True, "tlsCAFile": str(self.certificates.file("ca"))} | options
        return pymongo.MongoClient(
            self.url, **{"serverSelectionTimeoutMS": 5_000, "heartbeatFrequencyMS": 500} | options
        )

    def command(self) -> list[str]:
        """Return the command that starts it."""
        data = str(self.folder / "data")
        program = find()
        assert program is not None
        if self.quick_ttl:
            return [str(program.parent / "python"), "-c", _LAUNCHER, str(self.port), data]
        command = [str(program), "--host", "127.0.0.1", "--port", str(self.port), "--storage-path", data]
        # As MongoDB does for w=majority; without it, what was written last is gone after a kill.
        command += ["--enable-test-commands", "--sync-on-commit", *self.options]
        if self.certificates is not None:
            certificate, key = self.certificates.file("server"), self.certificates.key("server")
            command += ["--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
        return command + (["--auth"] if self._has_users else [])

    def answers(self) -> bool:
        """Return whether it is up."""
        with contextlib.suppress(PyMongoError), self.client(serverSelectionTimeoutMS=200) as client:
            client.admin.command("ping")
            return True
        return False

    def start(self) -> "MongoServer":
        """Start it and wait until it answers; with `auth`, make its users first."""
        super().start()
        if self.auth and not self._has_users:
            with self.client() as client:
                client.admin.command("createUser", ROOT[0], pwd=ROOT[1], roles=["root"])
                client.admin.command("createUser", READER[0], pwd=READER[1], roles=["readAnyDatabase"])
            self._has_users = True
            self.restart()
        return self

    def clean(self) -> None:
        """Make it as good as new: it runs, is primary, has no data, and no failure is armed."""
        if not self.alive:
            self.start()
        self.resume()
        self.unfail()
        with self.client() as client:
            for name in client.list_database_names():
                if name not in ("admin", "config", "local"):
                    client.drop_database(name)

    def fail(self, commands: Sequence[str], mode: Any, **data: Any) -> None:
        """Arm the fail point `failCommand`: `fail(["insert"], {"times": 1}, errorCode=91)`."""
        with self.client() as client:
            data = {"failCommands": list(commands)} | data
            client.admin.command("configureFailPoint", "failCommand", mode=mode, data=data)

    def unfail(self) -> None:
        """Disarm the fail point."""
        if not self.quick_ttl:
            with self.client() as client:
                client.admin.command("configureFailPoint", "failCommand", mode="off")

    def step_down(self, seconds: int) -> None:
        """Be no primary for so many seconds."""
        with contextlib.suppress(PyMongoError), self.client() as client:
            client.admin.command("replSetStepDown", seconds, force=True)
