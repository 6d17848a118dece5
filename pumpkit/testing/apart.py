"""Runs cases in a process of their own, so that a sink that hangs or ends its process costs its case and no more."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence

from pumpkit.errors import ConfigError
from pumpkit.testing.case import Result

#: Seconds that one case may take, unless told otherwise.
LIMIT = 120.0


def run_apart(
    plugin: str, destination: str, cases: Sequence[str], limit: float = LIMIT, tell: Callable[[str], None] = print
) -> list[Result]:
    """Return what came of each case, in order; `tell` is called with the name of each as it begins.

    When a case takes longer than `limit` seconds or ends the process, it fails, and the next ones get a fresh process.
    Raises ConfigError if the destination cannot be had.
    """
    results: list[Result] = []
    while len(results) < len(cases):
        _some(plugin, destination, cases, limit, tell, results)
    return results


def _some(
    plugin: str,
    destination: str,
    cases: Sequence[str],
    limit: float,
    tell: Callable[[str], None],
    results: list[Result],
) -> None:
    """Run the cases that have no result yet in one process, until all have one or it ends."""
    job = json.dumps({"plugin": plugin, "destination": destination, "cases": cases[len(results) :]})
    overdue = threading.Event()
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            [sys.executable, "-m", "pumpkit.testing", job],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)},
            start_new_session=True,
        ) as process,
    ):

        def give_up() -> None:
            overdue.set()
            _kill(process)

        timer = threading.Timer(limit, give_up)
        timer.start()
        try:
            for line in process.stdout or ():
                timer.cancel()
                said = json.loads(line)
                if "problem" in said:
                    raise ConfigError(said["problem"])
                if "result" in said:
                    results.append(Result(*said["result"]))
                if "began" in said:
                    tell(said["began"])
                timer = threading.Timer(limit, give_up)
                timer.start()
        finally:
            timer.cancel()
            _kill(process)  # with what a sink has forked
        code = process.wait()
        if len(results) < len(cases):
            words = f"did not end within {limit:g} s" if overdue.is_set() else f"the process ended ({_ending(code)})"
            errors.seek(0)
            last = errors.read().decode(errors="replace").strip().splitlines()[-1:]
            results.append(Result(cases[len(results)], "failed", ": ".join([words, *last])[:500]))


def _kill(process: "subprocess.Popen[str]") -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _ending(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
