"""The pumps of an original: their names, types and filters."""

from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any

from pumpkit.config import scalars
from pumpkit.config.legacy.translation import Item, OldKey, Translation, count, mapping, text, texts
from pumpkit.config.problems import join

#: The types that packages of pumpkit bring; the runner says which package, where it is not installed.
OURS = ("csv", "mongo", "elasticsearch")

#: The types of iam-pump and Tyk Pump that no package of pumpkit brings.
OTHERS = [
    "dogstatsd", "dummy", "graylog", "hybrid", "influx", "influx2", "kafka", "kinesis", "logzio", "moesif",
    "mongo-graph", "mongo-mcp", "mongo-mcp-aggregate", "mongo-pump-aggregate", "mongo-pump-selective", "prometheus",
    "resurfaceio", "segment", "splunk", "sql", "sql-graph", "sql-graph-aggregate", "sql-mcp", "sql-mcp-aggregate",
    "sql_aggregate", "sqs", "statsd", "stdout", "syslog", "timestream",
]  # fmt: skip

#: The keys of a pump that both originals have, with the spelling of Tyk Pump.
KEYS = [
    OldKey("type", "`type`, in lower case; default: the pump's name", text),
    OldKey("filters", "`filters`", mapping),
    OldKey("timeout", "`timeout`, where 0 is no limit; without it, the plugin's default or 10 s", count),
    OldKey("omit_detailed_recording", "`omit-detailed-recording`", scalars.boolean),
    OldKey("meta", "`meta`, as it is", mapping),
]

_CSV = (
    "columns and files of CSV have other names than those of the original: a column is named after its field"
    " (username, api_id), and files are named after the pump and the hour"
)


def put(
    translation: Translation, pumps: Item | None, table: Sequence[OldKey], filters: Sequence[OldKey]
) -> dict[str, dict[str, Item]]:
    """Put every pump with the keys that both originals have; return the items of each, by its name here."""
    found: dict[str, dict[str, Item]] = {}
    spelled: dict[str, str] = {}
    for name, raw in translation.mapping(pumps.kept if pumps else None, pumps.path if pumps else "pumps").items():
        at, ours = join(pumps.path if pumps else "pumps", name), name.lower()
        if ours in found:
            translation.refuse(at, f"is the same pump as {spelled[ours]}, for names are in lower case; rename one")
            continue
        spelled[ours] = name
        found[ours] = items = translation.read(raw, at, table)
        translation.put(("pumps", ours), {}, at)
        translation.put(("pumps", ours, "type"), *_type(translation, ours, items, at))
        for key in ("timeout", "omit_detailed_recording"):
            if key in items:
                translation.put(("pumps", ours, key.replace("_", "-")), items[key].kept, items[key].path)
        if "filters" in items:
            _put_filters(translation, ours, translation.read(items["filters"].kept, items["filters"].path, filters))
        if "meta" in items:
            _put_meta(translation, ours, items["meta"])
    return found


def _type(translation: Translation, name: str, items: Mapping[str, Item], at: str) -> tuple[str, str]:
    """Return the type of a pump, and where it stands. Refuse one that nothing installed brings."""
    item = items.get("type")
    kind, place = (item.value.lower(), item.path) if item else (name, at)
    if kind in OTHERS and not entry_points(group="pumpkit", name=kind):
        translation.refuse(
            place,
            f"no plugin {kind!r} is installed, and no package of pumpkit brings this type of pump (there are"
            f" {', '.join(OURS)}): take the pump out of this file, or install a plugin of that name",
        )
    if kind == "csv":
        translation.note(at, _CSV)
    return kind, place


def _put_filters(translation: Translation, pump: str, items: Mapping[str, Item]) -> None:
    for key, item in items.items():
        translation.put(("pumps", pump, "filters", key), item.value, item.path)


def _put_meta(translation: Translation, pump: str, meta: Item) -> None:
    values = dict(meta.kept)
    if "meta_env_prefix" in values:
        del values["meta_env_prefix"]
        translation.note(join(meta.path, "meta_env_prefix"), "is ignored: no variables are read; it may go")
    translation.put(("pumps", pump, "meta"), values, meta.path)


def ids(value: Any) -> list[str]:
    """Values of a filter that are text."""
    return texts(value)


def codes(value: Any) -> list[int]:
    """Values of a filter that are whole numbers."""
    found = value.split(",") if isinstance(value, str) else value
    return scalars.sequence(found, scalars.whole)
