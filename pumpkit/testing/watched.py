"""What Python code does to the world outside, seen by an audit hook in a process of its own.

What libraries in C do by themselves is not seen.
"""

import importlib
import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pumpkit.testing.bench import Bench
from pumpkit.testing.case import check
from pumpkit.testing.limit import INIT_LIMIT, within

#: Events of Python's audit table that reach out, and what each is in words.
_REACHES_OUT = {
    "socket.connect": "opens a connection",
    "socket.sendto": "sends over the network",
    "socket.getaddrinfo": "looks up the name of a host",
    "socket.gethostbyname": "looks up the name of a host",
    "sqlite3.connect": "opens a database",
    "os.mkdir": "makes a directory",
    "os.remove": "removes a file",
    "os.rename": "renames a file",
    "subprocess.Popen": "starts a process",
    "os.system": "starts a process",
    "os.posix_spawn": "starts a process",
    "os.fork": "starts a process",
}

#: Flags of an `open` that may change something.
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def of_import(bench: Bench) -> list[str]:
    """Return what importing the plugin's module did, in words."""
    return _ask(bench, "import", "importing the plugin")


def of_new(bench: Bench) -> list[str]:
    """Return what making a sink did, in words. Raises Failed if it cannot be made."""
    return _ask(bench, "new", "`new`", bench.destination.meta())


def _ask(bench: Bench, what: str, words: str, meta: Any = None) -> list[str]:
    job = {"what": what, "plugin": bench.plugin, "settings": bench.further, "meta": meta, "base": bench.folder}
    program = "import sys; from pumpkit.testing.watched import watch; watch(sys.argv[1])"
    with bench.child(program, json.dumps(job, default=str)) as process, within(INIT_LIMIT, words):
        said = process.communicate()[0]
    errors = (bench.folder / "stderr").read_text(errors="replace").strip()
    check(said, f"{words} fails: {(errors.splitlines() or ['the process ended'])[-1]}")
    found: list[str] = json.loads(said)
    return found


# In the process ---------------------------------------------------------------------------------------------


def watch(job: str) -> None:
    """Do a job, and print what it did as JSON."""
    asked = json.loads(job)
    out = os.dup(1)
    os.dup2(2, 1)  # what a plugin prints is not the answer
    sys.dont_write_bytecode = True  # that would be Python's doing
    found = _of_import(asked["plugin"]) if asked["what"] == "import" else _of_new(asked)
    os.write(out, json.dumps(found).encode())
    os._exit(0)  # whatever was started


def _of_import(plugin: str) -> list[str]:
    from pumpkit.plugins import find

    module = find(plugin).entry.module
    printed = os.fstat(2).st_size
    with _watching() as found:
        importlib.import_module(module)
    sys.stdout.flush()
    sys.stderr.flush()
    if os.fstat(2).st_size > printed:
        found.append("prints")
    return found


def _of_new(asked: dict[str, Any]) -> list[str]:
    from pumpkit.config import Meta, PumpConfig
    from pumpkit.plugins import Sink, find, load

    load(find(asked["plugin"]))
    config = PumpConfig(name="conformance", type=asked["plugin"], **asked["settings"])
    with _watching() as found:
        Sink.open(config, Meta(asked["meta"], base=Path(asked["base"])))
    return found


@contextmanager
def _watching() -> Iterator[list[str]]:
    """Give a list that is filled, while the block runs, with what it does."""
    found: list[str] = []
    is_on = True

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if is_on and (words := _words(event, arguments)) and words not in found:
            found.append(words)

    start = threading.Thread.start

    def start_and_tell(thread: threading.Thread) -> None:  # before Python 3.12 no event tells
        found.append(f"starts a thread ({thread.name})")
        start(thread)

    sys.addaudithook(hook)  # there is no way to take it out
    with patch.object(threading.Thread, "start", start_and_tell):
        try:
            yield found
        finally:
            is_on = False


def _words(event: str, arguments: tuple[Any, ...]) -> str:
    """Return what an event does to the world, or nothing."""
    if event == "open":
        path, _, flags = arguments
        writes = isinstance(path, str | bytes | os.PathLike) and flags & _WRITING and os.fsdecode(path) != os.devnull
        return f"opens {os.fsdecode(path)} for writing" if writes else ""
    words = "starts a process" if event.startswith(("os.exec", "os.spawn")) else _REACHES_OUT.get(event, "")
    return f"{words} {_which(arguments)}".strip() if words else ""


def _which(arguments: tuple[Any, ...]) -> str:
    """Return the first argument that tells which: a path, a host, a program, an address."""
    for argument in arguments:
        if isinstance(argument, str | bytes):
            return f"({os.fsdecode(argument):.80})"
        if isinstance(argument, tuple) and argument:
            return f"({argument!s:.80})"
    return ""
