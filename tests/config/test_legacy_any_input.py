"""Whatever a file of an original holds: a configuration or problems, all of it told, and nothing of it secret."""

import json
import os
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pumpkit.buffers.redis.url import parse
from pumpkit.config import Config, ConfigInvalid, scalars
from pumpkit.config.interpolate import fill
from pumpkit.config.legacy import iam, pumps, server, tyk
from pumpkit.config.legacy.translation import OldKey, count, mapping, port, text, texts
from pumpkit.config.load import load, read
from pumpkit.config.masking import Masks
from pumpkit.config.show import show

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 70_000), st.floats(allow_nan=False), st.text(max_size=5),
    st.sampled_from(["", "true", "10", "h:1", "a,b", "csv", "${LEGACY_SECRET}", "x${LEGACY_SECRET}", "redis", "info"]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)


TEXT = st.text(max_size=5) | st.sampled_from(["", "h", "::1", "x${LEGACY_SECRET}", "${LEGACY_SECRET}"])
PLAUSIBLE: dict[Any, Any] = {
    scalars.boolean: st.booleans() | st.just("true"),
    count: st.integers(0, 5000) | st.just("10"),
    port: st.integers(0, 65_535) | st.just("6379"),
    text: TEXT,
    texts: st.lists(TEXT, max_size=2) | st.sampled_from(["h:1", "a,b"]),
    pumps.ids: st.lists(TEXT, max_size=2),
    pumps.codes: st.lists(st.integers(-1, 599), max_size=2),
    mapping: st.dictionaries(st.text(max_size=3), VALUES, max_size=2),
}
WORDS = st.sampled_from(["redis", "info", "warn", "debug", "json", "text", "console"])


def values(key: OldKey) -> Any:
    """Return a strategy for values of a key: mostly such as it takes."""
    fitting = PLAUSIBLE.get(key.read, WORDS)
    return st.integers(0, 19).flatmap(lambda die: fitting if die else VALUES)


def block(table: list[OldKey], **more: Any) -> Any:
    """Return a strategy for mappings of some of these keys and, seldom, of another; `more` are blocks within."""
    made = {key.name: more[key.plain] if key.plain in more else values(key) for key in table}
    known = st.fixed_dictionaries({name: made.pop(name) for name in ("pumps",) if name in made}, optional=made)
    others = st.integers(0, 9).flatmap(
        lambda die: st.just({}) if die else st.dictionaries(st.text(max_size=4), VALUES, max_size=1)
    )
    return st.tuples(others, known).map(lambda parts: parts[0] | parts[1])


def of_pumps(table: list[OldKey], filters: list[OldKey]) -> Any:
    """Return a strategy for pumps."""
    kinds = st.sampled_from(["csv", "mongo", "Elasticsearch", "t-file"])
    pump = block([key for key in table if key.name != "type"], filters=block(filters))
    named = st.tuples(pump, kinds).map(lambda parts: parts[0] | {"type": parts[1]})
    return st.dictionaries(st.sampled_from(["csv", "Es", "b.c", "a1"]), named, min_size=1, max_size=2)


IAM = block(
    iam.KEYS,
    redis=block(server.KEYS),
    log=block(iam.LOG_KEYS),
    pumps=of_pumps(iam.PUMP_KEYS, iam.FILTERS),
    health_check_address=st.sampled_from(["127.0.0.1:0", ":80", 7]),
    health_check_path=st.sampled_from(["healthz", "readyz", "/a/b"]),
).map(lambda document: {"redis": None} | document)
TYK = block(
    tyk.KEYS,
    analytics_storage_config=block(tyk.STORAGE_KEYS),
    pumps=of_pumps(tyk.PUMP_KEYS, tyk.FILTERS),
    health_check_endpoint_name=st.sampled_from(["health", "readyz"]),
    kv=st.just({}),
).map(lambda document: {"analytics_storage_config": None} | document)

SECRET = "p@ss/wörd:%"


@pytest.fixture(scope="module", autouse=True)
def secret() -> Any:
    """A secret in the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEGACY_SECRET", SECRET)
        yield


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file to write to."""
    return tmp_path_factory.mktemp("legacy") / "any.conf"


def meaning(config: Config) -> Config:
    """Return a configuration without where it is from."""
    return attrs.evolve(config, file=Path(), lines={}, notes=[])


@given(st.one_of(IAM, TYK))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_values_are_a_configuration_or_problems(file, document):
    """What is a configuration can be shown, and what is shown means the same."""
    file.write_text(json.dumps(document))
    try:
        config = load(file)
    except ConfigInvalid as error:
        refused = error
    else:
        check(file, config)
        return
    assert refused.problems
    assert all(problem.text and str(problem).isprintable() for problem in refused.problems)
    assert SECRET not in str(refused)


def check(file: Path, config: Config) -> None:
    """Check that what a configuration says and shows has no secret, and that what it shows means the same."""
    assert SECRET not in "\n".join(map(str, config.notes))
    assert config.buffer.url is not None
    assert {parse(config.buffer.url).hosts} == {parse(one.url).hosts for one in config.inputs.values()}
    masks = Masks()
    shown = show(read(file), masks=masks)
    with pytest.MonkeyPatch.context() as patch:
        for name, hidden in masks.secrets.items():
            filled = fill(hidden, file.parent, os.environ)[0]
            assume("\0" not in filled)
            patch.setenv(name, filled)
        other = file.with_name("shown.yaml")
        other.write_text(shown, encoding="utf-8")
        assert meaning(load(other)) == meaning(config)


@given(st.text(max_size=20).filter(lambda password: password and "\0" not in password and "${" not in password))
@settings(max_examples=200, deadline=None)
def test_any_password_gets_over(file, password):
    """Whatever is in it, and it is not shown."""
    assume(not any(0xD800 <= ord(char) <= 0xDFFF for char in password))
    document = {"redis": {"host": "redis.example", "password": password}, "pumps": {"elasticsearch": {}}}
    file.write_text(json.dumps(document))
    config = load(file)
    for url in (config.buffer.url, config.inputs["iam"].url):
        assert url is not None
        place = parse(url)
        assert (place.login.password, place.hosts) == (password, (("redis.example", 6379),))
    shown = show(read(file), masks=Masks())
    assert "://:${PUMPKIT_BUFFER_PASSWORD}@redis.example" in shown


TABLES = {
    "iam": iam.KEYS, "iam.redis": server.KEYS, "iam.pumps": iam.PUMP_KEYS, "iam.filters": iam.FILTERS,
    "iam.log": iam.LOG_KEYS, "tyk": tyk.KEYS, "tyk.storage": tyk.STORAGE_KEYS, "tyk.pumps": tyk.PUMP_KEYS,
    "tyk.filters": tyk.FILTERS,
}  # fmt: skip


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_what_is_not_honoured_has_a_note(table):
    """Every key says what becomes of it; one that is not honoured says so where it is set, too."""
    assert len({key.plain for key in table}) == len(table)
    for key in table:
        assert key.becomes
        silent = not key.note and not key.refusal
        # The first is judged by what is in it; of the second, the key beside it speaks.
        if key.becomes.startswith(("not ", "refused", "uptime")) and key.name not in ("iam_auth", "uptime_pump_config"):
            assert not silent, key.name
