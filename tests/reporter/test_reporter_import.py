"""Importing the reporter, in programs that are laid out unusually and where Python lacks something."""

from typing import Any

_RECORD = """
    import pumpkit
    reporter = pumpkit.Reporter(flush_interval=60, exit_timeout=30)
    reporter.record({"n": 1})
"""


def _numbers(program: Any) -> list[int]:
    return [record["n"] for record in program.records()]


def test_a_folder_called_uwsgi_is_not_taken_for_the_server(program: Any) -> None:
    """A program beside a folder `uwsgi`, with the server's configuration say, reports as any other."""
    (program.folder / "uwsgi").mkdir()
    (program.folder / "uwsgi" / "uwsgi.ini").touch()
    program.run(_RECORD)
    assert _numbers(program) == [1]


def test_what_failed_in_a_lazy_import_is_told(program: Any) -> None:
    """An AttributeError while a module of ours is loaded is not shown as a missing name only."""
    _, err = program.run(
        """
        import atexit
        del atexit.register  # as if a module of the application had the name of one of Python
        from pumpkit import Reporter
        """,
        status=1,
    )
    assert "ImportError: importing pumpkit.reporter raised AttributeError: " in err


def test_the_reporter_works_where_nothing_forks(program: Any) -> None:
    """Without `os.register_at_fork`, as on Windows, records are sent as everywhere."""
    program.run(f"    import os\n    del os.register_at_fork, os.fork\n{_RECORD}")
    assert _numbers(program) == [1]
