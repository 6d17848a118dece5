"""`pumpkit run` and what the other commands do to a runner that is alive, with real processes."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from pumpkit.buffers import Buffer

Run = Callable[..., Result]
Store = Callable[..., list[str]]
Write = Callable[[str], Path]


@pytest.fixture
def config(workplace: Path, url: str) -> Write:
    """Write ./pumpkit.yaml with these pumps, the buffer and a free port."""

    def write(pumps: str) -> Path:
        file = workplace / "pumpkit.yaml"
        file.write_text(f"buffer: {url}\nhealth-check-address: 127.0.0.1:0\npurge-delay: 20ms\npumps:\n{pumps}")
        return file

    return write


@contextmanager
def running(*options: str) -> Iterator["subprocess.Popen[str]"]:
    """Run `pumpkit run`, and stop it at the end."""
    command = [sys.executable, "-m", "pumpkit", "run", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def wait_for(condition: Callable[[], Any]) -> Any:
    """Return what the condition returns once it is true."""
    deadline = time.monotonic() + 60
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited for 60 s"
        time.sleep(0.05)
    return value


def pump(cli: Run, name: str) -> dict[str, Any]:
    """Return what `pumpkit status --json` says of a pump."""
    result = cli("status", "--json")
    found: dict[str, Any] = json.loads(result.stdout)["pumps"].get(name, {})
    return found


def test_run_status_and_stop(cli: Run, config: Write, store: Store, workplace: Path) -> None:
    """A runner delivers what waits; `status` shows it live; SIGTERM ends it with 0; `status` goes on without it."""
    config("  file: {type: t-file, meta: {path: out.jsonl}}\n")
    ids = store({"n": 1}, {"n": 2})
    with running() as process:
        wait_for(lambda: pump(cli, "file").get("delivered") == 2)
        document = json.loads(cli("status", "--json").stdout)
        assert document["pid"] == process.pid
        assert document["pumps"]["file"]["state"] == "running"
        assert f"pid {process.pid} on {socket.gethostname()}" in cli("status").output
    assert process.returncode == 0
    assert [json.loads(line)["id"] for line in (workplace / "out.jsonl").read_text().splitlines()] == ids
    assert pump(cli, "file")["state"] == "stopped"
    assert pump(cli, "file")["delivered"] == 2


def test_pause_and_resume(cli: Run, config: Write, buffer: Buffer, store: Store) -> None:
    """A paused pump delivers nothing until it is resumed; the runner lives, so nothing is warned of."""
    config("  file: {type: t-file, meta: {path: out.jsonl}}\n")
    with running():
        wait_for(lambda: pump(cli, "file").get("state") == "running")
        assert cli("pause", "file").exit_code == 0
        wait_for(lambda: pump(cli, "file")["state"] == "paused")
        store({"n": 1})
        wait_for(lambda: pump(cli, "file").get("lag") == 1)
        assert cli("resume", "file").stderr == ""
        wait_for(lambda: pump(cli, "file").get("delivered") == 1)


def test_replay_and_purge(cli: Run, config: Write, buffer: Buffer, store: Store, workplace: Path) -> None:
    """Dead letters that are replayed are written by the worker under their ids; purged ones are gone."""
    config("  sink: {type: t-reject, meta: {path: out.jsonl, field: bad, value: 'yes', until: healed}}\n")
    bad, worse, _ = store({"bad": "yes", "n": 1}, {"bad": "yes", "n": 2}, {"bad": "no"})
    with running():
        wait_for(lambda: len(json.loads(cli("dlq", "ls", "--json").stdout)) == 2)
        [shown] = json.loads(cli("dlq", "show", bad, "--json").stdout)
        assert (shown["record"], shown["kind"]) == ({"bad": "yes", "n": 1}, "rejected")
        (workplace / "healed").touch()
        result = cli("dlq", "replay", bad)
        assert "sink: marked 1 dead letter; the pump's worker will write" in result.output
        assert result.stderr == ""
        wait_for(lambda: [letter["id"] for letter in json.loads(cli("dlq", "ls", "--json").stdout)] == [worse])
        cli("dlq", "purge", worse, "--yes")
        wait_for(lambda: cli("dlq", "ls").output == "no dead letters\n")
    written = [json.loads(line) for line in (workplace / "out.jsonl").read_text().splitlines()]
    assert [line["late"] for line in written if line["id"] == bad] == [True]
    cursor = buffer.stats().cursors["sink"]
    assert (cursor.delivered, cursor.dead, cursor.lag) == (2, 1, 0)


def test_check_connect_disturbs_nobody(cli: Run, config: Write, store: Store, workplace: Path) -> None:
    """A check that connects beside a busy runner finds CSV in use, and every record is written exactly once."""
    config("  audit: {type: csv, meta: {csv-dir: out}}\n  file: {type: t-file, meta: {path: out.jsonl}}\n")
    with running():
        wait_for(lambda: pump(cli, "audit").get("state") == "running")
        store(*({"n": number} for number in range(100)))
        result = cli("check", "--connect", "--json")
        store(*({"n": number} for number in range(100, 200)))
        assert result.exit_code == 0
        texts = [finding["text"] for finding in json.loads(result.stdout)["findings"]]
        assert any("in use by the running runner" in text for text in texts)
        assert any("its sink connects: t-file" in text for text in texts)
        wait_for(lambda: pump(cli, "audit").get("delivered") == pump(cli, "file").get("delivered") == 200)
        assert pump(cli, "audit")["restarts"] == 0
    rows = [line for file in (workplace / "out").glob("*.csv") for line in file.read_text().split()[1:]]
    assert sorted(int(row.strip('"')) for row in rows) == list(range(200))
    assert len((workplace / "out.jsonl").read_text().splitlines()) == 200


def test_second_runner(program: Callable[..., Any], config: Write, cli: Run) -> None:
    """A second runner on the same buffer: 75."""
    config("  file: {type: t-file, meta: {path: out.jsonl}}\n")
    with running():
        wait_for(lambda: pump(cli, "file").get("state") == "running")
        result = program("run")
    assert result.returncode == 75
    assert "Traceback" not in result.stderr


def test_port_taken(program: Callable[..., Any], config: Write) -> None:
    """A health address that somebody else listens at: 69, and the address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        file = config("  file: {type: t-file, meta: {path: out.jsonl}}\n")
        file.write_text(file.read_text().replace("127.0.0.1:0", address))
        result = program("run")
    assert result.returncode == 69
    assert address in result.stderr


@pytest.mark.parametrize("options", [[], ["--strict"]])
def test_broken_plugin(cli: Run, config: Write, store: Store, options: list[str]) -> None:
    """A broken plugin fails its pump while the others run; with --strict the runner does not start: 78."""
    config("  good: {type: t-file, meta: {path: out.jsonl}}\n  broken: {type: t-import-error, meta: {path: x}}\n")
    store({"n": 1})
    if options:
        result = cli("run", *options)
        assert result.exit_code == 78
        assert "pumps.broken.type" in result.stderr
        return
    with running():
        wait_for(lambda: pump(cli, "good").get("delivered") == 1)
        wait_for(lambda: pump(cli, "broken").get("state") == "failed")
        text = cli("status").output
    assert re.search(r"^broken: failed, for .*cannot be imported", text, re.MULTILINE)


def test_broken_config(program: Callable[..., Any], config: Write, buffer: Buffer, store: Store) -> None:
    """A broken configuration ends the start with 78, and touches nothing in the buffer."""
    config("  file: {type: t-file, batch-recrods: 3, meta: {path: out.jsonl}}\n")
    store({"n": 1})
    result = program("run")
    assert result.returncode == 78
    assert result.stderr.startswith("Error: ")
    assert "pumps.file.batch-recrods" in result.stderr
    assert "batch-records" in result.stderr
    assert (buffer.stats().frames, buffer.stats().cursors) == (1, {})


def test_drop_of_a_running_pump(cli: Run, config: Write) -> None:
    """The cursor of a pump that is at work is not dropped: 75."""
    config("  file: {type: t-file, meta: {path: out.jsonl}}\n")
    with running():
        wait_for(lambda: pump(cli, "file").get("state") == "running")
        assert cli("cursor", "drop", "file", "--yes").exit_code == 75
        assert pump(cli, "file")["state"] == "running"


def test_status_of_dead_runner(cli: Run, config: Write) -> None:
    """A runner that was killed is not taken for one that lives."""
    config("  file: {type: t-file, meta: {path: out.jsonl}}\n")
    with running() as process:
        wait_for(lambda: pump(cli, "file").get("state") == "running")
        os.kill(process.pid, signal.SIGKILL)
        process.wait(60)
        assert "runner  none" in cli("status").output
        assert pump(cli, "file")["state"] == "stopped"
