"""What a configuration means, shown as one that means the same."""

import json
import os
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pumpkit.config import Config, ConfigInvalid
from pumpkit.config.interpolate import fill
from pumpkit.config.load import load, read
from pumpkit.config.masking import Masks
from pumpkit.config.show import show

EVERY_KEY = """
buffer: {url: "sqlite:///p.db", max-bytes: 2GiB}
purge_delay: 1s
health-check-address: null
health-check-path: /health/all
omit-detailed-recording: true
detail-fields: [request]
shutdown-grace: 1m
slot: one
log: {level: debug, format: json}
pumps:
  audit.v2_x-1:
    type: csv
    enabled: "true"
    required: false
    sources: ["${SHOWN_SOURCE}", x]
    filters: {usernames: colin, exclude: {effect: [deny, 1, null, "${SHOWN_SOURCE}", "$${x}"]}}
    detail_fields: [policies, deciders]
    max-detail-bytes: 4KiB
    decode-base64: [request]
    ignore-fields: [secret]
    fields: [username, effect]
    rename-fields: {username: user}
    add-fields: {site: berlin, nested: {n: [1, {a: null}]}, "no: plain key": "- 'x' # \\u2028 \\x7f é 😀"}
    timeout: "${SHOWN_TIME}"
    batch-records: "10"
    batch-bytes: 1MiB
    max-attempts: 2
    reject-limit: 3
    start: newest
    meta: {csv-dir: x, nested: {a: [1]}, pi: 3.5e300, word: "true"}
  other: {type: csv}
"""


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that files in these tests name."""
    monkeypatch.setenv("SHOWN_SOURCE", "authz")
    monkeypatch.setenv("SHOWN_TIME", "500ms")
    monkeypatch.setenv("SHOWN_PASSWORD", "p@ss")


def meaning(config: Config) -> Config:
    """Return a configuration without where it is from."""
    return attrs.evolve(config, file=Path(), lines={}, notes=[])


def again(file: Path, **how: Any) -> Config:
    """Return what a file means once it has been shown, and what is shown has been loaded."""
    other = file.with_name("shown.yaml")
    other.write_text(show(read(file), **how), encoding="utf-8")
    return load(other)


@pytest.mark.parametrize("effective", [False, True])
def test_what_is_shown_means_the_same(config_of, tmp_path, effective):
    """With every key of a file, and with every default."""
    config = config_of(EVERY_KEY)
    assert meaning(again(tmp_path / "pumpkit.yaml", effective=effective)) == meaning(config)


def test_the_least_file(config_of, tmp_path):
    """Without defaults there is little to show; with them, every key there is."""
    config_of("pumps: {csv: {}}")
    loaded = read(tmp_path / "pumpkit.yaml")
    assert show(loaded) == (
        f"# What {tmp_path}/pumpkit.yaml means, without what has its default.\n"
        f"# Relative paths start at the folder of this file: keep it in {tmp_path}\n"
        "\npumps:\n  csv:\n    type: csv\n"
    )
    text = show(loaded, effective=True)
    for cls, indent in ((Config, ""), (type(loaded.config.pumps["csv"]), "    ")):
        for field in attrs.fields(cls):
            if field.metadata.get("about"):
                assert f"\n{indent}{field.name.replace('_', '-')}:" in text


def test_references_stay(config_of, tmp_path):
    """Variables and files are named, not shown."""
    config_of(EVERY_KEY)
    text = show(read(tmp_path / "pumpkit.yaml"))
    assert 'sources: ["${SHOWN_SOURCE}", x]' in text
    assert 'timeout: "${SHOWN_TIME}"' in text
    assert '"$${x}"' in text
    assert "authz" not in text
    assert "500ms" not in text


SECRETS = """
buffer: redis://:hunter2@h/1?name=x&sentinel_password=hunter2
pumps:
  a:
    type: csv
    meta:
      mongo-url: mongodb://u:hunter3@h1:1,h2:2/db?authSource=admin
      token_file: /run/secrets/token
      password: hunter4
      headers: {Authorization: [hunter5]}
      hidden: hunter6
      connection_string: me:hunter6x@tcp(h)/db
      connection: host=x password=hunter7 dbname=y
      url: https://me:${SHOWN_PASSWORD}@h/
      other-url: ${SHOWN_URL:-https://me:hunter8@h/}
      split: redis://u:hunter9/with@slash@h/
      timeout: 5
      empty-password: ""
      passphrase: ${SHOWN_PASSWORD}
"""


def test_secrets_are_variables(config_of, tmp_path, monkeypatch):
    """None is shown; each is a variable of its own, listed above, and with these set the text means the same."""
    config = config_of(SECRETS.replace("&sentinel_password=hunter2", ""))
    masks = Masks({"a": {"hidden"}})
    text = show(read(tmp_path / "pumpkit.yaml"), masks=masks)
    assert "hunter" not in text
    assert "slash" not in text
    assert {
        'url: "redis://:${PUMPKIT_BUFFER_PASSWORD}@h/1?name=x"',
        'mongo-url: "mongodb://u:${PUMPKIT_A_MONGO_URL_PASSWORD}@h1:1,h2:2/db?authSource=admin"',
        "token_file: /run/secrets/token",
        'url: "https://me:${SHOWN_PASSWORD}@h/"',
        'passphrase: "${SHOWN_PASSWORD}"',
        "timeout: 5",
        'empty-password: ""',
    } <= {line.strip() for line in text.splitlines()}
    assert "#   PUMPKIT_BUFFER_PASSWORD: buffer.url, percent-encoded as in a URL" in text
    for name, secret in masks.secrets.items():
        assert f"#   {name}: " in text
        monkeypatch.setenv(name, fill(secret, tmp_path, os.environ)[0])
    (tmp_path / "shown.yaml").write_text(text)
    assert meaning(load(tmp_path / "shown.yaml")) == meaning(config)


def test_secrets_can_be_shown(config_of, tmp_path):
    """Without masks the text has them."""
    config = config_of(SECRETS.replace("&sentinel_password=hunter2", ""))
    assert meaning(again(tmp_path / "pumpkit.yaml")) == meaning(config)
    assert "hunter4" in show(read(tmp_path / "pumpkit.yaml"))


NAMES = st.text("abc", min_size=1, max_size=3)
TEXT = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["true", "null", "1", "0x1", "1e3", "~", "- a", "a: b", "#x", "${SHOWN_SOURCE}", "$${x", "...", "---"]
    ),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXT,
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8
)
SECONDS = st.floats(0, 1e6) | st.integers(0, 99) | st.sampled_from(["5m", "200ms", "1.25s", "${SHOWN_TIME}"])
SIZES = st.integers(1 << 20, 1 << 29) | st.sampled_from(["4MiB", "3MB"])
PUMP = {
    "type": NAMES,
    "enabled": st.just(True),
    "required": st.booleans() | st.just("false"),
    "sources": st.lists(TEXT, max_size=2),
    "filters": st.fixed_dictionaries(
        {},
        optional={
            "usernames": TEXT | st.lists(SCALARS, min_size=1, max_size=2),
            "exclude": st.dictionaries(TEXT, st.lists(SCALARS, max_size=2), max_size=2),
        },
    ),
    "omit_detailed_recording": st.booleans(),
    "detail_fields": st.lists(TEXT, max_size=2) | st.just(["policies", "deciders"]),
    "max-detail-bytes": SIZES,
    "ignore-fields": st.lists(NAMES, max_size=2),
    "fields": st.none() | st.lists(NAMES, min_size=1, max_size=3),
    "rename-fields": st.dictionaries(NAMES, NAMES, max_size=1),
    "add-fields": st.dictionaries(TEXT, VALUES, max_size=2),
    "timeout": SECONDS | st.none(),
    "batch-records": st.integers(1, 5) | st.just("7"),
    "batch-bytes": SIZES,
    "start": st.sampled_from(["oldest", "newest"]),
    "meta": st.dictionaries(TEXT, VALUES, max_size=3),
}
TOP = {
    "buffer": st.sampled_from(
        ["sqlite:///x.db", "redis://:pw@h/1?name=x", {"url": "redis://h", "shards": 2}, {"max-bytes": "1GiB"}, {}]
    ),
    "purge-delay": SECONDS,
    "health-check-address": st.none() | st.just("127.0.0.1:0"),
    "health_check_path": NAMES,
    "omit-detailed-recording": st.booleans(),
    "detail-fields": st.lists(TEXT, max_size=2),
    "shutdown-grace": SECONDS | st.none(),
    "slot": st.none() | NAMES,
    "log": st.fixed_dictionaries({}, optional={"level": st.sampled_from(["debug", "error"])}),
}


@given(
    st.fixed_dictionaries(
        {"pumps": st.dictionaries(NAMES, st.fixed_dictionaries({}, optional=PUMP), min_size=1, max_size=2)},
        optional=TOP,
    ),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_configuration_means_the_same_when_it_is_shown(tmp_path_factory, document, effective, masked):
    """With defaults or without, with secrets or with variables that hold them."""
    file = tmp_path_factory.getbasetemp() / "any" / "pumpkit.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(document))
    try:
        config = load(file)
    except ConfigInvalid:
        assume(False)
    masks = Masks() if masked else None
    with pytest.MonkeyPatch.context() as patch:
        text = show(read(file), effective=effective, masks=masks)
        for name, secret in (masks.secrets if masks else {}).items():
            filled = fill(secret, file.parent, os.environ)[0]
            assume("\0" not in filled)
            patch.setenv(name, filled)
        shown = file.with_name("shown.yaml")
        shown.write_text(text, encoding="utf-8")
        assert meaning(load(shown)) == meaning(config)
        assert all(char.isprintable() or char == "\n" for char in text)
