"""Which original a file belongs to, and which of its environment variables are set for nothing."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pumpkit.config.interpolate import Filled
from pumpkit.config.legacy import iam

Dialect = Literal["iam", "tyk"]

#: What the names of variables begin with that Tyk Pump reads over its file.
_TYK = ("TYK_PMP_", "PMP_MONGO", "TYK_LOGLEVEL", "TYK_LOGFORMAT", "TYK_INSTRUMENTATION")


def dialect(values: Any) -> Dialect | None:
    """Return whose file has these values at its top; None for one of pumpkit, which has a `buffer` or no such key."""
    if not isinstance(values, dict) or "buffer" in values or "inputs" in values:
        return None
    keys = {key.lower().replace("-", "_") for key in values if isinstance(key, str)}
    if keys & {"analytics_storage_config", "analytics_storage_type"}:
        return "tyk"
    return "iam" if "redis" in keys else None


def unread_variables(environ: Mapping[str, str], values: Any, dialect: Dialect | None) -> list[str]:
    """Return the variables that are set, are read by an original and are not here; those that the file names are."""
    overrides = iam.variables() if dialect == "iam" else set()
    named = "\n".join(_sources(values))
    return [
        name
        for name in sorted(environ)
        if (name in overrides or name.startswith(_TYK)) and f"${{{name}}}" not in named and f"${{{name}:" not in named
    ]


def _sources(value: Any) -> Iterable[str]:
    if isinstance(value, Filled):
        yield value.source
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        yield from _sources(child)
