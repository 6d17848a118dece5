"""What is in the wheels and source archives, and what they say of themselves."""

import email
import email.message
import re
import tarfile
import zipfile
from pathlib import Path

import pytest

import pumpkit
from pumpkit.cli.new_plugin.package import FILES

SINKS = sorted(project.parent.name for project in Path(__file__).parents[2].glob("pumpkit_*/pyproject.toml"))


def contents(wheels: Path, distribution: str) -> dict[str, str]:
    """Return a wheel's files, by name, those of its metadata without the folder that names the version."""
    (wheel,) = wheels.glob(f"{distribution}-[0-9]*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return {
            re.sub(r"^[^/]*\.dist-info/", "", name): archive.read(name).decode(errors="replace")
            for name in archive.namelist()
        }


def metadata(wheels: Path, distribution: str) -> email.message.Message:
    """Return what a wheel says of itself."""
    return email.message_from_string(contents(wheels, distribution)["METADATA"])


def names_in(archive: Path) -> set[str]:
    """Return the files of a source archive, without its outer folder."""
    with tarfile.open(archive) as tar:
        return {name.partition("/")[2] for name in tar.getnames()}


@pytest.mark.parametrize("distribution", ["pumpkit", *SINKS])
def test_a_wheel_is_typed_and_licensed(wheels: Path, distribution: str) -> None:
    """Every wheel brings `py.typed` and the MIT licence, and installs nothing beside its package."""
    files = contents(wheels, distribution)
    assert f"{distribution}/py.typed" in files
    assert files["licenses/LICENSE"].startswith("MIT License")
    assert metadata(wheels, distribution)["License-Expression"] == "MIT"
    ours = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    assert {name.partition("/")[0] for name in files.keys() - ours} == {distribution}


def test_the_core_names_its_entry_points(wheels: Path) -> None:
    """The core's wheel brings the command `pumpkit` and the buffer for `sqlite:` URLs."""
    points = contents(wheels, "pumpkit")["entry_points.txt"]
    assert "pumpkit = pumpkit.cli:main" in points
    assert "sqlite = pumpkit.buffers.sqlite" in points


def test_the_core_brings_the_templates_of_a_package(wheels: Path, sdists: Path) -> None:
    """What `pumpkit plugins new` makes its files of is in the wheel and in the source archive, all of it."""
    folder = "pumpkit/cli/new_plugin/templates"
    templates = {f"{folder}/{path.name}" for path in (Path(pumpkit.__file__).parents[1] / folder).iterdir()}
    assert len(templates) == len(FILES)
    (archive,) = sdists.glob("pumpkit-[0-9]*.tar.gz")
    assert templates <= contents(wheels, "pumpkit").keys()
    assert templates <= names_in(archive)


@pytest.mark.parametrize("distribution", SINKS)
def test_a_sink_is_a_plugin_of_this_core(wheels: Path, distribution: str) -> None:
    """A sink's wheel names its module in the group `pumpkit`, and needs this minor version and below the next major."""
    assert f"= {distribution}\n" in contents(wheels, distribution)["entry_points.txt"]
    needs = metadata(wheels, distribution).get_all("Requires-Dist", [])
    major, minor, *_ = pumpkit.__version__.split(".")
    assert f"pumpkit<{int(major) + 1},>={major}.{minor}" in needs


@pytest.mark.parametrize("distribution", ["pumpkit", *SINKS])
def test_all_are_of_one_version(wheels: Path, distribution: str) -> None:
    """The core and the sinks carry one version, that of `pumpkit.__version__`, and want Python 3.11."""
    said = metadata(wheels, distribution)
    assert said["Version"] == pumpkit.__version__
    assert said["Requires-Python"] == ">=3.11"


def test_the_cores_source_archive_is_the_core(sdists: Path) -> None:
    """The core's source archive has its package and tests, and nothing of any sink."""
    (archive,) = sdists.glob("pumpkit-[0-9]*.tar.gz")
    names = names_in(archive)
    assert {"pumpkit/__init__.py", "tests/conftest.py", "README.md", "LICENSE", "pyproject.toml"} <= names
    top = {name.partition("/")[0] for name in names} - {""}
    assert top <= {
        "pumpkit",
        "tests",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "PKG-INFO",
        "pyproject.toml",
        ".gitignore",
    }


@pytest.mark.parametrize("distribution", SINKS)
def test_a_sinks_source_archive_is_the_sink(sdists: Path, distribution: str) -> None:
    """A sink's source archive builds by itself: project file, licence, readme and package."""
    (archive,) = sdists.glob(f"{distribution}-[0-9]*.tar.gz")
    names = names_in(archive)
    assert {"pyproject.toml", "LICENSE", "README.md", f"src/{distribution}/__init__.py"} <= names
