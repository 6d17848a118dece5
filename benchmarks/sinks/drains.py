"""What is measured of every sink: a drain of the log beside a raw loop, the worker's stages, and its memory.

The raw loop is what one writes with the driver alone, over documents that are in memory already, in batches as large
and as safely confirmed. It reads no log and stands no bad record. The worker is the real one: it fetches, decodes and
judges each record, delivers at least once, and acknowledges.
"""

import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs

from benchmarks.apart import apart
from benchmarks.backlog import fill
from benchmarks.drain import Used
from benchmarks.rounds import Measures, Samples, Size, Spread, interleaved, ratio, spread
from benchmarks.sinks.documents import BATCH, SHAPES
from benchmarks.table import Aim, Report, Table, around, number
from benchmarks.world import PUMP, World
from pumpkit import Records
from pumpkit.batch import decode
from pumpkit.buffers import open_buffer

RAW, WORKER, WAITING = "raw loop", "worker", "worker, records that wait"

CPU, RATE = "cpu_us", "records_per_second"
DECODE, ENCODE = "decode_us", "encode_us"
RSS, COUNT = "rss_mib", "records"


@attrs.frozen
class Store:
    """A place on a server to write to, and how it is written to. `raw` and `encode` run in processes of their own."""

    url: str
    #: The pump, as the configuration has it.
    pump: dict[str, Any]
    #: Writes so many documents of a shape in batches to a URL; returns what that used, connecting not counted.
    raw: Callable[[str, str, int], Used]
    #: Makes of records and ids what the sink sends.
    encode: Callable[[Records, list[str]], object]
    #: Returns how many documents there are.
    count: Callable[[], int]


def measure(size: Size, fresh: Callable[[], Store]) -> Samples:
    """Measure records per second, microseconds of processor time for a record, and MiB; each time in a fresh place."""
    count = BATCH * size.of(15, least=3)
    waiting, written = size.of(1_000_000, least=10_000), size.of(50_000, least=2_000)
    contenders: dict[str, Callable[[], Measures]] = {}
    for shape in SHAPES:
        contenders[name(shape, RAW)] = partial(_raw, fresh, shape, count)
        contenders[name(shape, WORKER)] = partial(_worker, fresh, shape, count)
    memory = interleaved(min(3, size.rounds), {WAITING: partial(_waiting, fresh, waiting, written)})
    return interleaved(size.rounds, contenders) | memory


def name(shape: str, way: str) -> str:
    """Return what a contender is called."""
    return f"{shape}, {way}"


def _raw(fresh: Callable[[], Store], shape: str, count: int) -> Measures:
    store = fresh()
    used: Used = apart(store.raw, store.url, shape, count)
    _check(store, count)
    assert used.wall
    return {CPU: 1e6 * used.cpu / count, RATE: count / used.wall}


def _worker(fresh: Callable[[], Store], shape: str, count: int) -> Measures:
    """Drain a backlog. Processor time counts from the first batch written to the last, so that starting does not."""
    store = fresh()
    with TemporaryDirectory() as folder:
        world = World(Path(folder), pumps={PUMP: store.pump})
        fill(world.url, count // BATCH, BATCH, SHAPES[shape])
        with world.worker() as worker:
            marks = [(written, worker.cpu(), time.monotonic()) for written in worker.progress(count)]
            worker.tell({"do": "stop"})
            worker.ended()
        measures: Measures = apart(_through_stages, world.url, store.encode, count)
    _check(store, count)
    (_, _, began), (first, cpu_before, _), *_, (last, cpu, ended) = marks
    return {CPU: 1e6 * (cpu - cpu_before) / (last - first), RATE: count / (ended - began)} | measures


def _check(store: Store, count: int) -> None:
    if store.count() != count:
        raise RuntimeError(f"{store.count()} documents of {count} records")


def _through_stages(url: str, encode: Callable[..., object], count: int) -> Measures:
    """Take records as far as the driver, which gets none of them."""
    fetching, encoding = 0.0, 0.0
    with closing(open_buffer(url)) as buffer, closing(buffer.cursor("stages")) as cursor:
        buffer_id, after = buffer.stats().buffer_id, None
        for _ in range(count // BATCH):
            began = time.process_time()
            batch = decode(cursor.fetch(BATCH, 4 << 20, after), 0, buffer_id)
            after = batch.through
            records, ids = [record for record in batch.records if record is not None], batch.ids(batch.live)
            between = time.process_time()
            encode(records, ids)
            fetching += between - began
            encoding += time.process_time() - between
    return {DECODE: 1e6 * fetching / count, ENCODE: 1e6 * encoding / count}


def _waiting(fresh: Callable[[], Store], waiting: int, written: int) -> Measures:
    store = fresh()
    with TemporaryDirectory() as folder:
        world = World(Path(folder), pumps={PUMP: store.pump})
        fill(world.url, waiting // (2 * BATCH), 2 * BATCH)
        with world.worker() as worker:
            for _ in worker.progress(written):
                pass
            return {RSS: worker.largest_memory() / (1 << 20), COUNT: waiting}


def report(samples: Samples, about: str) -> Report:
    """Compare the worker with the raw loop, and show its stages and its memory."""
    rates, stages, aims = [], [], []
    for shape in SHAPES:
        raw, worker = name(shape, RAW), name(shape, WORKER)
        for way in (raw, worker):
            figures = [
                text
                for measure in (RATE, CPU)
                for text in (around(spread(samples[way][measure])), around(ratio(samples, measure, way, raw)))
            ]
            rates.append([way, *figures])
        stages.append([worker, *map(around, _by_stage(samples[worker]))])
        aims += [
            Aim(f"records/s, {shape}, against the raw loop,", ratio(samples, RATE, worker, raw), 0.9, at_least=True),
            Aim(f"processor time, {shape}, against the raw loop,", ratio(samples, CPU, worker, raw), 1.3),
        ]
    memory = spread(samples[WAITING][RSS])
    aims.append(Aim(f"memory while {number(samples[WAITING][COUNT][0])} records wait,", memory, 120, " MiB"))
    tables = [
        Table(["", "records/s", "times raw loop", "processor, µs a record", "times raw loop"], rates),
        Table(["processor, µs a record", "fetch and decode", "encode", "the driver, and the rest"], stages),
        Table(["", "largest memory, MiB"], [[WAITING, around(memory)]]),
    ]
    return Report(about, tables, aims)


def _by_stage(measures: dict[str, list[float]]) -> list[Spread]:
    """Return what a record costs until it is decoded, to encode it, and what is left of the whole."""
    decoding, encoding = measures[DECODE], measures[ENCODE]
    rest = [whole - a - b for whole, a, b in zip(measures[CPU], decoding, encoding, strict=True)]
    return [spread(decoding), spread(encoding), spread(rest)]
