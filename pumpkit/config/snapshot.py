"""Settings of pumps and inputs on their way to their processes: as JSON, secrets included, and nowhere but a pipe."""

import json
from pathlib import Path
from typing import Any

import attrs

from pumpkit.config.inputs import InputConfig
from pumpkit.config.interpolate import Filled
from pumpkit.config.meta import Meta
from pumpkit.config.model import Config, Filters, PumpConfig
from pumpkit.config.problems import Where, join


def snapshot(config: Config, pump: str) -> dict[str, Any]:
    """Return what `restore` needs to know of one pump, made of what JSON has.

    `pump` are its settings, `base` the folder that relative paths start from, `file` and `lines` say where each key
    stands, and `filled` maps key paths below `meta` to the text that was filled in there, for messages.
    """
    settings = config.pumps[pump]
    path = join("pumps", pump)
    return {
        "pump": attrs.asdict(settings),
        "base": str(config.folder),
        "file": str(config.file),
        "lines": {at: line for at, line in config.lines.items() if at == path or at.startswith(path + ".")},
        "filled": _sources(settings.meta, ""),
    }


def input_snapshot(config: Config, name: str) -> dict[str, Any]:
    """Return what `restore_input` needs to know of one input, made of what JSON has."""
    return attrs.asdict(config.inputs[name])


def restore_input(document: dict[str, Any]) -> InputConfig:
    """Return an input's settings from a snapshot, which is trusted."""
    return InputConfig(**document)


def same_settings(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether two snapshots mean the same pump, so that it need not restart: its lines may have moved."""
    return _compared(one) == _compared(other)


def _compared(snapshot: dict[str, Any]) -> str:
    # As text: in Python 1, 1.0 and True are equal, and the order of added fields is the order of columns.
    return json.dumps([snapshot["pump"], snapshot["base"]])


def restore(document: dict[str, Any]) -> tuple[PumpConfig, Meta]:
    """Return a pump's settings and its `meta` from a snapshot, which is trusted."""
    settings = dict(document["pump"])
    meta = _refilled(settings["meta"], document["filled"], "")
    pump = PumpConfig(**settings | {"filters": Filters(**settings["filters"]), "meta": meta})
    where = Where(document["file"], document["lines"])
    return pump, Meta(meta, where, join(join("pumps", pump.name), "meta"), Path(document["base"]))


def _sources(value: Any, path: str) -> dict[str, str]:
    if isinstance(value, Filled):
        return {path: value.source}
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {at: source for key, child in children for at, source in _sources(child, join(path, key)).items()}


def _refilled(value: Any, sources: dict[str, str], path: str) -> Any:
    if isinstance(value, dict):
        return {key: _refilled(child, sources, join(path, key)) for key, child in value.items()}
    if isinstance(value, list):
        return [_refilled(child, sources, join(path, index)) for index, child in enumerate(value)]
    return Filled(value, sources[path]) if isinstance(value, str) and path in sources else value
