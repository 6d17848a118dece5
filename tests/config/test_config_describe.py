"""Keys in words."""

import json
import re
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest

from pumpkit import key
from pumpkit.config import ByteSize, Config, Seconds, Secret, Setting, describe
from pumpkit.config.describe import value_text
from pumpkit.config.document import parse
from pumpkit.config.keys import keys
from pumpkit.config.model import BufferConfig, Filters, LogConfig, PumpConfig


class Mode(Enum):
    FAST = "fast"
    SAFE = "safe"


@attrs.define
class Inner:
    name: str = key(about="What it is called.")


@attrs.define
class Sink:
    url: str
    password: Secret | None = key(None, about="For the driver.")
    token: Secret = key(Secret("hunter2"), about="")
    every: Seconds = key(Seconds(90), about="How often.")
    size: ByteSize | None = key(ByteSize(64 << 10), about="How large.")
    ratio: float = 0.5
    folder: Path = Path("./x")
    mode: Mode = Mode.FAST
    kind: Literal["a", 1] = "a"
    names: list[str] = attrs.field(factory=lambda: ["a", "b c", "true"])
    extra: dict[str, Any] = attrs.field(factory=dict)
    plain: dict = attrs.field(factory=dict)  # type: ignore[type-arg]
    either: str | list[int] = "x"
    inner: Inner | None = None
    outer: Inner | None = attrs.field(factory=lambda: Inner(name="x"))
    raw: bytes = b"x"
    pauses: dict[str, Seconds] = attrs.field(factory=dict)
    sizes: list[ByteSize] = attrs.field(factory=lambda: [ByteSize(1)])
    many: list[Inner] = attrs.field(factory=list)
    next: "Sink | None" = None
    made: int = attrs.field(init=False, default=1)


def test_a_plugins_settings_in_words():
    """Key path, type, default as YAML, what it is for, whether it must be there, whether it is secret."""
    assert describe(Sink) == [
        Setting("url", "text", "", "", True, False),
        Setting("password", "secret text or null", "null", "For the driver.", False, True),
        Setting("token", "secret text", "", "", False, True),
        Setting("every", "duration", "90s", "How often.", False, False),
        Setting("size", "size or null", "64KiB", "How large.", False, False),
        Setting("ratio", "number", "0.5", "", False, False),
        Setting("folder", "path", "x", "", False, False),
        Setting("mode", "fast or safe", "fast", "", False, False),
        Setting("kind", "a or 1", "a", "", False, False),
        Setting("names", "list of text", '[a, "b c", "true"]', "", False, False),
        Setting("extra", "mapping of names to anything", "{}", "", False, False),
        Setting("plain", "mapping", "{}", "", False, False),
        Setting("either", "text or list of whole number", "x", "", False, False),
        Setting("inner", "mapping or null", "null", "", False, False),
        Setting("inner.name", "text", "", "What it is called.", True, False),
        Setting("outer", "mapping or null", "", "", False, False),
        Setting("outer.name", "text", "", "What it is called.", True, False),
        Setting("raw", "text", "x", "", False, False),
        Setting("pauses", "mapping of names to duration", "{}", "", False, False),
        Setting("sizes", "list of size", "[1]", "", False, False),
        Setting("many", "list of mapping", "[]", "", False, False),
        Setting("many.N.name", "text", "", "What it is called.", True, False),
        Setting("next", "mapping or null", "null", "", False, False),
    ]


def test_settings_travel_as_json():
    """`pumpkit plugins ls` gets them from a worker."""
    settings = [attrs.asdict(setting) for setting in describe(Sink)]
    assert json.loads(json.dumps(settings)) == settings


def test_only_attrs_classes_have_settings():
    """Anything else is a fault of the caller."""
    with pytest.raises(TypeError, match="is not an attrs class"):
        describe(dict)


@pytest.mark.parametrize("cls", [Config, BufferConfig, LogConfig, PumpConfig, Filters])
def test_every_key_of_the_file_says_what_it_is_for(cls):
    """A whole sentence, for the reference."""
    for name, declared in keys(cls).items():
        assert re.fullmatch(r"(.|\n)*[.`]", declared.about), name


def test_the_reference_covers_every_key_of_the_design():
    """At the top and in a pump."""
    assert [setting.key for setting in describe(Config)] == [
        "buffer", "buffer.url", "buffer.max-bytes", "buffer.shards", "purge-delay",
        "health-check-address", "health-check-path", "omit-detailed-recording", "detail-fields", "shutdown-grace",
        "slot", "log", "log.level", "log.format",
        "inputs", "inputs.NAME.type", "inputs.NAME.dialect", "inputs.NAME.url", "inputs.NAME.key",
        "inputs.NAME.suffixes", "inputs.NAME.encoding", "inputs.NAME.decode-raw", "inputs.NAME.batch",
        "inputs.NAME.enabled", "inputs.NAME.required", "inputs.NAME.source", "pumps",
        *(f"pumps.NAME.{name}" for name in (
            "type", "enabled", "required", "sources", "filters", "filters.include", "filters.exclude",
            "omit-detailed-recording", "detail-fields", "max-detail-bytes", "decode-base64", "ignore-fields",
            "fields", "rename-fields", "add-fields", "timeout",
            "batch-records", "batch-bytes", "max-attempts", "reject-limit", "workers", "start", "meta",
        )),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "value",
    ["x", "", "a b", "a: b", "a:", "#a", "null", "true", "10", "1.5", "-", "- a", "[a", "a,b", "127.0.0.1:7070", ".nan",
     "9" * 30, "é", '"', "'", "${X}", "@a", "a#b", "a #b", "*a", "~", "2024-01-01", 5, 0.5, True, None, ["a", [1]],
     {"a": {"b c": None}}, {"true": "x"}, 1e300],
)  # fmt: skip
def test_values_are_written_so_that_they_read_back(value):
    """In block style and in a list."""
    text = value_text(value)
    assert parse(f"key: {text}\nlist: [{text}]\n".encode()).values == {"key": value, "list": [value]}
