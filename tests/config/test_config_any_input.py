"""Whatever comes in, what comes out is a configuration or problems, never another error."""

import json
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pumpkit.config import ByteSize, Config, ConfigInvalid, Meta, Problem, PumpConfig, Seconds, Secret, Where
from pumpkit.config.describe import describe
from pumpkit.config.load import load
from pumpkit.config.snapshot import restore, snapshot

KEYS = sorted({part for setting in describe(Config) for part in setting.key.split(".")})

#: Pieces that YAML, the file's keys and references are made of, so that the text often means something.
PIECES = st.sampled_from(
    [*KEYS, ": ", ":", "\n", "\n  ", "\n    ", "- ", "[", "]", "{", "}", ", ", "'", '"', "#", "|", ">", "&a ", "*a",
     "!x ", "? ", "---\n", "...\n", "%YAML 1.2\n", "\t", "true", "null", "1", "1.5", "csv", "sqlite:///", "${", "}",
     "${HOME}", "$${", ":-", "file:", "\\", "\ufeff", "\x00", "é", "10s", "4MiB", "<<"]
)  # fmt: skip
TEXT = st.one_of(st.lists(PIECES, max_size=30).map("".join), st.text(max_size=200)).map(
    lambda text: text.encode("utf-8", "surrogatepass")
)

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
    st.sampled_from(["", "1", "true", "10s", "4MiB", "csv", "sqlite:///x", "${HOME}", "${", "a:1"]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


class Mode(Enum):
    FAST = "fast"
    ONE = 1


@attrs.define
class Inner:
    name: str
    count: int = attrs.field(default=1, validator=attrs.validators.ge(0))


TYPES = [
    bool, int, float, str, bytes, Path, Secret, Seconds, ByteSize, Literal["a", 1], Mode, int | None, str | list[str],
    list[int], list, dict[str, int], dict, Inner, list[Inner], dict[str, Inner], Inner | None, Any, PumpConfig, Config,
]  # fmt: skip


def check(file: Path) -> None:
    """Load a file; what comes out is whole."""
    try:
        config = load(file)
    except ConfigInvalid as error:
        check_problems(error.problems)
        return
    assert config.enabled_pumps
    for name, pump in config.pumps.items():
        assert restore(json.loads(json.dumps(snapshot(config, name))))[0] == pump


def check_problems(problems: list[Problem]) -> None:
    """Look at problems as they are printed."""
    assert problems
    for problem in problems:
        assert problem.text
        assert str(problem).isprintable()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file to write to."""
    return tmp_path_factory.mktemp("config") / "pumpkit.yaml"


@given(st.binary(max_size=200) | TEXT)
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_configuration_or_problems(file, data):
    """Random bytes, random text, and text made of what configurations are made of."""
    file.write_bytes(data)
    check(file)


@given(VALUES)
@settings(max_examples=300, deadline=None)
def test_any_json_is_a_configuration_or_problems(file, value):
    """Well-formed, so that it gets past the parser; with the file's own keys in it."""
    file.write_text(json.dumps(value))
    check(file)


NAMES = st.text("abc", min_size=1, max_size=2)
PLAUSIBLE = {
    "type": NAMES,
    "sources": st.lists(NAMES),
    "filters": st.fixed_dictionaries({}, optional={"usernames": NAMES, "exclude": st.dictionaries(NAMES, SCALARS)}),
    "fields": st.none() | st.lists(NAMES, min_size=1),
    "rename-fields": st.dictionaries(NAMES, NAMES, max_size=1),
    "add-fields": st.dictionaries(NAMES, VALUES, max_size=2),
    "timeout": st.integers(0, 99) | st.sampled_from(["5m", "200ms", 0.5]),
    "batch-records": st.integers(0, 5) | st.integers(0, 5).map(str),
    "start": st.sampled_from(["oldest", "newest", "middle"]),
    "meta": st.dictionaries(NAMES, VALUES, max_size=2),
}
PUMPS = st.fixed_dictionaries({}, optional=PLAUSIBLE) | st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3)


@given(
    st.dictionaries(st.sampled_from([key for key in KEYS if key != "pumps"]), VALUES, max_size=1),
    st.dictionaries(st.sampled_from(["audit", "b"]), PUMPS),
)
@settings(max_examples=300, deadline=None)
def test_any_values_of_known_keys_are_a_configuration_or_problems(file, top, pumps):
    """Known keys with plausible values and with any; what is a configuration arrives in a worker as it left."""
    file.write_text(json.dumps(top | {"pumps": pumps}))
    check(file)


@pytest.mark.parametrize("kind", TYPES, ids=str)
@given(VALUES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_value_fits_a_type_or_is_a_problem_at_its_key(kind: Any, value: Any):
    """Every type that a setting can have."""
    cls = attrs.make_class("Settings", {"it": attrs.field(type=kind)})
    try:
        Meta({"it": value}, Where("f.yaml", {"meta.it": 3}), "meta").into(cls)
    except ConfigInvalid as error:
        problems = error.problems
        check_problems(problems)
        assert {(problem.path[:7], problem.line) for problem in problems} == {("meta.it", 3)}
