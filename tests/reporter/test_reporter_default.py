"""The process-wide reporter, and what importing and using pumpkit loads."""

from typing import Any

import pytest

_HEAVY = ("pluggy", "attrs", "attr", "cattrs", "click", "rich", "ruamel", "redis", "prometheus_client")


def test_reporting_loads_only_what_it_needs(program: Any) -> None:
    """Importing loads no driver; recording adds the driver, the codec and the compressor, and nothing else."""
    out, _ = program.run(
        f"""
        import sys
        HEAVY = {_HEAVY!r}
        def loaded(names):
            return [name for name in sys.modules if name.partition(".")[0] in names]
        from pumpkit import Reporter, configure, flush, record, get_reporter, stop_on_sigterm
        print(loaded((*HEAVY, "apsw", "zstandard", "importlib.metadata")))
        reporter = Reporter()
        record({{"n": 1}})
        reporter.record({{"n": 2}})
        assert flush(30).sent == reporter.flush(30).sent == 1
        print(loaded(HEAVY))
        print(bool(loaded(("apsw",))))
        """
    )
    assert out.splitlines() == ["[]", "[]", "True"]
    assert sorted(record["n"] for record in program.records()) == [1, 2]


def test_record_works_before_configure_and_follows_it(program: Any) -> None:
    """A function imported before `configure` uses the new settings afterwards; nothing recorded before is lost."""
    out, _ = program.run(
        """
        import pumpkit
        from pumpkit import record
        record({"n": 1})
        reporter = pumpkit.configure(source="authz", flush_interval=60)
        record({"n": 2})
        pumpkit.record({"n": 3})
        assert pumpkit.record is pumpkit.record
        assert pumpkit.get_reporter() is reporter
        print(pumpkit.flush())
        """
    )
    assert out == "FlushResult(sent=2, pending=0, dropped=0)\n"
    assert [record["n"] for record in program.records()] == [1, 2, 3]


def test_configure_can_disable_and_enable(program: Any) -> None:
    """enabled=False stops recording, by whichever name; a later configure starts it again."""
    program.run(
        """
        import pumpkit
        from pumpkit import record
        pumpkit.configure(enabled=False)
        record({"n": 1})
        pumpkit.get_reporter().record({"n": 2})
        pumpkit.configure()
        record({"n": 3})
        pumpkit.get_reporter().record({"n": 4})
        """
    )
    assert [record["n"] for record in program.records()] == [3, 4]


def test_a_refused_configure_changes_nothing(program: Any) -> None:
    """A wrong argument raises, and the reporter goes on as it was."""
    program.run(
        """
        import pumpkit
        pumpkit.configure(source="a")
        try:
            pumpkit.configure(flush_interval=-1)
        except ValueError as error:
            assert "flush_interval=-1" in str(error)
        else:
            raise SystemExit("not refused")
        pumpkit.record({"n": 1})
        """
    )
    assert [record["n"] for record in program.records()] == [1]


@pytest.mark.parametrize("url", ["nosuch://host/0", "sqlite:///", "sqlite:///~/buffer.db"])
def test_a_buffer_that_cannot_work_is_told_once_and_costs_nothing_else(program: Any, url: str) -> None:
    """The program runs on and ends normally; one log line, and one on stderr, name the URL's trouble."""
    program.environment["PUMPKIT_BUFFER"] = url
    _, err = program.run(
        """
        import time, pumpkit
        for number in range(20):
            pumpkit.record({"n": number})
            time.sleep(0.02)
        """
    )
    lines = [line for line in err.splitlines() if "cannot work as configured" in line]
    assert len(lines) == len(err.splitlines()) == 2
    assert lines[1].startswith("pumpkit: 20 records could not be sent")
