"""A configuration of iam-pump, in terms of pumpkit."""

from typing import Any

from pumpkit.config import scalars
from pumpkit.config.legacy import health, pumps, server
from pumpkit.config.legacy.translation import OldKey, Translation, count, mapping, one_of, text, texts

PROGRAM = "iam-pump"

#: The list that iam-authz-server fills; no setting changes it.
LIST = "analytics-iam-system-analytics"

KEYS = [
    OldKey("purge-delay", "`purge-delay`; 10 s without it", count),
    OldKey("health-check-path", "`health-check-path`", text),
    OldKey("health-check-address", "`health-check-address`; 0.0.0.0:7070 without it", text),
    OldKey("omit-detailed-recording", "`omit-detailed-recording`", scalars.boolean),
    OldKey("redis", "an entry of `inputs`, and `buffer` on the same server", mapping),
    OldKey("pumps", "`pumps`, names in lower case; a CSV pump without it", mapping),
    OldKey("log", "`log`", mapping),
]

PUMP_KEYS = pumps.KEYS

FILTERS = [
    OldKey("usernames", "`filters.include.username`", pumps.ids),
    OldKey("skip_usernames", "`filters.exclude.username`", pumps.ids),
]

_STDERR = "is not honoured: messages go to stderr, where a service manager keeps them; it may go"
_STYLE = "is not honoured: messages have one style; it may go"

LOG_KEYS = [
    OldKey(
        "level",
        "`log.level`: warn is warning; dpanic, panic and fatal are error",
        one_of("debug", "info", "warn", "error", "dpanic", "panic", "fatal"),
    ),
    OldKey("format", "`log.format`: console is text", one_of("console", "json")),
    OldKey("output-paths", "not honoured but for stdout and stderr", texts, (["stdout"], ["stderr"]), _STDERR),
    OldKey("error-output-paths", "not honoured but for stdout and stderr", texts, (["stdout"], ["stderr"]), _STDERR),
    OldKey("name", "not honoured", text, note=_STYLE),
    OldKey("development", "not honoured", scalars.boolean, (False,), _STYLE),
    OldKey("enable-color", "not honoured", scalars.boolean, (False,), _STYLE),
    OldKey("disable-caller", "nothing: no place in the code is shown", scalars.boolean, (True, False)),
    OldKey("disable-stacktrace", "nothing: errors are one line", scalars.boolean, (True, False)),
]

_LEVELS = {"warn": "warning", "dpanic": "error", "panic": "error", "fatal": "error"}


def translate(values: dict[str, Any], translation: Translation) -> None:
    """Put everything that a file of iam-pump says."""
    items = translation.read(values, "", KEYS)
    health.put_delay(translation, items.get("purge_delay"), default=10)
    health.put_path(translation, items.get("health_check_path"), "healthz")
    put = translation.put
    if address := items.get("health_check_address"):
        put(("health-check-address",), health.with_host(address.kept), address.path)
    else:
        put(("health-check-address",), "0.0.0.0:7070", "")
    if omit := items.get("omit_detailed_recording"):
        put(("omit-detailed-recording",), omit.kept, omit.path)
    redis = items.get("redis")
    server.put(translation, translation.read(redis.kept if redis else None, "redis", server.KEYS), "redis", "iam", LIST)
    if "pumps" in items:
        pumps.put(translation, items["pumps"], PUMP_KEYS, FILTERS)
    else:
        put(("pumps", "csv"), {"type": "csv", "meta": {"csv_dir": "./analytics-data"}}, "pumps")
        translation.note("pumps", "is missing, so there is one pump as in the original: csv, into ./analytics-data")
    _put_log(translation, items["log"].kept if "log" in items else None, "log")


def _put_log(translation: Translation, values: Any, path: str) -> None:
    items = translation.read(values, path, LOG_KEYS)
    if level := items.get("level"):
        translation.put(("log", "level"), _LEVELS.get(level.value, level.value), level.path)
    if form := items.get("format"):
        translation.put(("log", "format"), "json" if form.value == "json" else "text", form.path)


def variables() -> set[str]:
    """Return the names of the environment variables that iam-pump reads over its file."""
    blocks = {"": KEYS, "REDIS_": server.KEYS, "LOG_": LOG_KEYS}
    return {f"IAM_PUMP_{block}{key.plain.upper()}" for block, table in blocks.items() for key in table}
