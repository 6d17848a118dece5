"""Verdicts: what a sink says of a batch is true, and tells the pump what to do."""

import contextlib

from pumpkit.hookspecs import Records
from pumpkit.testing.bench import Answer, Bench, answer
from pumpkit.testing.case import Failed, NotApplicable, can, case, check
from pumpkit.testing.elsewhere import Elsewhere, connected, elsewhere, until_written
from pumpkit.testing.limit import GRACE, INIT_LIMIT, within
from pumpkit.testing.one_pump import Ledger, drain

#: Seconds for which a destination that is busy asks.
PAUSE = 7

#: Lines that a sink may log or print of one write, however many records it has.
HANDFUL = 10

#: Records that do not fit into one request of most destinations, and the bytes of each.
MANY, EACH = 2_000, 8 << 10


@case("verdicts", needs=["poison"])
def partial_failure_names_indexes(bench: Bench) -> None:
    """Of a batch with records that cannot be stored, exactly these are rejected, by their index in the list and with a
    reason, wherever they stand; the others are stored.
    """
    records, ids = bench.batch(50)
    places = [0, 25, 49]
    _poison(bench, records, places)
    came = bench.write(bench.sink(), records, ids)
    check(came.kind == "partial", f"50 records, of which {places} cannot be stored: {came}; raise PartialWrite")
    _check_rejected(came, places)
    bench.check_arrived([id_ for index, id_ in enumerate(ids) if index not in places], once=_once(bench))


@case("verdicts", needs=["poison"])
def poison_record_is_permanent(bench: Bench) -> None:
    """A record that cannot be stored is rejected also when it comes alone, and each time: it is neither something to
    try again nor a sign that the destination is away.
    """
    sink = bench.sink()
    records, ids = bench.batch(1)
    _poison(bench, records, [0])
    for _ in range(2):
        came = bench.write(sink, records, ids)
        check(came.kind == "partial", f"one record, which cannot be stored: {came}; raise PartialWrite")
        _check_rejected(came, [0])
    bench.check_arrived([])


@case("verdicts", needs=["stop", "start"])
def transient_is_retryable(bench: Bench) -> None:
    """While the destination is away a write says so (Unavailable, ConnectionError, TimeoutError); the same batch again
    is written once it is back.
    """
    sink = bench.sink()
    records, ids = bench.batch(10)
    bench.destination.stop()
    came = bench.write(sink, records, ids)
    check(came.kind == "unavailable", f"the destination is away, and the sink says: {came}")
    bench.destination.start()
    until_written(lambda: bench.write(sink, records, ids), "the same batch, when the destination is back")
    bench.check_arrived(ids, once=sink.duplicates == "never")


@case("verdicts", needs=["busy"])
def retry_after_is_honoured(bench: Bench) -> None:
    """When the destination asks for a pause, the sink raises Unavailable with that pause as `retry_after`, in seconds;
    it does not wait by itself.
    """
    sink = bench.sink()
    bench.destination.busy(PAUSE)
    came = bench.write(sink, *bench.batch(10))
    check(came.kind == "unavailable", f"the destination is busy, and the sink says: {came}; raise Unavailable")
    asked = getattr(came.error, "retry_after", None)
    words = f"the destination asks for {PAUSE} s, and `retry_after` is {asked}; pass on what it asks for"
    check(asked is not None and abs(asked - PAUSE) <= 1, words)
    bench.check_arrived([])


@case("verdicts", needs=["bad_login"])
def auth_error_is_permanent_or_pause(bench: Bench) -> None:
    """Refused credentials are ConfigError, or Unavailable: a person or time may mend them, and no record is rejected
    because of them.
    """
    sink = bench.new(bench.destination.bad_login())
    try:
        with within(INIT_LIMIT + GRACE, "`init` with credentials that are refused"):
            came = answer(sink.init)
        if came.kind == "written":
            came = bench.write(sink, *bench.batch(10))
    finally:
        with contextlib.suppress(Exception):
            sink.close()
    words = f"the credentials are refused, and the sink says: {came}; raise ConfigError, with what a person has to do"
    check(came.kind in ("misconfigured", "unavailable"), words)
    check(
        _has_words(came), f"the credentials are refused, and the sink raises {type(came.error).__name__} without words"
    )
    bench.check_arrived([])


@case("verdicts", needs=["poison"])
def outcome_arithmetic(bench: Bench) -> None:
    """What is there is what was given, less what was rejected or is to be tried again, in batches of one request or of
    many; every index is one of the list, and none is in both.
    """
    sink = bench.sink()
    written: list[str] = []
    for count, filling, places in ((2, 1, [1]), (7, 1, [3]), (MANY, EACH, [10, MANY // 2, MANY - 3])):
        records, ids = bench.batch(count, filling="x" * filling)
        _poison(bench, records, places)
        came = bench.write(sink, records, ids, timeout=60.0)
        check(came.kind == "partial", f"{count} records, of which {places} cannot be stored: {came}")
        named = {*came.rejected, *came.retry}
        check(named <= set(range(count)), f"indices beyond a list of {count}: {sorted(named - set(range(count)))[:5]}")
        both = set(came.rejected) & set(came.retry)
        check(not both, f"{sorted(both)[:5]} of {count} are rejected, and to be tried again")
        written += [ids[index] for index in came.written(count)]
        bench.check_arrived(written, once=sink.duplicates == "never")


@case("verdicts", needs=["poison"])
def rejected_again_after_redelivery(bench: Bench) -> None:
    """A batch that comes again is judged as it was before: what was rejected is rejected again, or it would count as
    delivered, and what was stored is there once.
    """
    sink = bench.sink()
    records, ids = bench.batch(2)
    _poison(bench, records, [1])
    for times in ("the first time", "the second time", "the third time"):
        came = bench.write(sink, records, ids)
        check(came.kind == "partial", f"a good record and one that cannot be stored, {times}: {came}")
        _check_rejected(came, [1])
    bench.check_arrived(ids[:1], once=sink.duplicates == "never")


@case("verdicts")
def errors_are_typed(bench: Bench) -> None:
    """Whatever goes wrong outside (the destination is away, hangs, refuses the credentials) is raised as Unavailable,
    ConnectionError, TimeoutError, PartialWrite or ConfigError, in words that a person can use.
    """
    destination = bench.destination
    goes_away = can(destination, "stop") and can(destination, "start")
    refuses, hangs = can(destination, "bad_login"), can(destination, "hang") and can(destination, "unhang")
    if not (goes_away or refuses or hangs):
        raise NotApplicable("the destination neither goes away nor hangs nor refuses credentials")
    if goes_away:
        with connected(bench) as sink, elsewhere(bench) as other:
            destination.stop()
            _check_typed(sink.write(*bench.batch(3)), "a write while the destination is away")
            _check_typed(other.init(), "`init` while the destination is away")
            destination.start()
    if refuses:
        with elsewhere(bench) as sink:
            sink.new(bench, destination.bad_login())
            _check_typed(sink.init(), "`init` with credentials that are refused")
    if hangs:
        with connected(bench) as sink:
            destination.hang()
            try:
                came = sink.write(*bench.batch(3), timeout=1.0)
            except Failed:  # it does not come back: that is for `timeout_is_obeyed` to say
                return
            finally:
                destination.unhang()
            _check_typed(came, "a write that is not answered")


@case("verdicts")
def counters_match_reality(bench: Bench) -> None:
    """A pump with this sink counts what is so: delivered, dead and filtered are what was sent, and delivered are the
    records that are there.
    """
    ledger = Ledger()
    producers = 2
    for _ in range(producers):
        records, _ = bench.batch(300)
        if can(bench.destination, "poison"):
            _poison(bench, records, [5, 150, 299])
        ledger.send(records)
    drain(bench, ledger)
    sent, there = ledger.sent, [arrived.id for arrived in bench.destination.read()]
    counted = f"delivered {ledger.delivered}, dead {len(ledger.dead)}, filtered {ledger.filtered}"
    words = f"{len(sent)} records of {producers} producers were sent, and the pump counts: {counted}"
    check(ledger.delivered + len(ledger.dead) + ledger.filtered == len(sent), words)
    check(set(there) <= set(sent), f"{len(set(there) - set(sent))} records are there under ids that were not sent")
    both = set(there) & set(ledger.dead)
    check(not both, f"{len(both)} records are there, and were rejected all the same: {sorted(map(str, both))[:3]}")
    number = len(set(there))
    check(number == ledger.delivered, f"{words}; {number} are there")
    check(not _once(bench) or len(there) == number, f"{len(there) - number} records are there more than once")


@case("verdicts")
def no_per_record_logging(bench: Bench) -> None:
    """A write of 500 records, new or again, logs and prints a handful of lines at most (from level INFO on)."""
    program = "import logging; logging.basicConfig(level='INFO'); from pumpkit.testing.elsewhere import serve; serve()"
    records, ids = bench.batch(500)
    with bench.child(program) as process:
        sink = Elsewhere(process)
        sink.new(bench)
        until_written(sink.init, "`init`")
        for times in ("new", "written again"):
            before = _lines(bench)
            until_written(lambda: sink.write(records, ids), f"500 records, {times}")
            more = _lines(bench)[len(before) :]
            words = f"500 records, {times}: {len(more)} lines were logged or printed, such as {more[-1:]!s:.200}"
            check(len(more) <= HANDFUL, f"{words}; log per write, or at level DEBUG")


def _once(bench: Bench) -> bool:
    return bench.new().duplicates == "never"


def _poison(bench: Bench, records: Records, places: list[int]) -> None:
    """Put records that cannot be stored in these places."""
    for place in places:
        records[place] = bench.destination.poison()


def _check_rejected(came: Answer, places: list[int]) -> None:
    """Check that a sink rejects the records in these places, each with a reason, and nothing more."""
    words = f"{places} of the list given cannot be stored, and the sink says: {came}"
    check(sorted(came.rejected) == places, f"{words}; name each by its index in that list")
    check(not came.retry, f"{words}; `retry` is for what may be stored another time")
    silent = [index for index, reason in came.rejected.items() if not str(reason).strip()]
    check(not silent, f"{silent} are rejected without a reason; dead letters show it to people")


def _check_typed(came: Answer, what: str) -> None:
    """Check that an error, if there is one, is of the kinds that a pump can act on, and says something."""
    words = f"{what}: {came}; raise Unavailable, or ConfigError where a person has to do something"
    check(came.kind != "unknown", words)
    check(_has_words(came), f"{what}: {type(came.error).__name__} without words; say what is wrong and where")


def _has_words(came: Answer) -> bool:
    return came.error is None or bool(str(came.error).strip())


def _lines(bench: Bench) -> list[str]:
    """Return what the child has logged and printed."""
    return (bench.folder / "stderr").read_text(errors="replace").splitlines()
