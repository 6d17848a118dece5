"""A feed refuses what is no reporter when it is made: at each record it would be too late."""

import logging.config
import unittest.mock

import pytest
from prometheus_client import CollectorRegistry

import pumpkit
from pumpkit.contrib import asgi, wsgi
from pumpkit.contrib.checks import check_reporter
from pumpkit.contrib.logging import RecordHandler
from pumpkit.contrib.prometheus import ReporterCollector


class Later:
    """Records when somebody waits for it, which no feed does."""

    async def record(self, record: object) -> None:
        """Record."""


class Own:
    """An application's own, which hands records on, or keeps them for a test."""

    def record(self, record: object) -> None:
        """Record."""


WRONG = ["shop.reporting.AUDIT", 7, pumpkit.Reporter, Later(), object(), {"record": print}]


@pytest.mark.parametrize("reporter", WRONG, ids=["text", "number", "class", "asynchronous", "object", "dict"])
@pytest.mark.parametrize(
    "make",
    [
        check_reporter,
        lambda reporter: wsgi.RecordRequests(print, reporter=reporter),
        lambda reporter: asgi.RecordRequests(Later().record, reporter=reporter),
        RecordHandler,
        lambda reporter: ReporterCollector(reporter, registry=CollectorRegistry()),
    ],
    ids=["check", "wsgi", "asgi", "logging", "prometheus"],
)
def test_what_is_no_reporter_is_refused(make, reporter):
    """The error says what is wanted, and shows what was given."""
    with pytest.raises(TypeError, match=r"^reporter=.*: it must be a pumpkit\.Reporter"):
        make(reporter)


@pytest.mark.parametrize(
    "reporter", [None, pumpkit.Reporter(enabled=False), Own(), pumpkit], ids=["none", "reporter", "own", "module"]
)
def test_what_records_is_taken(reporter):
    """No reporter, any reporter, and what has its methods."""
    check_reporter(reporter)
    wsgi.RecordRequests(print, reporter=reporter)


def test_every_method_that_is_needed():
    """A feed that flushes too says so."""
    with pytest.raises(TypeError, match=r"it must be a pumpkit\.Reporter"):
        check_reporter(Own(), "record", "flush")
    check_reporter(unittest.mock.Mock(), "record", "flush")


def test_dict_config_without_ext():
    """A name where an object is wanted is told at the configuration, and not in every line that is logged."""
    handler = {"class": "pumpkit.contrib.logging.RecordHandler", "reporter": "shop.reporting.AUDIT"}
    with pytest.raises(ValueError, match="handler 'records'") as error:
        logging.config.dictConfig({"version": 1, "incremental": False, "handlers": {"records": handler}})
    assert "it must be a pumpkit.Reporter" in str(error.value.__cause__)


@pytest.mark.parametrize(
    "options",
    [{"max_chars": value} for value in (0, -5, 1.5, "x", True)]
    + [{"flush_timeout": value} for value in (-1, float("nan"), "x", None, True)],
    ids=repr,
)
def test_bounds_of_log_lines(options):
    """A bound that bounds nothing is refused when the handler is made."""
    with pytest.raises(ValueError, match=f"^{next(iter(options))}=.*: it must be a"):
        RecordHandler(**options)


def test_the_least_bounds(captured_records):
    """One character, and no waiting."""
    handler = RecordHandler(max_chars=1, flush_timeout=0)
    handler.handle(logging.makeLogRecord({"name": "shop", "msg": "abc"}))
    handler.flush()
    assert captured_records[0]["message"] == "\n... 2 characters left out ...\nc"
