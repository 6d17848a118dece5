"""Where records go is said, so that both sides can be compared."""

import logging

import pytest

from pumpkit import Reporter
from pumpkit.buffers.registry import shown


def test_the_buffer_is_logged_with_its_absolute_path(tmp_path, caplog, monkeypatch):
    """One line when the reporter has connected, also for a relative URL."""
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.INFO, "pumpkit.reporter"), Reporter("sqlite:///here.db") as reporter:
        reporter.record({"n": 1})
    lines = [message for message in caplog.messages if message.startswith("records go to")]
    assert lines == [f"records go to sqlite:///{tmp_path}/here.db"]


@pytest.mark.parametrize(
    ("url", "log"),
    [
        ("redis://user:pass@host:6379/0", "redis://***@host:6379/0"),
        ("rediss://:p%40ss@host/0?name=a@b", "rediss://***@host/0?name=a@b"),
        ("sqlite:////var/lib/a@b.db", "sqlite:////var/lib/a@b.db"),
        ("redis://host/0", "redis://host/0"),
    ],
)
def test_no_password_is_logged(url, log):
    """The user part of a URL is left out."""
    assert shown(url) == log
