"""What `pumpkit plugins new` writes: the names in it, and its files, made of `templates/`."""

import re
import shutil
import string
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from pathlib import Path

import attrs

import pumpkit
from pumpkit import plugins

#: The files of a package. The template of each is its last part, without a leading dot, and `.template`.
FILES = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    ".gitignore",
    ".github/workflows/test.yml",
    "src/$module/__init__.py",
    "src/$module/sink.py",
    "src/$module/py.typed",
    "tests/destination.py",
    "tests/test_conformance.py",
)

#: The longest name: the lines of the files stay within their limit.
LONGEST = 30


@attrs.frozen
class Names:
    """What a plugin of this name calls its parts."""

    name: str

    @property
    def distribution(self) -> str:
        """What pip installs."""
        return f"pumpkit-{self.name.replace('_', '-')}"

    @property
    def module(self) -> str:
        """What the entry point names."""
        return self.distribution.replace("-", "_")

    def as_values(self) -> dict[str, str]:
        """Return what stands for each variable of a template."""
        camel = "".join(word.capitalize() for word in re.split("[-_]", self.name))
        major, minor, *_ = pumpkit.__version__.split(".")
        return {
            "name": self.name,
            "distribution": self.distribution,
            "module": self.module,
            "sink": f"{camel}Sink",
            "destination": f"{camel}Destination",
            "test": f"Test{camel}Sink",
            "core": f">={major}.{minor},<{int(major) + 1}",
        }


def check_name(name: str) -> Names:
    """Return the names that belong to a plugin's. Raises ValueError, with what to do, for one that cannot be."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*", name):
        raise ValueError(f"{name!r} is no plugin's name; use a-z, 0-9 and single - or _ between them, a letter first")
    if len(name) > LONGEST:
        raise ValueError(f"{name!r} is too long; use at most {LONGEST} characters")
    names = Names(name)
    if names.distribution.startswith("pumpkit-pumpkit"):
        raise ValueError(
            f"the package of {name!r} would be named {names.distribution}; leave `pumpkit` out of the name"
        )
    if name in plugins.KNOWN or names.distribution in plugins.KNOWN.values():
        raise ValueError(f"{name!r} is a plugin of pumpkit itself; choose another name")
    for plugin in plugins.installed().get(name, []):
        raise ValueError(f"the plugin {plugin} is installed already; choose another name")
    try:
        found = distribution(names.distribution)
    except PackageNotFoundError:
        return names
    raise ValueError(f"the package {found.name} {found.version} is installed already; choose another name")


def write_package(names: Names, folder: Path) -> list[str]:
    """Write a package into a folder, which must not exist; return its files, relative to it.

    Raises FileExistsError if the folder exists, OSError if it cannot be written; what was begun is removed then.
    """
    texts = render(names)
    folder.mkdir(parents=True)
    try:
        for name, text in texts.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return list(texts)


def render(names: Names) -> dict[str, str]:
    """Return the text of each file of a package."""
    values = names.as_values()
    templates = files(__package__) / "templates"
    texts = {}
    for pattern in FILES:
        template = templates / f"{pattern.rpartition('/')[2].removeprefix('.')}.template"
        text = template.read_text(encoding="utf-8")
        texts[string.Template(pattern).substitute(values)] = string.Template(text).substitute(values)
    return texts
