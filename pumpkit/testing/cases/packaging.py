"""Packaging: what a sink's distribution says of itself."""

import importlib.util
import json
import re
from importlib.metadata import Distribution
from pathlib import Path

from pumpkit.testing.bench import Bench
from pumpkit.testing.case import Failed, NotApplicable, case, check

#: A requirement's name, and what it says of versions.
_REQUIREMENT = re.compile(r"\s*([\w.-]+)\s*(?:\[[^\]]*\])?\s*\(?([^;)]*)")


@case("packaging", alone=True)
def entry_point_names_a_module(bench: Bench) -> None:
    """The entry point in the group `pumpkit` names the module that has the hook `new`, and nothing inside it."""
    entry = bench.installed.entry
    words = f"the entry point is `{entry.name} = {entry.value}`; name the module alone: `{entry.module}`"
    check(not entry.attr, words)
    check(importlib.util.find_spec(entry.module) is not None, f"there is no module {entry.module}")


@case("packaging", alone=True)
def package_is_typed(bench: Bench) -> None:
    """The package carries `py.typed`, so that type checkers look at its types."""
    package = bench.installed.entry.module.partition(".")[0]
    spec = importlib.util.find_spec(package)
    places = (spec.submodule_search_locations if spec is not None else None) or []
    words = f"there is no `py.typed` in the package {package}; put an empty file of that name beside `__init__.py`"
    check(any((Path(place) / "py.typed").is_file() for place in places), words)


@case("packaging", alone=True)
def requires_a_bounded_core(bench: Bench) -> None:
    """The distribution requires `pumpkit` from one version on and below another, so that no later core is installed
    that it was not made for.
    """
    found = [_REQUIREMENT.match(line) for line in _distribution(bench).requires or []]
    bounds = [match[2] for match in found if match is not None and match[1].lower() == "pumpkit"]
    check(bounds, "the distribution does not require `pumpkit`; add it to `dependencies`, as `pumpkit>=0.1,<1`")
    words = (
        f"the distribution requires `pumpkit{bounds[0]}`; give a lowest version and one to stay below, as `>=0.1,<1`"
    )
    check(re.search(r"(>|~=|==)", bounds[0]) and re.search(r"(<|~=|==)", bounds[0]), words)


@case("packaging", alone=True)
def says_what_it_is(bench: Bench) -> None:
    """The distribution has a summary, a README and the versions of Python that it runs on."""
    about = _distribution(bench).metadata.json
    said = {key: about.get(key.replace("-", "_")) for key in ("summary", "description", "requires-python")}
    silent = [key for key, text in said.items() if not str(text or "").strip()]
    words = f"the metadata of the distribution lacks {', '.join(silent)}"
    check(not silent, f"{words}; give `description`, `readme` and `requires-python` under [project] in pyproject.toml")


@case("packaging", alone=True)
def brings_no_foreign_top_level(bench: Bench) -> None:
    """The distribution installs its own package and nothing beside it: no `tests`, `docs` or `examples` that any other
    may have too.
    """
    found = _distribution(bench)
    if json.loads(found.read_text("direct_url.json") or "{}").get("dir_info", {}).get("editable"):
        raise NotApplicable("an editable install does not list its files; run this case on the wheel")
    package = bench.installed.entry.module.partition(".")[0]
    tops = {file.parts[0] for file in found.files or []}
    foreign = sorted(top for top in tops if not _is_own(top, package))
    words = f"the distribution installs {', '.join(foreign)} beside its package {package}"
    check(not foreign, f"{words}; leave that out of the wheel, under [tool.hatch.build.targets.wheel] for one")


def _is_own(top: str, package: str) -> bool:
    """Return whether a file or folder among the installed ones is the package, or what pip makes beside it."""
    return top.partition(".")[0] == package or top.endswith(".dist-info") or top in ("..", "__pycache__")


def _distribution(bench: Bench) -> Distribution:
    """Return the metadata of the plugin's distribution. Raises Failed."""
    found = bench.installed.entry.dist
    if found is None:
        raise Failed("the plugin's distribution has no metadata; install it with pip")
    return found
