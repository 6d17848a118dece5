"""Options and rules shared by all tests."""

import os
import signal

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add options."""
    parser.addoption("--full", action="store_true", help="run the slow tests too: every kill point, whole matrices")
    parser.addoption(
        "--write-ways", action="store_true", help="write what tests/ways measures into its page of the docs"
    )
    parser.addoption("--mongo-url", help="test against this MongoDB, which holds nothing of yours")
    parser.addoption("--es-url", help="test against this Elasticsearch, which holds nothing of yours")


def pytest_configure() -> None:
    """Take an ignored SIGINT back: a shell starts background jobs so, and programs under test would inherit it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave slow tests out without `--full`."""
    if config.getoption("--full"):
        return
    skip = pytest.mark.skip(reason="slow: runs with --full (make test-full)")
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(skip)


def missing(what: str, how: str) -> None:
    """Skip because something is not installed here, saying how to get it; in CI that is a failure."""
    message = f"{what} is missing; {how}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message, allow_module_level=True)


pytest_plugins = ["tests.programs", "tests.servers.fixtures"]
