"""`pumpkit status`, with a runner that answers, one that does not, and none."""

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import attrs
import pytest
from click.testing import Result

from pumpkit.buffers import Buffer
from pumpkit.buffers.base import BufferStats, CursorStats, HostDrops, ProducerStats
from pumpkit.cli.offline import offline
from pumpkit.cli.status import buffer_lines, drop_rows
from pumpkit.config import Config, PumpConfig
from pumpkit.config.inputs import InputConfig
from pumpkit.status import PumpStatus, Status

Run = Callable[..., Result]

CURSOR = CursorStats("audit", 3, 0, 5, 2, 1, 0, 0, 7, 1_700_000_000_000, "run", 1, 100)
STATS = BufferStats("id", "/var/buffer.db", 1 << 20, 1 << 30, 3, 15, 0, {}, [], {"audit": CURSOR})
CONFIG = Config(
    file=Path("pumpkit.yaml"),
    pumps={"audit": PumpConfig(name="audit", type="csv"), "new": PumpConfig(name="new", enabled=False)},
)


def test_offline_states() -> None:
    """Without a runner a pump is stopped, paused, or an orphan that only the buffer knows."""
    cursors = {"audit": CURSOR, "gone": CURSOR._replace(pump="gone")}
    status = offline(STATS._replace(cursors=cursors), CONFIG)
    assert {name: pump.state for name, pump in status.pumps.items()} == {
        "audit": "stopped",
        "new": "stopped",
        "gone": "orphan",
    }
    assert status.pumps["new"].reason == "enabled: false in the configuration"
    assert status.pumps["audit"].type == "csv"
    assert status.pid is None
    paused = offline(STATS._replace(cursors={"audit": CURSOR._replace(wanted="pause")}), CONFIG)
    assert paused.pumps["audit"].state == "paused"


def test_offline_elsewhere_and_inputs() -> None:
    """What another runner configures is no orphan, and inputs are shown as stopped."""
    config = attrs.evolve(CONFIG, inputs={"authz": InputConfig(name="authz", dialect="iam")})
    cursors = {"audit": CURSOR, "theirs": CURSOR._replace(pump="theirs"), "gone": CURSOR._replace(pump="gone")}
    runners = [{"slot": "east", "alive": "no", "pumps": "audit theirs"}]
    status = offline(STATS._replace(cursors=cursors), config, None, runners)
    assert (status.pumps["theirs"].state, status.pumps["gone"].state) == ("elsewhere", "orphan")
    assert status.inputs["authz"].state == "stopped"


def test_offline_without_config() -> None:
    """Without a configuration no pump is called an orphan."""
    assert [pump.state for pump in offline(STATS, None).pumps.values()] == ["stopped"]


def test_offline_with_silent_runner() -> None:
    """A runner that lives but does not answer makes states unknown, not stopped."""
    status = offline(STATS, CONFIG, {"pid": "77", "host": "box"})
    assert (status.pid, status.host, status.pumps["audit"].state) == (77, "box", "unknown")


def test_buffer_lines() -> None:
    """The buffer's line tells size, cap, producers, and drops by cause."""
    producer = ProducerStats("00" * 16, "authz", "box", 1, 15, 0, {"full": 2})
    stats = STATS._replace(lost=4, drops={"full": 2, "unsent": 1, "too-large": 0}, producers=[producer])
    document = Status(buffer=stats).to_json()["buffer"]
    assert buffer_lines(document) == [
        "/var/buffer.db",
        "1.0 MiB of 1.0 GiB (0 %), 1 producer, 15 stored, 4 lost, 3 dropped by reporters (2 full, 1 unsent)",
    ]
    unused = Status(buffer=STATS._replace(stored=0)).to_json()["buffer"]
    assert buffer_lines(unused) == ["no producer has ever written to this buffer: /var/buffer.db"]


def test_drop_rows() -> None:
    """The first ten pairs of host and source are shown, the others in one sum."""
    pairs = [HostDrops(f"box-{n}", "", None, {"full": 1_000 * n, "unsent": n % 2}) for n in range(1, 14)]
    document = Status(buffer=STATS._replace(drops_by_host=pairs)).to_json()["buffer"]
    rows = drop_rows(document["drops_by_host"])
    assert (len(rows), rows[0]) == (11, ["box-1", "-", "1,001", "1,000 full, 1 unsent", "-"])
    assert rows[-1] == ["3 more", "-", "36,002", "36,000 full, 2 unsent", "-"]


def test_drops_by_host(cli: Run, url: str, buffer: Buffer, store: Callable[..., list[str]]) -> None:
    """A table tells on which host, by which source, records were dropped; there is none without drops."""
    store({"n": 1})
    assert "by cause" not in cli("status", "-b", url).output
    store({"n": 1}, drops={"full": 1_234, "too-large": 5, "unsent": 0})
    lines = cli("status", "-b", url).output.splitlines()
    table = lines.index(next(line for line in lines if line.startswith("host ")))
    assert re.split(" {2,}", lines[table]) == ["host", "source", "dropped", "by cause", "last"]
    *cells, last = re.split(" {2,}", lines[table + 1])
    assert cells == [socket.gethostname(), "tests", "1,239", "1,234 full, 5 too-large"]
    assert last.endswith("ago")
    [pair] = json.loads(cli("status", "-b", url, "--json").output)["buffer"]["drops_by_host"]
    assert pair == {
        "host": socket.gethostname(),
        "source": "tests",
        "last_ms": pair["last_ms"],
        "drops": {"full": 1_234, "too-large": 5},
    }
    assert pair["last_ms"] == pytest.approx(time.time() * 1000, abs=60_000)


def test_without_runner(cli: Run, url: str, buffer: Buffer, store: Callable[..., list[str]], workplace: Path) -> None:
    """Without a runner the table shows the configuration's pumps with what the buffer knows."""
    (workplace / "pumpkit.yaml").write_text(f"buffer: {url}\npumps: {{audit: {{type: csv, meta: {{csv-dir: x}}}}}}\n")
    buffer.register("audit")
    buffer.register("old")
    store({"n": 1}, {"n": 2})
    text = cli("status").output
    assert "runner  none; start one with `pumpkit run`" in text
    lines = text.splitlines()
    table = lines.index(next(line for line in lines if line.startswith("pump ")))
    assert lines[table].split() == ["pump", "state", "lag", "rate/s", "delivered", "filtered", "dead", "skipped"]
    assert lines[table + 1].split() == ["audit", "stopped", "2", "-", "0", "0", "0", "0"]
    assert lines[table + 2].split()[:3] == ["old", "orphan", "2"]
    assert "audit: 2 records waiting, the oldest for" in text
    document = json.loads(cli("status", "--json").output)
    assert (document["pumps"]["audit"]["lag"], document["pid"], document["buffer"]["stored"]) == (2, None, 2)


def test_missing_buffer(cli: Run, url: str, workplace: Path) -> None:
    """A buffer that does not exist is said, the configuration's pumps are shown, and the exit code is 69."""
    (workplace / "pumpkit.yaml").write_text(f"buffer: {url}\npumps: {{audit: {{type: csv, meta: {{csv-dir: x}}}}}}\n")
    result = cli("status")
    assert result.exit_code == 69
    assert f"no producer has ever written to this buffer: {url.removeprefix('sqlite:///')}" in result.output
    assert re.search(r"^audit +stopped +- ", result.output, re.MULTILINE)
    assert not Path(url.removeprefix("sqlite:///")).exists()
    assert json.loads(cli("status", "--json").output)["buffer"] is None


def test_broken_config(cli: Run, url: str, buffer: Buffer, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken configuration is told of, and the default buffer shown; with --buffer, that one."""
    (workplace / "pumpkit.yaml").write_text("bufer: x\npumps: {}\n")
    buffer.register("audit")
    monkeypatch.setenv("PUMPKIT_BUFFER", url)
    result = cli("status")
    assert result.exit_code == 0
    assert re.search(r"^audit +stopped ", result.output, re.MULTILINE)
    assert "pumpkit.yaml:1: bufer" in result.output
    assert "this is the default buffer" in result.output
    assert "this is the default buffer" not in cli("status", "--buffer", url).output


def test_missing_config(cli: Run, url: str, buffer: Buffer) -> None:
    """A configuration that was named and is not there is a remark; the buffer is shown all the same."""
    result = cli("status", "-c", "nowhere.yaml", "-b", url)
    assert result.exit_code == 0
    assert "nowhere.yaml" in result.output


def test_buffer_that_is_named(cli: Run, url: str, buffer: Buffer, workplace: Path) -> None:
    """With --buffer alone, the configuration that happens to stand there is not asked: nothing is an orphan of it."""
    (workplace / "pumpkit.yaml").write_text("pumps: {other: {type: csv, meta: {csv-dir: x}}}\n")
    buffer.register("audit")
    assert {
        name: pump["state"] for name, pump in json.loads(cli("status", "-b", url, "--json").stdout)["pumps"].items()
    } == {"audit": "stopped"}


@contextmanager
def answering(answer: bytes, code: int = 200) -> Iterator[str]:
    """Serve an answer to every GET at 127.0.0.1; yields the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code if self.path == "/status.json" else 404)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def runner(buffer: Buffer, health: str, host: str | None = None) -> Iterator[None]:
    """Hold the runner's lock, with an address to ask at."""
    lock = buffer.runner_lock({"pid": str(os.getpid()), "host": host or socket.gethostname(), "health": health})
    try:
        yield
    finally:
        lock.release()


def live() -> Status:
    """Return what a runner with three pumps tells."""
    status = Status(buffer=STATS, pid=os.getpid(), host="box", started=time.time() - 3_700, version="0.1.0")
    status.config = "/etc/pumpkit/pumpkit.yaml"
    good = PumpStatus("audit", state="running", rate=1234.5, cursor=CURSOR)
    away = PumpStatus("search", state="waiting", reason="ConnectionRefusedError: \x1b[31mno\x1b[0m", rate=0.0)
    away.cursor = CURSOR._replace(lag=1_000_000)
    broken = PumpStatus("mongo", state="failed", reason="bad password", last_error="it was bad", last_error_at=1.0)
    status.pumps = {pump.name: pump for pump in (good, away, broken)}
    return status


def test_live(cli: Run, url: str, buffer: Buffer) -> None:
    """A runner's own table is shown: states, rates, reasons, last errors."""
    status = live()
    with answering(json.dumps(status.to_json()).encode()) as address, runner(buffer, address):
        text = cli("status", "-b", url).output
        document = json.loads(cli("status", "-b", url, "--json").output)
    assert f"runner  pid {os.getpid()} on box, up 1 h 1 min, pumpkit 0.1.0, /etc/pumpkit/pumpkit.yaml" in text
    assert re.search(r"^audit +running +7 +1,23[45] +5 +2 +1 +0$", text, re.MULTILINE)
    assert re.search(r"^search +waiting +1,000,000 +0 ", text, re.MULTILINE)
    assert re.search(r"^mongo +failed +- ", text, re.MULTILINE)
    assert "search: waiting, for 0 s: ConnectionRefusedError: \\x1b[31mno\\x1b[0m" in text
    assert "mongo: last error, " in text
    assert document == json.loads(json.dumps(status.to_json()))


@pytest.mark.parametrize(
    ("answer", "code", "why"),
    [
        (b"not json", 200, ""),
        (b"[]", 200, "something else answers"),
        (b'{"pid": 1}', 200, "something else answers"),
        (b"{}", 503, "answers 503"),
    ],
)
def test_runner_that_answers_nonsense(cli: Run, url: str, buffer: Buffer, answer: bytes, code: int, why: str) -> None:
    """A runner that lives but whose address gives no status is told of, and the buffer shown."""
    buffer.register("audit")
    with answering(answer, code) as address, runner(buffer, address):
        text = cli("status", "-b", url).output
    assert f"a runner lives (pid {os.getpid()} on {socket.gethostname()}), but" in text
    assert why in text
    assert re.search(r"^audit +unknown ", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("health", "host", "why"),
    [
        ("", None, "health endpoint is switched off"),
        ("127.0.0.1:1", None, "refused"),
        ("127.0.0.1:1", "elsewhere", "is reached only from its own host"),
        ("nonsense", None, "host:port"),
    ],
)
def test_runner_that_cannot_be_asked(
    cli: Run, url: str, buffer: Buffer, health: str, host: str | None, why: str
) -> None:
    """So is one without an endpoint, with one that does not answer, or on another host."""
    buffer.register("audit")
    with runner(buffer, health, host):
        text = cli("status", "-b", url).output
    assert why in text
    assert re.search(r"^audit +unknown ", text, re.MULTILINE)


def read_terminal(words: list[str], columns: int, until: Callable[[str], bool], env: dict[str, str]) -> str:
    """Run `pumpkit WORDS` on a terminal so wide until what it printed satisfies `until`, or it ends."""
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "pumpkit", *words], stdin=theirs, stdout=theirs, stderr=theirs, env=env
    )
    os.close(theirs)
    printed = b""
    try:
        while not until(printed.decode(errors="replace")):
            try:
                printed += os.read(ours, 1 << 16)
            except OSError:  # the other side is closed
                break
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        os.close(ours)
    return printed.decode(errors="replace")


def terminal_env() -> dict[str, str]:
    """Return an environment as an ordinary terminal has it."""
    unwanted = {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"}
    return {name: value for name, value in os.environ.items() if name not in unwanted} | {"TERM": "xterm-256color"}


def plain(text: str) -> str:
    """Return text without escape sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


@pytest.mark.parametrize("columns", [80, 120])
def test_terminal(url: str, buffer: Buffer, columns: int) -> None:
    """On a terminal the table has colours and fits; what a record's text says does not reach the terminal."""
    with answering(json.dumps(live().to_json()).encode()) as address, runner(buffer, address):
        text = read_terminal(["status", "-b", url], columns, lambda text: False, terminal_env())
    assert "\x1b[32mrunning" in text
    assert "\x1b[31mno" not in text
    lines = plain(text).splitlines()
    assert max(map(len, lines)) <= columns
    assert any(line.split()[:3] == ["search", "waiting", "1,000,000"] for line in lines)


def test_watch_on_terminal(url: str, buffer: Buffer) -> None:
    """--watch shows the table again and again until Ctrl-C, which is a good end."""
    with answering(json.dumps(live().to_json()).encode()) as address, runner(buffer, address):
        text = read_terminal(
            ["status", "-b", url, "--watch", "--interval", "0.1"],
            80,
            lambda text: plain(text).count("running") > 3,
            terminal_env(),
        )
    assert plain(text).count("running") > 3
    assert "Traceback" not in text


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_watch_in_pipe(url: str, buffer: Buffer, options: list[str]) -> None:
    """In a pipe --watch prints plain tables, or one JSON document a line, until SIGINT: exit 0."""
    buffer.register("audit")
    words = ["status", "-b", url, "--watch", "--interval", "0.1", *options]
    process = subprocess.Popen([sys.executable, "-m", "pumpkit", *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as out:
        seen = 0
        while seen < 3:
            line = out.readline()
            assert line, "it ended"
            seen += "audit" in json.loads(line)["pumps"] if options else line.startswith("audit")
        process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0


def test_status_json_is_the_runners(cli: Run, url: str, buffer: Buffer) -> None:
    """The JSON made without a runner has the keys of the one that a runner makes."""
    made = offline(buffer.stats(), None).to_json()
    assert set(made) == {field.name for field in attrs.fields(Status)}
