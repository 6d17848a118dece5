"""`pumpkit config init` and `pumpkit check`."""

import json
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from click.testing import Result

from pumpkit.buffers import Buffer
from pumpkit.cli.config import sample
from pumpkit.config import Config, PumpConfig
from pumpkit.config.load import load

Run = Callable[..., Result]


def test_init(cli: Run, workplace: Path) -> None:
    """The sample is written to ./pumpkit.yaml, and is a good configuration with one pump."""
    result = cli("config", "init")
    assert result.exit_code == 0
    assert "pumpkit check -c pumpkit.yaml" in result.output
    config = load(workplace / "pumpkit.yaml")
    assert {name: pump.type for name, pump in config.pumps.items()} == {"audit": "csv"}


def test_sample_shows_every_key() -> None:
    """Every key that there is stands in the sample."""
    text = sample()
    for cls in (Config, PumpConfig):
        for field in attrs.fields(cls):
            if field.metadata.get("about"):
                assert f"{field.name.replace('_', '-')}:" in text, field.name


def test_sample_uncommented(workplace: Path) -> None:
    """The keys that the sample only shows are good ones too: with their `#` gone it still loads."""
    lines = []
    for line in sample().splitlines():
        bare = line.lstrip(" ")
        if bare.startswith("# ") and (":" in bare.split("#")[1]) and not bare[2:3].isupper() and "${" not in bare:
            indent = len(line) - len(bare)
            line = " " * indent + bare[2:]
        lines.append(line)
    file = workplace / "all.yaml"
    file.write_text("\n".join(lines))
    config = load(file)
    assert config.pumps["audit"].filters.include == {"effect": ["deny"]}
    assert config.buffer.max_bytes == 1 << 30
    assert config.log.format == "text"


def test_init_elsewhere(cli: Run, workplace: Path) -> None:
    """A path can be given, folders are made, and `-` prints."""
    assert cli("config", "init", "etc/pumpkit/p.yaml").exit_code == 0
    assert (workplace / "etc/pumpkit/p.yaml").read_text() == sample()
    assert cli("config", "init", "-").output == sample()


def test_init_never_overwrites(cli: Run, workplace: Path) -> None:
    """A file that exists stays, unless --force says otherwise."""
    file = workplace / "pumpkit.yaml"
    file.write_text("mine")
    result = cli("config", "init")
    assert (result.exit_code, file.read_text()) == (2, "mine")
    assert "pumpkit.yaml exists; --force overwrites it" in result.stderr
    assert cli("config", "init", "--force").exit_code == 0
    assert file.read_text() == sample()


def test_init_that_cannot_write(cli: Run, workplace: Path) -> None:
    """A path that cannot be written is said, with the reason."""
    (workplace / "file").touch()
    result = cli("config", "init", "file/pumpkit.yaml")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr


def test_check_of_good(cli: Run, workplace: Path) -> None:
    """A good configuration is said to be one, with its pumps, and where its buffer is."""
    cli("config", "init")
    result = cli("check")
    assert (result.exit_code, result.output.splitlines()[0].partition(" is good")[2]) == (0, ": 1 pump: audit (csv)")
    assert "buffer.db" in result.stderr
    document = json.loads(cli("check", "--json").stdout)
    assert (document["ok"], document["problems"]) == (True, [])


def test_check_looks_at_the_buffer(
    cli: Run, url: str, buffer: Buffer, store: Callable[..., list[str]], workplace: Path
) -> None:
    """A buffer that no producer has written to is told of; one with records says how many."""
    cli("config", "init")
    file = workplace / "pumpkit.yaml"
    file.write_text(f"buffer: {url}\n" + file.read_text())
    location = buffer.stats().location
    assert f"no producer has ever written to this buffer: {location}" in cli("check").stderr
    store({"n": 1})
    assert f"its buffer: {location}, 1 record stored so far" in cli("check").output


def test_check_warns_of_no_limit(cli: Run, workplace: Path) -> None:
    """A timeout of 0 is allowed, and warned of with its line."""
    (workplace / "pumpkit.yaml").write_text("pumps:\n  a: {type: t-file, timeout: 0, meta: {path: x}}\n")
    result = cli("check")
    assert result.exit_code == 0
    assert "Warning: pumpkit.yaml:2: pumps.a.timeout: 0 is no limit" in result.stderr
    document = json.loads(cli("check", "--json").stdout)
    assert (document["ok"], len(document["warnings"])) == (True, 1)


BROKEN = """\
helth-check-path: x
pumps:
  audit:
    type: csv
    timeout: soon
    meta: {csv-dirr: ./x}
"""


def test_check_of_broken_keys(cli: Run, workplace: Path) -> None:
    """Every problem is one line with file, line, key path and the nearest key; 78."""
    (workplace / "pumpkit.yaml").write_text(BROKEN)
    result = cli("check")
    assert result.exit_code == 78
    lines = result.stderr.splitlines()
    assert all(line.startswith("Error: ") and "pumpkit.yaml:" in line for line in lines)
    assert any("pumpkit.yaml:1: helth-check-path: " in line and "health-check-path" in line for line in lines)
    assert any("pumpkit.yaml:5: pumps.audit.timeout: " in line for line in lines)
    document = json.loads(cli("check", "--json").stdout)
    assert {(problem["line"], problem["path"]) for problem in document["problems"]} >= {
        (1, "helth-check-path"),
        (5, "pumps.audit.timeout"),
    }


def test_check_of_plugins(cli: Run, workplace: Path) -> None:
    """Plugins that are missing, broken or refuse their meta are found, each at its line; good ones beside are not."""
    (workplace / "pumpkit.yaml").write_text(
        "pumps:\n"
        "  good: {type: t-file, meta: {path: x}}\n"
        "  missing: {type: cvs}\n"
        "  broken: {type: t-import-error, meta: {path: x}}\n"
        "  exits: {type: t-import-exit, meta: {path: x}}\n"
        "  refused: {type: t-file, meta: {paht: x}}\n"
        "  off: {type: nothing, enabled: false}\n"
    )
    result = cli("check")
    assert result.exit_code == 78
    lines = {line.split(": ")[2]: line for line in result.stderr.splitlines()}
    assert not [path for path in lines if "good" in path or "off" in path]
    assert "pumpkit.yaml:3: pumps.missing.type: " in lines["pumps.missing.type"]
    assert "pumpkit.yaml:4" in lines["pumps.broken.type"]
    assert "pumpkit.yaml:5" in lines["pumps.exits.type"]
    assert any("pumpkit.yaml:6" in line and "paht" in line and "path" in line for line in result.stderr.splitlines())


@pytest.mark.parametrize("words", [("check",), ("run",)])
def test_missing_config(cli: Run, words: tuple[str, ...]) -> None:
    """A configuration that is not there: 78, its name, and what to do."""
    result = cli(*words, "-c", "nowhere.yaml")
    assert result.exit_code == 78
    assert "nowhere.yaml" in result.stderr


def test_config_from_environment(cli: Run, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """$PUMPKIT_CONFIG names it; -c before or after the command wins."""
    cli("config", "init", "env.yaml")
    monkeypatch.setenv("PUMPKIT_CONFIG", "env.yaml")
    assert "env.yaml is good" in cli("check").output
    cli("config", "init", "other.yaml")
    assert "other.yaml is good" in cli("check", "-c", "other.yaml").output
    assert "other.yaml is good" in cli("-c", "other.yaml", "check").output
