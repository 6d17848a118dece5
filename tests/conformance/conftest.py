"""Plugins for these tests: the reference sink and the mutants, each a distribution of its own."""

import ast
import importlib
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MUTANTS = sorted(path for path in (HERE / "mutants").glob("*.py") if path.name != "__init__.py")

#: What the metadata of a distribution says, unless a mutant has a METADATA of its own.
METADATA = """\
Metadata-Version: 2.1
Name: {distribution}
Version: 0
Summary: A sink for tests.
Requires-Python: >=3.11
Requires-Dist: pumpkit<1,>=0.1
Description-Content-Type: text/markdown

A sink for tests.

```yaml
pumps:
  conformance:
    type: {plugin}
    meta: {{url: "http://127.0.0.1:1/records", token: xyz}}
```
"""


def install(folder: Path, plugin: str, module: Path) -> None:
    """Write what makes a module an installed plugin: a package in `folder`, with metadata and an entry point.

    Of a mutant, METADATA is its metadata, ENTRY its entry point, FILES what is in its package, and BESIDE what else it
    says it has installed.
    """
    package = f"conformance_{module.stem}"
    (folder / package).mkdir()
    (folder / package / "__init__.py").write_text(module.read_text())
    tree = ast.parse(module.read_text())
    said = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    files = ast.literal_eval(said["FILES"]) if "FILES" in said else {"py.typed": ""}
    for name, text in files.items():
        (folder / package / name).write_text(text)
    metadata = ast.literal_eval(said["METADATA"]) if "METADATA" in said else METADATA
    entry = ast.literal_eval(said["ENTRY"]) if "ENTRY" in said else package
    about = folder / f"{package}-0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(metadata.format(plugin=plugin, distribution=package.replace("_", "-")))
    (about / "entry_points.txt").write_text(f"[pumpkit]\n{plugin} = {entry}\n")
    beside = ast.literal_eval(said["BESIDE"]) if "BESIDE" in said else []
    names = [f"{package}/__init__.py", *(f"{package}/{name}" for name in files), *beside]
    (about / "RECORD").write_text("".join(f"{name},,\n" for name in names))


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], str]:
    """Install a module as a plugin, for this test; return the plugin's name."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.syspath_prepend(str(HERE.parent.parent))  # child processes import `tests` too

    def do(module: Path) -> str:
        plugin = module.stem.replace("_", "-")
        install(site, plugin, module)
        importlib.invalidate_caches()
        return plugin

    return do
