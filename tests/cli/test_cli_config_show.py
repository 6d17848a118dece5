"""`pumpkit config show`, and files of the Go originals with every command that reads a configuration."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from pumpkit.config.load import load
from pumpkit.plugins import installed

Run = Callable[..., Result]

IAM = """\
redis: {host: 127.0.0.1, port: 1, password: hunter2, optimisation-max-idle: 100}
purge-delay: 3
pumps:
  Audit: {type: t-file, meta: {path: x}}
"""

OURS = """\
purge-delay: ${DELAY}
pumps:
  audit: {type: t-file, meta: {path: x, api-key: hunter2}}
"""


@pytest.fixture(autouse=True)
def delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that a file names."""
    monkeypatch.setenv("DELAY", "3s")


def test_show(cli: Run, workplace: Path) -> None:
    """What the file sets, with its references, and variables in the place of secrets; nothing on stderr."""
    (workplace / "pumpkit.yaml").write_text(OURS)
    result = cli("config", "show")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "# What pumpkit.yaml means, without what has its default.\n"
        f"# Relative paths start at the folder of this file: keep it in {workplace}\n"
        "#\n"
        "# Secrets are not shown. Set these variables, or write other references in their place:\n"
        "#   PUMPKIT_AUDIT_API_KEY: pumps.audit.meta.api-key, as it is\n"
        "\n"
        'purge-delay: "${DELAY}"\n'
        "pumps:\n"
        "  audit:\n"
        "    type: t-file\n"
        "    meta:\n"
        "      path: x\n"
        '      api-key: "${PUMPKIT_AUDIT_API_KEY}"\n'
    )
    assert "api-key: hunter2\n" in cli("config", "show", "--show-secrets").stdout
    assert "\n    batch-records: 1000\n" in cli("config", "show", "--effective").stdout


def test_what_a_plugin_calls_a_secret_is_one(cli: Run, workplace: Path) -> None:
    """Whatever the setting's name: the plugin is asked. One that cannot be asked is no reason to show nothing."""
    pumps = {
        "a": {"type": "t-secret", "meta": {"path": "x", "pin": "4321", "word": "4321x"}},
        "b": {"type": "no-such-plugin", "meta": {"pin": "5432"}},
    }
    (workplace / "pumpkit.yaml").write_text(json.dumps({"pumps": pumps}))
    shown = cli("config", "show").stdout
    assert 'pin: "${PUMPKIT_A_PIN_PASSWORD}"\n      word: 4321x\n' in shown
    assert 'pin: "5432"\n' in shown


def test_show_translates_a_file_of_an_original(cli: Run, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Notes stand above with file and line; the output is a pumpkit.yaml that means the same."""
    (workplace / "iam-pump.yaml").write_text(IAM)
    shown = cli("config", "show", "-c", "iam-pump.yaml", "--effective").stdout
    assert "#   iam-pump.yaml:1: redis.optimisation-max-idle: is not needed" in shown
    assert "hunter2" not in shown
    (workplace / "pumpkit.yaml").write_text(shown)
    monkeypatch.setenv("PUMPKIT_BUFFER_PASSWORD", "hunter2")
    old, new = load(Path("iam-pump.yaml")), load(Path("pumpkit.yaml"))
    assert (old.buffer, old.inputs, old.pumps) == (new.buffer, new.inputs, new.pumps)


def test_show_of_a_broken_file(cli: Run, workplace: Path) -> None:
    """Everything wrong is said, and nothing shown."""
    (workplace / "pumpkit.yaml").write_text("pumps: {a: {tpye: x}}\n")
    result = cli("config", "show")
    assert (result.exit_code, result.stdout) == (78, "")
    assert "pumpkit.yaml:1: pumps.a.tpye: unknown key; did you mean type?" in result.stderr


def test_check_tells_what_is_not_honoured(cli: Run, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As warnings: keys of an original with their lines, and variables that only the original reads."""
    monkeypatch.setenv("TYK_PMP_PURGEDELAY", "7")
    (workplace / "iam-pump.yaml").write_text(IAM)
    result = cli("check", "-c", "iam-pump.yaml")
    assert result.exit_code == 0
    assert result.stdout.startswith("iam-pump.yaml is good: 1 pump: audit (t-file)")
    for said in (
        "Warning: iam-pump.yaml: is read as a configuration of iam-pump",
        "Warning: iam-pump.yaml:1: redis.optimisation-max-idle: is not needed",
        "Warning: iam-pump.yaml: TYK_PMP_PURGEDELAY is set, and is not read",
    ):
        assert said in result.stderr
    document = json.loads(cli("check", "-c", "iam-pump.yaml", "--json").stdout)
    assert (document["ok"], len(document["warnings"])) == (True, 3)
    assert {"file": "iam-pump.yaml", "line": 1, "path": "redis.optimisation-max-idle"}.items() <= document["warnings"][
        -1
    ].items()


def test_check_finds_what_is_wrong_in_a_file_of_an_original(cli: Run, workplace: Path) -> None:
    """A plugin that is missing with the package to install, and meta that one refuses, at their lines."""
    (workplace / "pump.conf").write_text(
        '{\n"analytics_storage_config": {},\n"pumps": {\n'
        '"Mongo": {\n"meta": {}},\n'
        '"file": {"type": "T-File",\n"meta": {"paht": "x"}}\n}}\n'
    )
    result = cli("check", "-c", "pump.conf")
    assert result.exit_code == 78
    assert (
        "Error: pump.conf:5: pumps.mongo.meta.url: is missing"
        if "mongo" in installed()
        else "Error: pump.conf:4: pumps.mongo.type: no plugin 'mongo' is installed: pip install pumpkit-mongo"
    ) in result.stderr
    assert "Error: pump.conf:7: pumps.file.meta.paht: unknown key; did you mean path?" in result.stderr


@pytest.mark.parametrize("words", [("status",), ("dlq", "ls"), ("cursor", "ls")])
def test_commands_take_a_file_of_an_original(cli: Run, workplace: Path, words: tuple[str, ...]) -> None:
    """They look into the buffer that the file means; here is none."""
    (workplace / "iam-pump.yaml").write_text(IAM)
    result = cli(*words, "-c", "iam-pump.yaml")
    assert result.exit_code == 69
    assert "127.0.0.1:1" in result.output
    assert "hunter2" not in result.output
