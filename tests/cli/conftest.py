"""A place of its own for every test of the command line, the program in two forms, and a buffer to look at."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pumpkit.buffers import Buffer, open_buffer
from pumpkit.buffers.base import Counts, DeadLetter
from pumpkit.cli import program as pumpkit_program
from pumpkit.frames import RAW, pack_frame
from pumpkit.ids import new_producer, record_ids
from pumpkit.values import RecordPacker

SINKS = Path(__file__).parent.parent / "sinks_for_tests"


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, with a state directory and an environment that nothing else uses."""
    for name in [name for name in os.environ if name.startswith("PUMPKIT")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PYTHONPATH", str(SINKS))  # for workers
    monkeypatch.syspath_prepend(SINKS)
    monkeypatch.setenv("COLUMNS", "100")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def cli() -> Callable[..., Result]:
    """`pumpkit` in this process: quick, and a bug raises."""

    def run(*args: str, input: str | None = None, columns: int = 100) -> Result:
        return CliRunner().invoke(
            pumpkit_program, args, input=input, prog_name="pumpkit", terminal_width=columns, catch_exceptions=False
        )

    return run


@pytest.fixture
def program() -> "Callable[..., subprocess.CompletedProcess[str]]":
    """`pumpkit` as a process."""

    def run(*args: str, env: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "pumpkit", *args]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, **(env or {})})

    return run


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The URL of a buffer that does not exist yet."""
    return f"sqlite:///{tmp_path / 'buffer.db'}"


@pytest.fixture
def buffer(url: str) -> Iterator[Buffer]:
    """A buffer, empty."""
    with closing(open_buffer(url)) as opened:
        yield opened


@pytest.fixture
def store(buffer: Buffer) -> Callable[..., list[str]]:
    """Append records to the buffer as one frame of a new producer; returns their ids."""

    def store(*records: dict[str, Any], drops: Mapping[str, int] | None = None) -> list[str]:
        producer = new_producer()
        runs = RecordPacker().pack(list(records)).runs
        now = int(time.time() * 1000)
        frame = pack_frame(
            producer=producer, first=0, runs=runs, created_ms=now, source="tests", codec=RAW, drops=drops
        )
        assert buffer.append([frame]) is None
        return record_ids(producer, 0, len(records))

    return store


@pytest.fixture
def bury(buffer: Buffer, store: Callable[..., list[str]]) -> Callable[..., list[DeadLetter]]:
    """Store records and let a pump give up on them; returns the dead letters."""

    def bury(pump: str, *records: dict[str, Any], kind: str = "rejected", reason: str = "no") -> list[DeadLetter]:
        with closing(buffer.cursor(pump)) as cursor:
            ids = store(*records)
            through = cursor.fetch(2_000, 1 << 20)[-1].position
            blobs = [RecordPacker().pack([record]).runs[0][0] for record in records]
            letters = [
                DeadLetter(id_, through, 1_700_000_000_000, kind, reason, 5, "csv (pumpkit-csv 1.0)", blob)
                for id_, blob in zip(ids, blobs, strict=True)
            ]
            lag = cursor.stats().lag
            cursor.commit(through, Counts(delivered=lag - len(letters), dead=len(letters)), letters)
        return letters

    return bury
