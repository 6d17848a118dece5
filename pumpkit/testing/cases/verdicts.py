"""Verdicts: what a sink says of a batch is true, and tells the pump what to do."""

from pumpkit.testing.bench import Bench
from pumpkit.testing.case import case, check


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
    bench.must_write(sink, records, ids)
    bench.check_arrived(ids)
