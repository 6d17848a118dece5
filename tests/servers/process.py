"""A server that is one process, in a folder and at a port of its own."""

import contextlib
import ctypes
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from tests.servers.redis import PATIENCE, free_port

#: Where `tests.servers.install` puts what is no package of the system.
INSTALLED = Path(__file__).parents[2] / ".servers"

_LIBC = ctypes.CDLL(None)  # loaded here: after the fork nothing may wait for a lock
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def _die_with_tests() -> None:
    """Be killed when the tests are; SIGTERM would not end a process that a test froze."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class ServerProcess:
    """One server process; its data stay in its folder over kills and restarts.

    A kind of server says where it is (`url`), how it is started (`command`) and when it is up (`answers`).
    """

    #: Seconds that it may take to come up.
    patience = PATIENCE

    def __init__(self, kind: str, port: int | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"pumpkit-{kind}-"))
        self.port = port or free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        raise NotImplementedError

    def command(self) -> list[str]:
        """Return the command that starts it."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Return whether it is up."""
        raise NotImplementedError

    def start(self) -> Self:
        """Start it and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, preexec_fn=_die_with_tests)
        deadline = time.monotonic() + self.patience
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                said = self.log()[-4_000:]
                self.stop()
                raise RuntimeError(f"{self.command()[0]} did not come up:\n{said}")
            time.sleep(0.05)
        return self

    def log(self) -> str:
        """Return what it has logged."""
        return (self.folder / "log").read_text(errors="replace")

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def restart(self) -> None:
        """End it with SIGKILL, and start it again."""
        self.kill()
        self.start()

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
        with contextlib.suppress(ProcessLookupError):
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
