"""One worker process from its runner's side: started, talked to by JSON lines, and gone with all its children."""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import IO, Any

log = logging.getLogger("pumpkit.worker")

#: What is done with a status line, or with None once there will be none any more. Called from a thread.
Hear = Callable[["WorkerProcess", dict[str, Any] | None], None]


class WorkerProcess:
    """A running worker. To be started from the main thread: it dies with the thread that started it.

    `name` is shown in the list of processes, `tag` goes with what it writes to stderr, and `module` is what runs.
    """

    def __init__(
        self, name: str, job: dict[str, Any], hear: Hear, *, module: str = "pumpkit.worker", tag: str = "pump"
    ) -> None:
        self.name = name
        self._tag = {tag: name}
        self._hear = hear
        self._process = subprocess.Popen(
            # -P: what lies in the working directory must not pass for an installed module
            [sys.executable, "-P", "-m", module, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self.send(job | {"runner": os.getpid()})
        assert self._process.stdout
        assert self._process.stderr
        self._threads = [
            self._thread(self._read_status, self._process.stdout),
            # Always drained: a plugin that fills this pipe would hang.
            self._thread(self._read_stderr, self._process.stderr),
        ]

    def _thread(self, read: Callable[[IO[bytes]], None], pipe: IO[bytes]) -> threading.Thread:
        thread = threading.Thread(target=read, args=[pipe], name=f"{read.__name__[6:]} of {self.name}", daemon=True)
        thread.start()
        return thread

    def send(self, order: dict[str, Any]) -> None:
        """Send one line. A worker that is gone is noticed elsewhere."""
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()

    def kill(self) -> None:
        """Kill it and all it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal, once it has ended; None before.

        Children that a plugin has left in its process group are killed, so that nothing holds its pipes or files.
        """
        code = self._process.poll()
        if code is not None:
            self.kill()
        return code

    def close(self) -> None:
        """Let go of a worker that has ended."""
        for thread in self._threads:
            thread.join(1.0)  # a child in a session of its own may still hold a pipe
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def _read_status(self, pipe: IO[bytes]) -> None:
        with pipe:
            for line in pipe:
                try:
                    message = json.loads(line)
                    message["status"]
                except (ValueError, TypeError, KeyError):
                    log.warning("not a status line: %.200r", line, extra=self._tag)
                else:
                    self._hear(self, message)
        self._hear(self, None)

    def _read_stderr(self, pipe: IO[bytes]) -> None:
        with pipe:
            while line := pipe.readline(1 << 13):  # a line without end is cut
                text = line.decode(errors="backslashreplace").rstrip()
                if text:
                    log.info("%s", text, extra=self._tag)
