"""A pump's settings on their way to its worker."""

import json
from pathlib import Path

import attrs
import pytest

from pumpkit.config import ConfigInvalid, Secret
from pumpkit.config.snapshot import restore, same_settings, snapshot

TEXT = """\
pumps:
  other: {}
  audit:
    type: csv
    filters: {include: {effect: [deny]}, skip_usernames: [probe]}
    fields: [effect, username]
    rename-fields: {username: user}
    add-fields: {site: "${SITE}", n: [1, {a: null}]}
    timeout: 500ms
    batch-bytes: 1MiB
    meta:
      csv-dir: ./data
      password: "${PASSWORD}"
      hosts: [a, "${PORT}"]
  audit.more: {}
"""


@attrs.define
class Sink:
    csv_dir: Path
    password: Secret
    hosts: list[str]
    size: int = 1


@pytest.fixture
def config(config_of, monkeypatch):
    """Return the configuration of TEXT."""
    monkeypatch.setenv("SITE", "berlin")
    monkeypatch.setenv("PASSWORD", "hunter2")
    monkeypatch.setenv("PORT", "x7070")
    return config_of(TEXT)


def travelled(config, pump="audit"):
    """Return what a worker restores of what came through its pipe."""
    return restore(json.loads(json.dumps(snapshot(config, pump))))


def test_a_pump_arrives_as_it_left(config):
    """Settings, filled-in values and types."""
    pump, meta = travelled(config)
    assert pump == config.pumps["audit"]
    assert pump.add_fields == {"site": "berlin", "n": [1, {"a": None}]}
    assert meta.values == {"csv-dir": "./data", "password": "hunter2", "hosts": ["a", "x7070"]}


def test_meta_structures_in_the_worker_as_here(config, tmp_path):
    """Relative paths start at the file's folder."""
    _, meta = travelled(config)
    assert meta.into(Sink) == Sink(tmp_path / "data", Secret("hunter2"), ["a", "x7070"])


def test_problems_in_the_worker_name_file_line_and_key_path(config, tmp_path):
    """And they show the reference in place of what was filled in."""
    _, meta = travelled(config)
    cls = attrs.make_class(
        "S",
        {"hosts": attrs.field(type=list[int]), "password": attrs.field(type=int), "csv_dri": attrs.field(default=1)},
    )
    with pytest.raises(ConfigInvalid) as caught:
        meta.into(cls)
    file = tmp_path / "pumpkit.yaml"
    assert str(caught.value).splitlines() == [
        f"{file}:12: pumps.audit.meta.csv-dir: unknown key; did you mean csv-dri?",
        f'{file}:13: pumps.audit.meta.password: must be a whole number, not "${{PASSWORD}}"',
        f'{file}:14: pumps.audit.meta.hosts.0: must be a whole number, not "a"',
        f'{file}:14: pumps.audit.meta.hosts.1: must be a whole number, not "${{PORT}}"',
    ]


def test_a_pump_travels_without_the_others(config):
    """Neither their settings nor their lines."""
    document = snapshot(config, "other")
    assert document["lines"] == {"pumps.other": 2}
    assert "hunter2" not in json.dumps(document)
    assert set(travelled(config, "audit.more")[1].where.lines) == {"pumps.audit.more"}


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("", "", True),
        ("pumps:\n", "# moved\n\npumps:\n", True),
        ("timeout: 500ms", "timeout: 0.5", True),
        ("other: {}", "other: {timeout: 5}", True),
        ("pumps:\n", "purge-delay: 5\npumps:\n", True),
        ("timeout: 500ms", "timeout: 501ms", False),
        ("csv-dir: ./data", "csv-dir: ./else", False),
        ("n: [1,", "n: [true,", False),
        ("n: [1,", "n: [1.0,", False),
        ("[a, ", "[b, ", False),
        ("pumps:\n", "omit-detailed-recording: true\npumps:\n", False),
        ("pumps:\n", "detail-fields: [x]\npumps:\n", False),
        ('"${PASSWORD}"', "hunter2", True),
        ('"${PASSWORD}"', "${OTHER:-hunter3}", False),
    ],
)
def test_a_pump_restarts_only_for_other_settings(config, config_of, old, new, same):
    """Moved lines and other spellings of the same value change nothing; true is not 1."""
    changed = config_of(TEXT.replace(old, new, 1))
    assert same_settings(snapshot(config, "audit"), snapshot(changed, "audit")) is same
    assert same_settings(json.loads(json.dumps(snapshot(config, "audit"))), snapshot(changed, "audit")) is same


def test_another_environment_is_another_setting(config, config_of, monkeypatch):
    """A reload takes up new secrets."""
    monkeypatch.setenv("PASSWORD", "hunter3")
    assert not same_settings(snapshot(config, "audit"), snapshot(config_of(TEXT), "audit"))


def test_another_folder_is_another_setting(config, tmp_path):
    """Relative paths mean other files there."""
    moved = attrs.evolve(config, file=tmp_path / "elsewhere" / "pumpkit.yaml")
    assert not same_settings(snapshot(config, "audit"), snapshot(moved, "audit"))
