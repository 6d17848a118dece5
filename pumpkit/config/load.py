"""From a file to a `Config`: find it, read it, fill it in, structure it, and say everything that is wrong at once."""

import os
from pathlib import Path
from typing import Any

import attrs
from cattrs import Converter

from pumpkit.config import document, legacy, rules, scalars
from pumpkit.config.filters import read_filters
from pumpkit.config.inputs import InputConfig
from pumpkit.config.interpolate import fill
from pumpkit.config.model import BufferConfig, Config, Filters, PumpConfig
from pumpkit.config.problems import ConfigInvalid, Finding, Problem, Refused, Where, join, locate
from pumpkit.config.structure import attrs_hook, converter
from pumpkit.ids import is_pump_name

#: Where a configuration is looked for when none is named.
DEFAULT_FILE = "pumpkit.yaml"

_ADD_ONE = "add one, such as `audit: {type: csv, meta: {csv-dir: ./analytics-data}}`"


def find_file(option: str | None = None) -> Path:
    """Return the file to load: the one named, else `$PUMPKIT_CONFIG`, else `./pumpkit.yaml`."""
    return Path(option or os.environ.get("PUMPKIT_CONFIG") or DEFAULT_FILE)


@attrs.frozen
class Loaded:
    """A configuration, and the values it was made of: in our own terms, with what was filled in."""

    config: Config
    values: Any


def load(file: Path) -> Config:
    """Return the configuration in a file, with defaults and global settings folded into every pump.

    A file of one of the Go originals is translated. Raises ConfigInvalid with every problem; a file that is missing or
    not YAML is one too.
    """
    return read(file).config


def read(file: Path) -> Loaded:
    """Return the configuration in a file as `load` does, with the values it was made of."""
    parsed = _parse(file)
    folder, where = file.parent.absolute(), Where(str(file), parsed.lines)
    values, findings = fill(parsed.values, folder, os.environ)
    findings = parsed.findings + findings
    whose = legacy.dialect(values)
    meant = legacy.translate(values, parsed.lines, whose)
    findings += meant.findings
    config = Config()
    try:
        config = _structured(meant.values, folder)
    except Refused as error:
        findings += [(meant.theirs(path), text) for path, text in error.findings]
    if findings:
        raise ConfigInvalid(locate(findings, where))
    unread = legacy.unread_variables(os.environ, values, whose)
    notes = meant.notes + [("", f"{name} is set, and is not read: write its setting into the file") for name in unread]
    noted = [Problem(path, text, where.file, where.line(path)) for path, text in notes]
    pumps = {name: _folded(name, pump, meant.values["pumps"][name], config) for name, pump in config.pumps.items()}
    config = attrs.evolve(
        config,
        file=file,
        lines=meant.lines,
        notes=sorted(noted, key=lambda note: note.line or 0),
        pumps=pumps,
        inputs={name: _placed(name, one, config, folder) for name, one in config.inputs.items()},
        buffer=attrs.evolve(config.buffer, url=_whole(config.buffer, folder)),
        health_check_path=config.health_check_path.strip("/"),
    )
    return Loaded(config, meant.values)


def _parse(file: Path) -> document.Document:
    try:
        with file.open("rb") as stream:
            data = stream.read(document.MAX_SIZE + 1)
        return document.parse(data)
    except OSError as error:
        advice = "; `pumpkit config init` writes one to start from" if isinstance(error, FileNotFoundError) else ""
        raise ConfigInvalid([Problem("", f"cannot be read: {error.strerror}{advice}", str(file))]) from error
    except document.Unreadable as error:
        raise ConfigInvalid([Problem("", str(error), str(file), error.line)]) from None


def _structured(values: Any, folder: Path) -> Config:
    """Return the configuration as the file has it. Raises Refused with everything that is wrong."""
    _refuse_other_files(values)
    findings = [
        (join(kind, name), f"is no name for {what}: letters a-z, digits, `_`, `.` and `-`, at most 63, no sign first")
        for kind, what in (("pumps", "a pump"), ("inputs", "an input"))
        for name in _names(values, kind)
        if not is_pump_name(name)
    ]
    if not _names(values) and not isinstance(values.get("pumps"), list | str):
        findings.append(("pumps", f"no pump is configured; {_ADD_ONE}"))
    try:
        config: Config = _converter(folder).structure(values, Config)
    except Refused as error:
        raise Refused(*findings, *error.findings) from None
    if not findings and not config.enabled_pumps:
        findings.append(("pumps", f"no pump is enabled; set `enabled: true` in one, or {_ADD_ONE}"))
    findings += _workers_without_a_share(config)
    findings += _inputs_without_a_list(config)
    if findings:
        raise Refused(*findings)
    return config


def _inputs_without_a_list(config: Config) -> list[Finding]:
    """Refuse inputs that do not say which Redis, and two that drain one list."""
    findings: list[Finding] = []
    taken: dict[tuple[str, str], str] = {}
    for name, one in config.enabled_inputs.items():
        at = join("inputs", name)
        url = one.url or _buffer_url(config)
        if not rules.is_redis(url):
            findings.append((join(at, "url"), "is missing: the buffer is in no Redis; name the one with the list"))
            continue
        for key, _ in one.lists():
            other = taken.setdefault((url, key), name)
            if other != name:
                findings.append((join(at, "key"), f"drains {key}, as the input {other} does; keep one of them"))
                break
    return findings


def _buffer_url(config: Config) -> str:
    return config.buffer.url or os.environ.get("PUMPKIT_BUFFER") or "sqlite:"


def _workers_without_a_share(config: Config) -> list[Finding]:
    """Refuse several workers of a pump where the log is a file."""
    if not _buffer_url(config).startswith("sqlite:"):
        return []
    text = "the embedded buffer is read by one worker for each pump; use redis:// or workers: 1"
    return [(join(join("pumps", name), "workers"), text) for name, pump in config.pumps.items() if pump.workers > 1]


def _refuse_other_files(values: Any) -> None:
    """Refuse a file that is no configuration of this program at all."""
    if values is None:
        raise Refused(("", "is empty; `pumpkit config init` writes a configuration to start from"))
    if not isinstance(values, dict):
        raise Refused(("", f"must hold keys such as `pumps:`, not {scalars.show(values)}"))


def _names(values: dict[str, Any], kind: str = "pumps") -> list[str]:
    named = values.get(kind)
    return list(named) if isinstance(named, dict) else []


def _converter(folder: Path) -> Converter:
    """Return a converter that knows the classes of the file beyond their keys."""
    made = converter(folder)
    whole_buffer = attrs_hook(BufferConfig, made)
    pump = attrs_hook(PumpConfig, made, advice="the plugin's own settings go under meta")

    def buffer_hook(value: Any, _: Any) -> Any:
        if not isinstance(value, str):
            return whole_buffer(value, BufferConfig)
        try:
            return whole_buffer({"url": value}, BufferConfig)
        except Refused as error:
            raise Refused(*(("", text) for _, text in error.findings)) from None

    made.register_structure_hook(Config, attrs_hook(Config, made))
    made.register_structure_hook(PumpConfig, pump)
    made.register_structure_hook(BufferConfig, buffer_hook)
    made.register_structure_hook(Filters, lambda value, _: read_filters(value))
    return made


def _folded(name: str, pump: PumpConfig, raw: dict[str, Any], config: Config) -> PumpConfig:
    """Return a pump with its name and what the top of the file says for all of them."""
    named_its_own = "detail-fields" in raw or "detail_fields" in raw
    return attrs.evolve(
        pump,
        name=name,
        type=pump.type or name,
        omit_detailed_recording=pump.omit_detailed_recording or config.omit_detailed_recording,
        detail_fields=pump.detail_fields if named_its_own else list(config.detail_fields),
    )


def _placed(name: str, one: InputConfig, config: Config, folder: Path) -> InputConfig:
    """Return an input with its name, and the URL of its list as every process can use it."""
    url: str | None = one.url or _buffer_url(config)
    if url is not None and rules.is_redis(url):
        from pumpkit.buffers.redis import url as redis_url

        url = redis_url.anchored(url, folder)
    else:  # it is disabled
        url = None
    return attrs.evolve(one, name=name, url=url, source=one.source or name)


def _whole(buffer: BufferConfig, folder: Path) -> str | None:
    """Return a buffer's URL as every process can use it: with its shards, and relative paths from the file's folder."""
    url = buffer.url
    if url is None:
        return None
    relative = url.removeprefix("sqlite:///")
    if relative != url:
        return url if relative.startswith("/") else f"sqlite:///{folder / relative}"
    if not rules.is_redis(url):
        return url
    from pumpkit.buffers.redis import url as redis_url

    url = redis_url.anchored(url, folder)
    return redis_url.with_shards(url, buffer.shards) if buffer.shards else url
