"""Delivery: what was sent is there, judged by reading it back."""

from datetime import UTC, datetime, timedelta

from pumpkit.hookspecs import Record
from pumpkit.plugins import Sink
from pumpkit.testing.bench import Bench
from pumpkit.testing.case import NotApplicable, case, check
from pumpkit.testing.crash import write_and_die, write_until_killed
from pumpkit.testing.odd_values import ODD_VALUES, difference
from pumpkit.values import MAX_RECORD, pack_record

#: Records and bytes of a write that is over any limit of a request; the most records that a frame has.
MANY, MUCH = 2_000, 16 << 20

#: Seconds for that write.
LONG = 60.0

#: When a process that writes is killed: after so many batches, and so many seconds after the last of them.
MOMENTS = ((0, 0.0), (1, 0.0), (2, 0.002), (3, 0.005), (4, 0.01), (2, 0.02))


@case("delivery")
def write_one(bench: Bench) -> None:
    """One record that was written is there, under its id."""
    records, ids = bench.batch(1)
    bench.must_write(bench.sink(), records, ids)
    bench.check_arrived(ids)


@case("delivery", needs=["read_in_order"])
def write_batch_order(bench: Bench) -> None:
    """Records are there in the order of their batch, and batches in the order in which they were written."""
    sink = bench.sink()
    ids: list[str] = []
    for _ in range(3):
        records, more = bench.batch(100)
        bench.must_write(sink, records, more)
        ids += more
    bench.check_arrived(ids, once=sink.duplicates == "never")
    there = list(dict.fromkeys(arrived.id for arrived in bench.destination.read_in_order()))
    first = next((place for place, (sent, found) in enumerate(zip(ids, there, strict=True)) if sent != found), None)
    check(first is None, f"from record {first} of {len(ids)} on they are in another order than they were sent in")


@case("delivery")
def empty_batch(bench: Bench) -> None:
    """An empty batch is nothing: no error, and nothing arrives. (A pump never sends one.)"""
    sink = bench.sink()
    came = bench.write(sink, [], [])
    check(came.kind == "written", f"an empty batch: {came}; return when there is nothing to write")
    bench.check_arrived([])
    records, ids = bench.batch(3)
    bench.must_write(sink, records, ids)
    came = bench.write(sink, [], [])
    check(came.kind == "written", f"an empty batch after another one: {came}; return when there is nothing to write")
    bench.check_arrived(ids, once=sink.duplicates == "never")


@case("delivery")
def readback_equals_sent(bench: Bench) -> None:
    """What is read back is what was sent, field by field (as the destination's `expected` has it)."""
    sink = bench.sink()
    records, ids = bench.batch(50)
    for number, record in enumerate(records):
        record |= _ordinary(number)
    bench.must_write(sink, records, ids)
    bench.check_arrived(ids, once=sink.duplicates == "never")
    there = bench.stored()
    for record, id_ in zip(records, ids, strict=True):
        differs = difference(bench.destination.expected(record), there[id_])
        check(not differs, f"of record {id_} {differs}")


@case("delivery")
def unicode_nul_bignum_datetime_bytes(bench: Bench) -> None:
    """A record with an odd value (NUL, a lone surrogate, 64-bit integers, nan, times, bytes, odd names) is stored as it
    is expected to be, or rejected by its index with a reason; it is never lost in silence and takes no other with it.
    """
    sink = bench.sink()
    for what, fields in ODD_VALUES.items():
        _stored_or_rejected(bench, sink, fields, what)


@case("delivery")
def large_record(bench: Bench) -> None:
    """The largest record that the log takes, 1 MiB when packed, is stored or rejected by its index with a reason."""
    sink = bench.sink()
    for what, unit in (("letters", "x"), ("quotes", '"'), ("letters of three bytes", "\u65e5")):
        room = MAX_RECORD - len(pack_record({"large": ""})) - 256
        _stored_or_rejected(bench, sink, {"large": unit * (room // len(unit.encode()))}, f"almost 1 MiB of {what}")


@case("delivery")
def batch_over_limit_split(bench: Bench) -> None:
    """A batch of 2,000 records and 16 MiB arrives whole: a sink takes it apart where its destination has a limit."""
    sink = bench.sink()
    records, ids = bench.batch(MANY, filling="x" * (MUCH // MANY))
    came = bench.write(sink, records, ids, timeout=LONG)
    check(came.kind == "written", f"{MANY} good records of {MUCH >> 20} MiB in one write: {came}; send it in parts")
    bench.check_arrived(ids, once=sink.duplicates == "never")


@case("delivery")
def redelivery_is_idempotent(bench: Bench) -> None:
    """A batch that is written again is there once; a sink that says `duplicates: possible` has it at least once."""
    sink = bench.sink()
    records, ids = bench.batch(50)
    bench.must_write(sink, records, ids)
    bench.must_write(sink, records, ids)
    again = bench.sink() if not sink.ordered else sink
    bench.must_write(again, records, ids)
    bench.check_arrived(ids, once=sink.duplicates == "never")


@case("delivery")
def late_replay_is_written(bench: Bench) -> None:
    """With `late=True` records are written though their ids lie below ones that were seen; again, they are there once.

    So a pump replays dead letters, long after later records were written.
    """
    sink = bench.sink()
    once = sink.duplicates == "never"
    early, early_ids = bench.batch(10)
    for _ in range(2):
        records, ids = bench.batch(10)
        bench.must_write(sink, records, ids)
        early_ids += ids
    replayed, first = early, early_ids[: len(early)]
    bench.must_write(sink, replayed, first, late=True)
    bench.check_arrived(early_ids, once=once)
    bench.must_write(sink, replayed, first, late=True)
    records, ids = bench.batch(10)
    bench.must_write(sink, records, ids)
    bench.check_arrived(early_ids + ids, once=once)


@case("delivery")
def parts_of_a_batch_are_each_written(bench: Bench) -> None:
    """When a batch comes in halves, or whole after one half of it, each record of it is there.

    So a pump looks for a record that breaks its batch, and goes on after a crash. Sinks that say `ordered` never get
    parts.
    """
    sink = bench.sink()
    if sink.ordered:
        raise NotApplicable("it says `ordered`: its batches are never taken apart")
    once = sink.duplicates == "never"
    records, ids = bench.batch(40)
    for first, last in ((0, 20), (20, 40), (0, 40)):
        bench.must_write(sink, records[first:last], ids[first:last])
    bench.check_arrived(ids, once=once)
    more, more_ids = bench.batch(40)
    for first, last in ((0, 20), (0, 40), (39, 40)):
        bench.must_write(sink, more[first:last], more_ids[first:last])
    bench.check_arrived(ids + more_ids, once=once)


@case("delivery")
def at_least_once_after_crash(bench: Bench) -> None:
    """What a write has accepted survives a kill of the process; a batch that was cut off by it, and comes again, is
    there, once where the sink says `duplicates: never`.
    """
    once = bench.new().duplicates == "never"
    records, ids = bench.batch(25)
    write_and_die(bench, (records, ids))
    bench.check_arrived(ids, once=once)
    batches = [bench.batch(25) for _ in range(30)]
    done = 0
    for after, seconds in MOMENTS:
        begin = max(0, done - 1)  # the last one too: a kill may come between the write and the pump's commit
        done = begin + write_until_killed(bench, batches[begin:], after, seconds)
    write_until_killed(bench, batches[max(0, done - 1) :], None)
    bench.check_arrived(ids + [id_ for _, part in batches for id_ in part], once=once)


def _ordinary(number: int) -> Record:
    """Return fields of every type, none of them odd."""
    return {
        "ratio": number / 8,
        "allowed": number % 2 == 0,
        "nothing": None,
        "Method": "GET",
        "groups": ["staff", f"group-{number}"],
        "request": {"size": number, "Headers": {"accept": "text/plain"}, "cached": False},
        "created_at": datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(seconds=number),
        "body": b"GET / HTTP/1.1",
    }


def _stored_or_rejected(bench: Bench, sink: Sink, fields: Record, what: str) -> None:
    """Write a record with these fields among good ones, and check what the sink says against what is there."""
    records, ids = bench.batch(3)
    records[1] |= fields
    came = bench.write(sink, records, ids)
    advice = "write the others, and raise PartialWrite with its index if it cannot be written"
    check(came.kind in ("written", "partial"), f"{what}, in one of three records: {came}; {advice}")
    check(set(came.rejected) <= {1} and not came.retry, f"{what}, in record 1 of three: {came}; {advice}")
    check(all(reason.strip() for reason in came.rejected.values()), f"{what} is rejected without a reason")
    there = bench.stored()
    lost = [index for index in came.written(3) if ids[index] not in there]
    check(not lost, f"{what}, in record 1 of three: records {lost} are neither rejected nor there; {advice}")
    check(not (came.rejected and ids[1] in there), f"{what}: its record is rejected, and there all the same")
    for index in came.written(3):
        differs = difference(bench.destination.expected(records[index]), there[ids[index]])
        check(not differs, f"{what}, in record 1 of three: in record {index} {differs}")
