"""Delivery: what was sent is there, judged by reading it back."""

from pumpkit.testing.bench import Bench
from pumpkit.testing.case import case


@case("delivery")
def write_one(bench: Bench) -> None:
    """One record that was written is there, under its id."""
    records, ids = bench.batch(1)
    bench.must_write(bench.sink(), records, ids)
    bench.check_arrived(ids)


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
