"""Inputs: lists of Go programs, where they are and what is in them."""

import json

import pytest

from pumpkit.config.snapshot import input_snapshot, restore_input

PUMPS = "pumps: {audit: {type: csv}}\n"


def test_an_input_needs_its_dialect_only(config_of):
    """The rest follows from the buffer and the name."""
    config = config_of(PUMPS + "buffer: redis://localhost/2\ninputs: {authz: {dialect: iam}, gw: {dialect: tyk}}")
    authz, gateway = config.inputs["authz"], config.inputs["gw"]
    assert (authz.name, authz.type, authz.url, authz.source) == ("authz", "redis-list", "redis://localhost/2", "authz")
    assert authz.lists() == [("analytics-iam-system-analytics", "msgpack")]
    assert (authz.batch, authz.enabled, authz.required, authz.decode_raw) == (500, True, True, False)
    names = {"analytics-tyk-system-analytics" + suffix for suffix in ["", *(f"_{n}" for n in range(10))]}
    assert dict(gateway.lists()) == {
        **dict.fromkeys(names, "msgpack"),
        **{name + "_protobuf": "protobuf" for name in names},
    }
    assert len(gateway.lists()) == 22


@pytest.mark.parametrize(
    ("settings", "lists"),
    [
        ("suffixes: false", [("k", "msgpack")]),
        ("suffixes: false, encoding: protobuf", [("k", "protobuf")]),
        ("encoding: protobuf", [(f"k{suffix}_protobuf", "protobuf") for suffix in ["", *(f"_{n}" for n in range(10))]]),
        ("suffixes: true, encoding: msgpack", [(f"k{s}", "msgpack") for s in ["", *(f"_{n}" for n in range(10))]]),
    ],
)
def test_lists_of_tyk(config_of, settings, lists):
    """One list, or all that Tyk Gateway may fill."""
    config = config_of(PUMPS + f"inputs: {{gw: {{dialect: tyk, key: k, url: 'redis://h', {settings}}}}}")
    assert config.inputs["gw"].lists() == lists


def test_a_list_may_be_in_another_redis(config_of, tmp_path):
    """Files in its URL are relative to the configuration; a disabled input is kept and not drained."""
    text = "inputs: {a: {dialect: iam, url: 'rediss://h?ca-file=ca.pem'}, b: {dialect: iam, enabled: false}}"
    config = config_of(PUMPS + text)
    assert config.inputs["a"].url == f"rediss://h?ca-file={tmp_path}/ca.pem"
    assert list(config.enabled_inputs) == ["a"]


def test_the_buffer_may_be_named_by_the_environment(config_of, monkeypatch):
    """As it is where no file says."""
    monkeypatch.setenv("PUMPKIT_BUFFER", "redis://elsewhere")
    assert config_of(PUMPS + "inputs: {a: {dialect: iam}}").inputs["a"].url == "redis://elsewhere"


def test_what_is_wrong_with_inputs(problems_of, monkeypatch):
    """Each with its line, and what to do."""
    monkeypatch.delenv("PUMPKIT_BUFFER", raising=False)
    text = """\
pumps: {audit: {type: csv}}
inputs:
  Bad: {dialect: iam, url: redis://h}
  a:
    dialect: iamm
  b:
    key: x
  c:
    dialect: iam
    url: sqlite:///x
    suffixes: true
    encoding: protobuf
    decode-raw: true
    key: ""
    batch: 5000
    source: ""
    sufixes: true
"""
    assert problems_of(text) == [
        "pumpkit.yaml:3: inputs.Bad: is no name for an input: letters a-z, digits, `_`, `.` and `-`, at most 63,"
        " no sign first",
        'pumpkit.yaml:5: inputs.a.dialect: must be iam or tyk, not "iamm"',
        "pumpkit.yaml:6: inputs.b.dialect: is missing: What is in it: records of iam-authz-server (`iam`) or of Tyk"
        " Gateway (`tyk`).",
        "pumpkit.yaml:10: inputs.c.url: must be the URL of a Redis, such as redis://HOST:6379/0, as for `buffer`",
        "pumpkit.yaml:11: inputs.c.suffixes: is for `dialect: tyk` only; iam has nothing of the kind, so remove it",
        "pumpkit.yaml:12: inputs.c.encoding: is for `dialect: tyk` only; iam has nothing of the kind, so remove it",
        "pumpkit.yaml:13: inputs.c.decode-raw: is for `dialect: tyk` only; iam has nothing of the kind, so remove it",
        "pumpkit.yaml:14: inputs.c.key: must be the name of a list, of 1 to 512 bytes",
        "pumpkit.yaml:15: inputs.c.batch: must be from 1 to 2000, not 5000",
        "pumpkit.yaml:16: inputs.c.source: must be 1 to 64 printable characters, such as authz",
        "pumpkit.yaml:17: inputs.c.sufixes: unknown key; did you mean suffixes?",
    ]


def test_inputs_that_cannot_be(problems_of, monkeypatch):
    """One without a Redis, and two that drain one list; a password is not shown."""
    monkeypatch.delenv("PUMPKIT_BUFFER", raising=False)
    text = """\
pumps: {audit: {type: csv}}
inputs:
  a: {dialect: iam}
  b: {dialect: tyk, url: "redis://u:secret@h"}
  c:
    dialect: tyk
    url: "redis://u:secret@h"
    key: analytics-tyk-system-analytics_3
    suffixes: false
"""
    assert problems_of(text) == [
        "pumpkit.yaml:3: inputs.a.url: is missing: the buffer is in no Redis; name the one with the list",
        "pumpkit.yaml:8: inputs.c.key: drains analytics-tyk-system-analytics_3, as the input b does; keep one of them",
    ]


def test_settings_travel_as_json(config_of):
    """The importer gets them as they are; nothing of them shows the URL."""
    config = config_of(PUMPS + "inputs: {gw: {dialect: tyk, url: 'redis://u:secret@h', decode-raw: true}}")
    document = json.loads(json.dumps(input_snapshot(config, "gw")))
    assert restore_input(document) == config.inputs["gw"]
    assert "secret" not in repr(config)
