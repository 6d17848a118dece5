"""Contract: what a plugin is before it has written anything."""

from pumpkit.testing import watched
from pumpkit.testing.bench import Bench
from pumpkit.testing.case import case, check


@case("contract")
def validate_is_pure(bench: Bench) -> None:
    """Making a sink (`new`) checks its settings and does no more: no connection, no file or directory, no process, no
    thread. `init` is the place for them.
    """
    before = _tree(bench)
    did = watched.of_new(bench)
    check(not did, f"`new` {', '.join(did)}; leave that to `init`")
    more = _tree(bench) - before
    check(not more, f"`new` makes {', '.join(sorted(more))}; leave that to `init`")


@case("contract", alone=True)
def import_is_cheap(bench: Bench) -> None:
    """Importing the plugin's module opens no connection, writes no file, starts no thread or process, and prints
    nothing: it is imported to describe it, too.
    """
    did = watched.of_import(bench)
    check(not did, f"importing the plugin {', '.join(did)}; leave that to `init`, or to where it is needed")


def _tree(bench: Bench) -> set[str]:
    """Return the files and folders at the destination."""
    folder = bench.destination.folder
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}
