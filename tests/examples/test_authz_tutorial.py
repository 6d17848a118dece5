"""The tutorial on the authorization service, done as it says: its commands run, and print what the page shows."""

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import NamedTuple

from tests.conftest import missing
from tests.docs.conftest import ROOT, blocks
from tests.examples.conftest import PATIENCE, PUMPKIT, Example

PAGE = "docs/tutorial/authorization-service.md"

#: What a reader does who is not in the folder yet; tests run in an environment that has everything.
NOT_HERE = ("source ", "cd ", "pip install ")


class Command(NamedTuple):
    """A command of the page, and what the page shows of its output, "" for nothing."""

    line: str
    shown: str


def commands() -> Iterator[Command]:
    """Yield the commands of the page, in order."""
    for block in blocks():
        if block.page == PAGE and block.language == "console":
            parts = re.split(r"^\$ (.*)\n", block.text, flags=re.MULTILINE)
            yield from map(Command, parts[1::2], parts[2::2])


def alike(text: str) -> str:
    """Return an output without what differs each time: seconds and rates."""
    return re.sub(r"\d+\.\d s \(\d+ a second\)", "T s", text.strip())


class Reader:
    """Who follows the page; what keeps running has a terminal of its own."""

    def __init__(self, example: Example) -> None:
        self.example = example
        self.service: subprocess.Popen[bytes] | None = None
        self.runner: subprocess.Popen[bytes] | None = None
        example.change("load.py", "http://127.0.0.1:9090", example.url)

    def do(self, command: Command) -> None:
        """Run one command, and compare what it prints."""
        if command.line == "python -m authz_service":
            if self.service is not None:  # the page says: end it with Ctrl-C
                assert self.example.end(self.service, signal.SIGINT) in (0, -signal.SIGINT)
            self.service = self.example.serve()
        elif command.line == "pumpkit run":
            self.runner = self.example.start(PUMPKIT, "run")
            self.example.wait_until(self.example.rows, "the first records")
        elif not command.line.startswith(NOT_HERE):
            self._print(command)

    def _print(self, command: Command) -> None:
        line = command.line.replace("http://127.0.0.1:9090", self.example.url).replace("curl ", "curl --silent ")
        deadline = time.monotonic() + PATIENCE
        grows = command.line.startswith("cat ")  # files do, for a moment; anything else prints the same at once
        while True:
            said = self.example.run(["bash", "-c", line], None if grows else 0)
            if not command.shown or alike(said) == alike(command.shown):
                return
            assert grows, (command, said)
            assert time.monotonic() < deadline, (command, said)
            time.sleep(0.1)


def test_the_page(example: Example) -> None:
    """Every command works as it stands, and prints what the page shows."""
    if shutil.which("curl") is None:
        missing("curl", "make system-tools")
    reader = Reader(example)
    for command in commands():
        reader.do(command)
    assert reader.runner is not None
    assert example.end(reader.runner) == 0
    example.change("authz.yaml", "flush-interval:", "flush-intervall:")
    said = example.run(["python", "-m", "authz_service"], 78)
    assert f"```text\n{said}```\n" in (ROOT / PAGE).read_text()
