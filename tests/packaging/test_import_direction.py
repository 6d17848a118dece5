"""Imports of the core point down only, in the order that `docs/architecture.md` gives."""

import ast
import functools
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "pumpkit"

#: From the bottom to the top. A module imports from layers below its own, and from its own package.
LAYERS = [
    ["errors"],
    ["ids", "values"],
    ["frames", "records", "dialects"],
    ["buffers"],
    ["config"],
    ["reporter", "hookspecs"],
    ["contrib"],
    ["plugins", "shaping", "status"],
    ["deliver"],
    ["batch"],
    ["trouble"],
    ["pump"],
    ["replay", "describing", "pipes", "health"],
    ["worker", "inputs"],
    ["runner"],
    ["checking"],
    ["testing"],
    ["cli"],
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


@functools.cache
def modules() -> dict[str, set[str]]:
    """Return each top-level module or package of the core with those it imports anywhere, in functions too."""
    found: dict[str, set[str]] = {}
    for path in ROOT.rglob("*.py"):
        name = path.relative_to(ROOT).with_suffix("").parts[0]
        if name in ("__init__", "__main__"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "pumpkit":
                found.setdefault(name, set()).update(alias.name for alias in node.names if alias.name in RANK)
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pumpkit."):
                found.setdefault(name, set()).add((node.module or "").split(".")[1])
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names if alias.name.startswith("pumpkit.")]
                found.setdefault(name, set()).update(name.split(".")[1] for name in names)
            else:
                found.setdefault(name, set())
    return found


def test_every_module_has_its_layer() -> None:
    """A new module says where it stands."""
    assert set(modules()) == set(RANK)


@pytest.mark.parametrize("name", sorted(RANK))
def test_imports_point_down(name: str) -> None:
    """No module imports one that stands above it, or beside it."""
    up = [other for other in modules()[name] - {name} if RANK[other] >= RANK[name]]
    assert up == []
