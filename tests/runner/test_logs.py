"""The runner's log lines."""

import json
import logging

import pytest

from pumpkit.config import LogConfig
from pumpkit.runner.logs import set_up_logging


@pytest.fixture(autouse=True)
def _put_back():
    logger = logging.getLogger("pumpkit")
    before = (logger.handlers, logger.level, logger.propagate)
    yield
    logger.handlers, logger.level, logger.propagate = before


def test_a_message_is_one_line_whatever_is_in_it(capsys):
    """Line breaks and control characters of a plugin's output cannot forge a line or paint the terminal."""
    set_up_logging(LogConfig())
    logging.getLogger("pumpkit.worker").info("%s", "a\nINFO fake\x1b[31mred é", extra={"pump": "audit"})
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(r"INFO    pump=audit a\nINFO fake\x1b[31mred é")


def test_json_lines(capsys):
    """`format: json` writes one object per message."""
    set_up_logging(LogConfig(format="json"))
    logging.getLogger("pumpkit.runner").warning("two\nlines", extra={"pump": "audit"})
    document = json.loads(capsys.readouterr().err)
    assert (document["level"], document["pump"], document["message"]) == ("WARNING", "audit", "two\nlines")


def test_the_level_is_obeyed(capsys):
    """`level: error` hides warnings."""
    set_up_logging(LogConfig(level="error"))
    logging.getLogger("pumpkit.runner").warning("hidden")
    logging.getLogger("pumpkit.runner").error("shown")
    assert "hidden" not in (text := capsys.readouterr().err)
    assert "shown" in text
