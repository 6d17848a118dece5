"""Environment: servers that restart, forks, threads, other processes, and what a probe may do."""

from collections.abc import Sequence

from pumpkit.testing.bench import Bench
from pumpkit.testing.case import NotApplicable, can, case, check
from pumpkit.testing.destination import Arrived
from pumpkit.testing.elsewhere import Elsewhere, connected, elsewhere, until_written


@case("environment", needs=["stop", "start"])
def reconnect_after_server_restart(bench: Bench) -> None:
    """When the destination was away and is back, the same sink writes again by itself, without another `init`."""
    with connected(bench) as sink:
        first, ids = bench.batch(10)
        until_written(lambda: sink.write(first, ids), "a batch before the restart")
        for _ in range(2):
            bench.destination.stop()
            bench.destination.start()
            ids += _written_after_restart(bench, sink)
        bench.check_arrived(ids, once=bench.new().duplicates == "never")


def _written_after_restart(bench: Bench, sink: Elsewhere) -> list[str]:
    records, ids = bench.batch(10)
    until_written(lambda: sink.write(records, ids), "a batch after a restart; connect anew when the connection is gone")
    return ids


@case("environment")
def connection_test_truthful(bench: Bench) -> None:
    """`pumpkit check --connect` finds what is so: `init` returns in front of a destination in order, raises Unavailable
    where it is away, and ConfigError or Unavailable where the credentials are refused.
    """
    destination = bench.destination
    with elsewhere(bench) as sink:
        _check_trial(sink, ["good"], "the destination is in order")
        if can(destination, "stop") and can(destination, "start"):
            destination.stop()
            _check_trial(sink, ["away"], "the destination is away")
            destination.start()
            _check_trial(sink, ["good"], "the destination is back")
        if can(destination, "bad_login"):
            came = sink.new(bench, destination.bad_login())
            check(came.kind == "written", f"`new`, with credentials that are refused later: {came}")
            _check_trial(sink, ["misconfigured", "away"], "the credentials are refused")


@case("environment")
def health_probe_has_no_side_effects(bench: Bench) -> None:
    """Trying the connection, `init` and `close` without a write, changes nothing of what is there."""
    with elsewhere(bench) as sink:
        _check_trial(sink, ["good"], "the destination is in order")
        check(not bench.destination.read(), "trying the connection of an empty destination left records there")
    with connected(bench) as sink:
        records, ids = bench.batch(10)
        until_written(lambda: sink.write(records, ids), "a batch")
        sink.close()
        before = _sorted(bench.destination.read())
        for _ in range(2):
            _check_trial(sink, ["good"], "the destination is in order")
        check(_sorted(bench.destination.read()) == before, "trying the connection changed what is there")


@case("environment")
def survives_fork_before_init(bench: Bench) -> None:
    """A sink that was made before a fork can be connected and written to in the child, and in the parent."""
    with elsewhere(bench) as sink:
        records, ids = bench.batch(10)
        came = sink.write_in_a_fork((records, ids))
        check(came.kind == "written", f"made in the parent, used in a forked child: {came}; open nothing before `init`")
        came = sink.init()
        check(came.kind == "written", f"`init` in the parent, after a forked child has used and closed it: {came}")
        more_records, more = bench.batch(10)
        until_written(lambda: sink.write(more_records, more), "a write in the parent, after that")
        sink.close()
        bench.check_arrived(ids + more, once=bench.new().duplicates == "never")


@case("environment")
def thread_safe_or_declares_not(bench: Bench) -> None:
    """Two sinks of the plugin in two threads write at once, and all arrives; a sink that says `ordered` has one worker,
    and is not asked.
    """
    shape = bench.new()
    if shape.ordered:
        raise NotApplicable("it says `ordered`: one worker, no second sink beside it")
    with elsewhere(bench) as sink:
        batches = [[bench.batch(5, username=f"{thread}-{turn}") for turn in range(20)] for thread in "ab"]
        came = sink.write_in_threads(batches)
        failed = [str(one) for one in came if one.kind != "written"]
        check(not failed, f"two sinks, each in a thread of its own: {'; '.join(failed)}; keep what one has in it alone")
        sent = {id_: record for thread in batches for batch in thread for record, id_ in zip(*batch, strict=True)}
        bench.check_arrived(list(sent), once=shape.duplicates == "never")
        stored = bench.stored()
        mixed = [id_ for id_, record in sent.items() if stored[id_] != bench.destination.expected(record)]
        check(not mixed, f"{len(mixed)} records hold what was sent under other ids, among them {mixed[:1]}")


@case("environment")
def init_again_by_another_process(bench: Bench) -> None:
    """A second process may connect while the first is open (a sink that says `ordered` may refuse, by Unavailable or
    ConfigError); when the first was killed, another takes over, and all is there.
    """
    shape = bench.new()
    kinds = ["written", "unavailable", "misconfigured"] if shape.ordered else ["written"]
    accepted: list[str] = []
    with connected(bench) as first:
        records, ids = bench.batch(10)
        until_written(lambda: first.write(records, ids), "a batch of the first process")
        accepted += ids
        with elsewhere(bench) as second:
            came = second.init()
            check(came.kind in kinds, f"`init` while another process is open: {came}; expected: {' or '.join(kinds)}")
            if came.kind == "written":
                records, ids = bench.batch(10)
                came = second.write(records, ids)
                check(came.kind in kinds, f"a write beside another process: {came}; expected: {' or '.join(kinds)}")
                accepted += ids if came.kind == "written" else []
                second.close()
        first.kill()
        with elsewhere(bench) as third:
            until_written(third.init, "`init`, after the process that had it was killed")
            records, ids = bench.batch(10)
            until_written(lambda: third.write(records, ids), "a batch, after the process that had it was killed")
            accepted += ids
            third.close()
    bench.check_arrived(accepted, once=shape.duplicates == "never")


def _check_trial(sink: Elsewhere, outcomes: Sequence[str], what: str) -> None:
    """Check what a trial of the connection finds, and that it says why."""
    found = sink.try_sink()
    check(not found["problems"], f"{what}, and the settings have problems: {found['problems']}")
    outcome, reason = found["trial"]["outcome"], found["trial"]["reason"]
    check(outcome in outcomes, f"{what}: `init` has to find {' or '.join(outcomes)}; it found {outcome} ({reason})")
    check(outcome == "good" or reason.strip(), f"{what}: `init` raises an error without words")


def _sorted(there: Sequence[Arrived]) -> list[str]:
    return sorted(map(repr, there))
