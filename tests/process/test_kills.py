"""kill -9 of everything, again and again, under load: nothing that was stored is lost, nothing is doubled in CSV."""

import contextlib
import os
import signal
import time
from pathlib import Path

from pumpkit.buffers import open_buffer

#: A program that reports for ever, as fast as the buffer takes it: a counter, and who counts.
PRODUCER = """
import os, sys, time
from pumpkit import Reporter
reporter = Reporter(sys.argv[1], source="load", flush_interval=0.02)
n = 0
while True:
    for _ in range(50):
        reporter.record({"n": n, "who": f"{os.getpid()}-{time.time_ns()}" if n == 0 else "", "pid": os.getpid()})
        n += 1
    time.sleep(0.002)
"""


def configure(world):
    """Two pumps: CSV, exactly once; and a sink without a memory of its own, at least once."""
    world.configure(
        {
            "csv": {"meta": {"csv-dir": str(world.folder / "csv"), "id-field": "id", "max-bytes": "256KiB"}},
            "file": {"type": "t-file"},
        },
        **{"purge-delay": 0.02},
    )


def check(world):
    """Check ids and ledgers once everything is drained."""
    world.wait_for_lag("csv")
    world.wait_for_lag("file")
    stored, in_csv = world.stored_ids(), [row["id"] for row in world.csv_rows()]
    assert len(in_csv) == len(set(in_csv)), "doubled in CSV"
    assert set(in_csv) == stored
    assert set(world.arrived_ids("file")) == stored
    for name in ("csv", "file"):
        world.balance(name)
    return stored


def test_killing_workers(world, dice):
    """Workers killed at random moments: the pumps go on where they were."""
    configure(world)
    world.run()
    world.wait_for_state("csv", "running")
    producer = world.report(0, 60_000)
    for _ in range(15):
        time.sleep(dice.uniform(0.05, 0.25))
        pid = world.pump(dice.choice(["csv", "file"])).get("pid")
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    assert producer.wait(60) == 0
    assert len(check(world)) == 60_000


def test_killing_the_runner(world, dice):
    """Runners killed at random moments, their workers orphaned: the next one takes over."""
    configure(world)
    producer = world.report(0, 60_000)
    for _ in range(10):
        runner = world.run()
        time.sleep(dice.uniform(0.3, 1.5))
        runner.kill()
    assert producer.wait(60) == 0
    world.run()
    assert len(check(world)) == 60_000


def test_killing_producers(world, dice):
    """Producers killed while they report: what was stored arrives, in order and without a gap, and nothing twice."""
    configure(world)
    world.run()
    for _ in range(12):
        producer = world.spawn(PRODUCER)
        time.sleep(dice.uniform(0.4, 0.9))
        producer.kill()
        producer.wait()
    check(world)
    rows: dict[str, list[int]] = {}
    for row in world.csv_rows():
        rows.setdefault(row["pid"], []).append(int(row["n"]))
    assert rows
    assert all(numbers == list(range(len(numbers))) for numbers in rows.values())


def test_a_broken_config_deletes_nothing(world):
    """A configuration that cannot be used exits with 78 before the log is touched."""
    world.configure({"one": {"type": "t-file"}})
    world.fill(1000)
    good = world.config.read_text()
    world.config.write_text(good.replace('"type"', '"tpye"'))
    runner = world.run()
    assert runner.wait() == 78
    assert "did you mean type?" in runner.log
    with contextlib.closing(open_buffer(world.url)) as buffer:
        assert buffer.stats().frames == 2
    world.config.write_text(good)
    world.run()
    world.wait_for_lag("one")
    world.assert_exactly_once(world.arrived("one"), 1000)


def test_a_backlog_of_a_million_records_costs_no_memory(world):
    """A worker that drains a million records stays under 100 MiB."""
    configure(world)
    world.fill(1_000_000, frame=2000, username="somebody", request='{"resource": "articles:ladon", "action": "get"}')
    world.run()
    world.wait_for_state("csv", "running")
    pid = world.pump("csv")["pid"]
    world.until(lambda: world.stats("csv").lag == 0, patience=300)
    peak = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    assert int(peak.split()[1]) < 100 * 1024, peak
    assert world.stats("csv").delivered == 1_000_000
