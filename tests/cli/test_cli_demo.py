"""`pumpkit demo`: the whole way of a record, run as a newcomer runs it."""

import collections
import csv
import itertools
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import pytest
from click.testing import Result

from pumpkit.buffers import open_buffer
from pumpkit.buffers.base import BufferStats, CursorStats
from pumpkit.cli.demo.ledger import settle
from pumpkit.cli.demo.records import POLICIES, decide, decisions

Run = Callable[..., Result]

CURSOR = CursorStats("audit", 3, 0, 0, 0, 0, 0, 0, 0, None, "run", 0, 0)
BEFORE = BufferStats("id", "/b.db", 1, 1, 0, 0, 0, {}, [], {})


def after(stored: int, **counts: Any) -> BufferStats:
    """Return a buffer's state with one pump that has these counts."""
    return BEFORE._replace(stored=stored, cursors={"audit": CURSOR._replace(**counts)})


def test_records_are_decided() -> None:
    """The records are decisions that fit their policies: both effects, several users, JSON that can be read."""
    records = list(itertools.islice(decisions(), 1_000))
    effects = collections.Counter(record.effect for record in records)
    assert min(effects["allow"], effects["deny"]) > 200
    assert len({record.username for record in records}) > 4
    for record in records:
        request = json.loads(record.request)
        deciders = json.loads(record.deciders)
        assert request["subject"] == f"users:{record.username}"
        assert {policy["effect"] for policy in deciders} <= {record.effect}
        assert {policy["id"] for policy in deciders} <= {policy["id"] for policy in json.loads(record.policies)}
        assert record.conclusion


def test_records_are_repeatable() -> None:
    """The same seed gives the same decisions, another one others."""

    def first(seed: int) -> list[dict[str, Any]]:
        records = itertools.islice(decisions(seed), 50)
        return [attrs.asdict(record, filter=lambda field, _: field.name != "timestamp") for record in records]

    assert first(1) == first(1) != first(2)


@pytest.mark.parametrize(
    ("request_", "effect", "decider"),
    [
        (("users:maria", "update", "resources:articles:release-notes"), "allow", "write-own-team"),
        (("users:guest", "get", "resources:articles:draft-pricing"), "deny", "drafts-are-private"),
        (("users:deploy-bot", "delete", "resources:invoices:2024-11"), "deny", "no-deletes-by-robots"),
        (("users:guest", "get", "resources:secrets:signing-key"), "deny", None),
    ],
)
def test_decide(request_: tuple[str, str, str], effect: str, decider: str | None) -> None:
    """One policy that denies is stronger than those that allow; when none speaks it is denied."""
    decision = decide(*request_)
    assert decision.effect == effect
    assert [policy["id"] for policy in json.loads(decision.deciders)][-1:] == ([decider] if decider else [])
    assert len(POLICIES) > 4


@pytest.mark.parametrize(
    ("recorded", "stats", "rows"),
    [
        (10, after(9, delivered=9), 9),  # lost on its way to the buffer
        (10, after(10, delivered=9), 9),  # an account that does not balance
        (10, after(10, delivered=9, lag=1), 9),  # not delivered
        (10, after(10, delivered=9, dead=1), 9),  # given up
        (10, after(10, delivered=9, skipped=1), 9),  # passed over
        (10, after(10, delivered=10), 9),  # delivered, and not in the file
        (10, after(10, delivered=10), 11),  # twice in the file
        (10, BEFORE._replace(stored=10), 0),  # no pump at all
    ],
)
def test_account_that_does_not_add_up(recorded: int, stats: BufferStats, rows: int) -> None:
    """Anything lost, left, doubled or unaccounted for is seen."""
    assert not settle(recorded, BEFORE, stats, {"audit": rows}).good


def test_account_that_adds_up() -> None:
    """A second run is accounted for by itself, while the files hold both."""
    first = after(10, delivered=6, filtered=4)
    assert settle(10, BEFORE, first, {"audit": 6}).good
    second = settle(5, first, after(15, delivered=9, filtered=6), {"audit": 9})
    assert second.good
    assert (second.pumps[0].delivered, second.pumps[0].filtered, second.stored) == (3, 2, 5)


def rows(folder: Path) -> list[dict[str, str]]:
    """Return the records in a folder's CSV files."""
    found: list[dict[str, str]] = []
    for file in folder.glob("*.csv"):
        with file.open(newline="") as lines:
            found += csv.DictReader(lines)
    return found


def test_backlog_twice(program: Callable[..., "subprocess.CompletedProcess[str]"], workplace: Path) -> None:
    """A backlog is recorded and then drained into both pumps' files; a second run adds to them."""
    result = program("demo", "--backlog", "3000", "--json")
    assert result.returncode == 0, result.stderr
    account = json.loads(result.stdout)
    assert (account["recorded"], account["stored"], account["lost"], account["good"]) == (3000, 3000, 0, True)
    audit, denied = account["pumps"]
    assert (audit["delivered"], audit["filtered"]) == (3000, 0)
    assert denied["delivered"] + denied["filtered"] == 3000
    in_files = rows(workplace / "pumpkit-demo/audit")
    assert len(in_files) == 3000
    short = rows(workplace / "pumpkit-demo/denied")
    assert len(short) == denied["delivered"] == sum(row["effect"] == "deny" for row in in_files)
    assert {row["effect"] for row in short} == {"deny"}
    assert {row["policies"] + row["deciders"] for row in short} == {""}

    result = program("demo", "--backlog", "500")
    assert result.returncode == 0, result.stderr
    assert "500 recorded, 500 stored, 0 lost" in result.stdout
    assert len(rows(workplace / "pumpkit-demo/audit")) == 3500
    assert "Traceback" not in result.stderr
    for part in ("configuration  ", '"timestamp","username","effect"', str(workplace / "pumpkit-demo" / "run.log")):
        assert part in result.stdout


def test_rate(cli: Run, workplace: Path) -> None:
    """With a rate the runner is there from the first record on; --dir says where."""
    result = cli("demo", "--rate", "2000", "--seconds", "0.5", "--dir", "here", "--json")
    assert result.exit_code == 0, result.stderr
    account = json.loads(result.stdout)
    assert (account["recorded"], account["good"]) == (1000, True)
    assert len(rows(workplace / "here/audit")) == 1000


@pytest.mark.parametrize("options", [("--backlog", "5", "--rate", "3"), ("--records", "5", "--seconds", "3")])
def test_options_that_contradict(cli: Run, options: tuple[str, ...], workplace: Path) -> None:
    """Options that contradict each other exit with 2, and make nothing."""
    assert cli("demo", *options).exit_code == 2
    assert list(workplace.iterdir()) == []


def test_folder_of_somebody_else(cli: Run, workplace: Path) -> None:
    """A folder with a configuration that the demonstration did not write is left alone: 78."""
    file = workplace / "pumpkit.yaml"
    file.write_text("pumps: {}\n")
    result = cli("demo", "--dir", ".")
    assert result.exit_code == 78
    assert "choose another folder with --dir" in result.stderr
    assert file.read_text() == "pumps: {}\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)])
def test_interrupted_and_continued(
    program: Callable[..., "subprocess.CompletedProcess[str]"], cli: Run, workplace: Path, number: int, code: int
) -> None:
    """Whatever ends it, the next run delivers what was left, and everything adds up."""
    command = [sys.executable, "-m", "pumpkit", "demo", "--rate", "2000", "--records", "1000000"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    folder = workplace / "pumpkit-demo"
    deadline = time.monotonic() + 60
    try:
        while not list(folder.glob("denied/*.csv.part")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in said
    status = json.loads(cli("status", "-b", f"sqlite:///{folder / 'buffer.db'}", "--json").stdout)
    left = status["pid"]
    assert (left is not None) == (number == signal.SIGKILL)  # nobody stopped its runner
    result = program("demo", "--backlog", "100", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["good"]
    if left is not None:
        assert f"the runner of an earlier demo, pid {left}, was still there; stopped it" in result.stderr


def test_buffer_that_is_full(cli: Run, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backlog that does not fit the buffer ends the demonstration with the reason, instead of going on for hours."""
    monkeypatch.setattr("pumpkit.cli.demo.play.PATIENCE", 1.0)
    folder = workplace / "pumpkit-demo"
    with closing(open_buffer(f"sqlite:///{folder / 'buffer.db'}")) as buffer:
        buffer.set_max_bytes(1 << 20)
    result = cli("demo", "--backlog", "1000000")
    assert result.exit_code == 69
    assert "the buffer does not take the records: " in result.stderr


def test_runner_that_ends(cli: Run, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner that cannot start ends the demonstration with what it said."""
    monkeypatch.setattr(
        "pumpkit.cli.demo.stage._CONFIG", "# Written by `pumpkit demo`, again each time it runs.\nx: 1\n"
    )
    result = cli("demo", "--backlog", "10")
    assert result.exit_code == 69
    assert "ended with 78" in result.stderr
    assert "pumpkit.yaml:2: x" in result.stderr
