"""pumpkit: applications report what happens; `pumpkit run` carries it to its sinks without losing or doubling a record.

Everything public is here. Names are imported when they are first used, so that an application which only reports
loads neither pluggy, attrs, cattrs nor any driver.

PYTEST_DONT_REWRITE: pytest, which loads our plugin, would else warn where this was imported before pytest was.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pumpkit.config import ByteSize, Meta, PumpConfig, Seconds, Secret, key
    from pumpkit.errors import ConfigError, PartialWrite, PumpkitError, Unavailable
    from pumpkit.hookspecs import Predicate, Record, Records, Shorten, hookimpl
    from pumpkit.records import ALLOW, DENY, AnalyticsRecord
    from pumpkit.reporter import (
        FlushResult,
        Reporter,
        ReporterStats,
        Sample,
        configure,
        flush,
        flushing,
        get_reporter,
        process_fields,
        record,
        stop_on_sigterm,
    )
    from pumpkit.reporter.capture import CapturedRecords, RejectedRecord, captured

__version__ = "0.1.0"

try:
    _began_in = os.getcwd()  # before the program goes elsewhere: a relative path in its environment starts here
except OSError:  # the folder was removed
    _began_in = ""

_HOMES = {
    "pumpkit.config": ("ByteSize", "Meta", "PumpConfig", "Seconds", "Secret", "key"),
    "pumpkit.errors": ("ConfigError", "PartialWrite", "PumpkitError", "Unavailable"),
    "pumpkit.hookspecs": ("Predicate", "Record", "Records", "Shorten", "hookimpl"),
    "pumpkit.records": ("ALLOW", "DENY", "AnalyticsRecord"),
    "pumpkit.reporter": (
        "FlushResult",
        "Reporter",
        "ReporterStats",
        "Sample",
        "configure",
        "flush",
        "flushing",
        "get_reporter",
        "process_fields",
        "record",
        "stop_on_sigterm",
    ),
    "pumpkit.reporter.capture": ("CapturedRecords", "RejectedRecord", "captured"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "ALLOW",
    "DENY",
    "AnalyticsRecord",
    "ByteSize",
    "CapturedRecords",
    "ConfigError",
    "FlushResult",
    "Meta",
    "PartialWrite",
    "Predicate",
    "PumpConfig",
    "PumpkitError",
    "Record",
    "Records",
    "RejectedRecord",
    "Reporter",
    "ReporterStats",
    "Sample",
    "Seconds",
    "Secret",
    "Shorten",
    "Unavailable",
    "__version__",
    "captured",
    "configure",
    "flush",
    "flushing",
    "get_reporter",
    "hookimpl",
    "key",
    "process_fields",
    "record",
    "stop_on_sigterm",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'pumpkit' has no attribute {name!r}")
    try:
        module = importlib.import_module(home)
    except AttributeError as error:  # `from pumpkit import ...` would take it for the lack of this name
        raise ImportError(f"importing {home} raised {type(error).__name__}: {error}") from error
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
