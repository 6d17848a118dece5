"""Contract: what a plugin is before it has written anything."""

from pumpkit.testing import watched
from pumpkit.testing.bench import Bench
from pumpkit.testing.case import case, check
from pumpkit.testing.elsewhere import connected, elsewhere, until_written


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


@case("contract")
def init_then_close_without_write(bench: Bench) -> None:
    """A sink that was connected and has nothing to write closes without an error and leaves nothing there; another one
    then connects, and writes.
    """
    with connected(bench) as sink:
        came = sink.close()
        check(came.kind == "written", f"`close` after `init`, without a write between: {came}")
    bench.check_arrived([])
    records, ids = bench.batch(10)
    bench.must_write(bench.sink(), records, ids)
    bench.check_arrived(ids, once=bench.new().duplicates == "never")


@case("contract")
def close_is_idempotent(bench: Bench) -> None:
    """`close` may be called twice, and without `init`, as happens when a pump stops while it starts: nothing is raised
    and nothing is lost.
    """
    with elsewhere(bench) as sink:
        came = sink.close()
        check(came.kind == "written", f"`close` of a sink that was never connected: {came}; there is nothing to do")
    with connected(bench) as sink:
        records, ids = bench.batch(10)
        until_written(lambda: sink.write(records, ids), "a batch")
        for times in ("the first time", "the second time"):
            came = sink.close()
            check(came.kind == "written", f"`close`, {times}: {came}")
    bench.check_arrived(ids, once=bench.new().duplicates == "never")


@case("contract")
def two_instances_do_not_share_state(bench: Bench) -> None:
    """Two sinks in one process, each with a destination of its own, write in turn: each destination has all that its
    sink was given, the same records under the same ids too, and closing one sink leaves the other open.
    """
    places = [bench.destination, bench.another_destination()]
    sinks = [bench.sink(place.meta()) for place in places]
    expected: list[list[str]] = [[], []]
    for turn in range(3):
        common = bench.batch(5) if turn == 1 else None
        for number, sink in enumerate(sinks):
            records, ids = common or bench.batch(5, username=f"{number}-{turn}")
            bench.must_write(sink, records, ids)
            expected[number] += ids
    sinks[0].close()
    records, ids = bench.batch(5)
    bench.must_write(sinks[1], records, ids)
    expected[1] += ids
    for place, ids in zip(places, expected, strict=True):
        bench.check_arrived(ids, once=sinks[0].duplicates == "never", at=place)


def _tree(bench: Bench) -> set[str]:
    """Return the files and folders at the destination."""
    folder = bench.destination.folder
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}
