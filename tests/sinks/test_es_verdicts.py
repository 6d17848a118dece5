"""What the pump is told when Elasticsearch refuses: rejected, again, or a matter for a person, each with its reason."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from pumpkit.errors import ConfigError, PartialWrite, Unavailable
from tests.sinks.es_world import EsWorld, ids, numbers

pytestmark = pytest.mark.elasticsearch


# A record's own fault ------------------------------------------------------------------------------------------


def test_a_strict_mapping(es_world: EsWorld) -> None:
    """A field that a strict mapping does not know is a rejection that names it."""
    es_world.ask("PUT", "/audit", {"mappings": {"dynamic": "strict", "properties": {"n": {"type": "long"}}}})
    rejected, retry = es_world.answer(es_world.open(), [{"n": 1}, {"n": 2, "other": "4711"}])
    assert (list(rejected), retry) == ([1], [])
    assert "strict_dynamic_mapping_exception" in rejected[1]
    assert "[other]" in rejected[1]
    assert "4711" not in rejected[1]


def test_a_limit_of_fields(es_world: EsWorld) -> None:
    """Without the default template, a record with more fields than the index may have is rejected."""
    es_world.ask("PUT", "/audit", {"settings": {"index.mapping.total_fields.limit": 10}})
    record = {f"field-{n}": n for n in range(11)}
    rejected, retry = es_world.answer(es_world.open(template="none"), [{"n": 1}, record])
    assert (list(rejected), retry) == ([1], [])
    assert "Limit of total fields [10] has been exceeded" in rejected[1]


def test_an_immense_term(es_world: EsWorld) -> None:
    """Text that is too long for a keyword without bound is rejected by the name of its field, and not shown."""
    es_world.ask("PUT", "/audit", {"mappings": {"properties": {"key": {"type": "keyword"}}}})
    rejected, retry = es_world.answer(es_world.open(template="none"), [{"key": "x" * 40_000}, {"key": "y"}])
    assert (list(rejected), retry) == ([0], [])
    assert "immense term" in rejected[0]
    assert 'field="key"' in rejected[0]
    assert "120, 120" not in rejected[0]


def test_the_default_template_costs_no_record(es_world: EsWorld) -> None:
    """With the default template neither long text, nor many fields, nor text that looks like a date, costs a record."""
    sink = es_world.open()
    records: list[dict[str, Any]] = [
        {"key": "x" * 40_000, "when": "2026/01/02", "number": "12"},
        {f"field-{n}": n for n in range(1_500)},
        {"key": 4, "when": "never", "number": "many", "big": 1e300},
    ]
    es_world.write(sink, records)
    records[2]["key"] = 4
    assert es_world.documents() == dict(enumerate(records))


# A matter for a person -----------------------------------------------------------------------------------------


def refusal(world: EsWorld, records: list[dict[str, Any]], **meta: Any) -> ConfigError:
    """Return the ConfigError of a write of which nothing was written; the same again must be the same."""
    sink = world.open(template="none", **meta)
    told = []
    for _ in range(2):
        with pytest.raises(ConfigError) as caught:
            world.write(sink, records)
        told.append(caught.value)
    assert str(told[0]) == str(told[1])
    return told[0]


def test_a_missing_index(new_es: Callable[..., Any]) -> None:
    """Where indices are not created by writing to them, somebody has to create it."""
    world = EsWorld(new_es("action.auto_create_index=false"))
    try:
        told = str(refusal(world, numbers(0, 3)))
        assert "index_not_found_exception: no such index [audit]" in told
        assert "create it" in told
        world.ask("PUT", "/audit")
        assert world.answer(world.sinks[-1], numbers(0, 3)) == ({}, [])
    finally:
        world.close()


def test_a_closed_index(es_world: EsWorld) -> None:
    """A closed index is to be opened; then the same records are written."""
    es_world.ask("PUT", "/audit")
    es_world.ask("POST", "/audit/_close")
    told = str(refusal(es_world, numbers(0, 3)))
    assert "index_closed_exception" in told
    assert told.endswith("open it")
    es_world.ask("POST", "/audit/_open?wait_for_active_shards=1")
    es_world.write(es_world.sinks[-1], numbers(0, 3))
    assert len(es_world.documents()) == 3


@pytest.mark.parametrize("block", ["write", "read_only"])
def test_an_index_that_is_blocked(es_world: EsWorld, block: str) -> None:
    """A block that a person has set, a person takes away."""
    es_world.ask("PUT", "/audit")
    es_world.ask("PUT", "/audit/_settings", {f"index.blocks.{block}": True})
    try:
        told = str(refusal(es_world, numbers(0, 3)))
        assert "cluster_block_exception: index [audit] blocked by" in told
        assert "take the block away" in told
    finally:
        es_world.ask("PUT", "/audit/_settings", {f"index.blocks.{block}": None})


def test_a_cluster_that_is_read_only(es_world: EsWorld) -> None:
    """The same for the whole cluster, where the whole request is refused."""
    es_world.ask("PUT", "/audit")
    sink = es_world.open(template="none")
    es_world.ask("PUT", "/_cluster/settings", {"persistent": {"cluster.blocks.read_only": True}})
    try:
        with pytest.raises(ConfigError, match="take the block away"):
            es_world.write(sink, numbers(0, 3))
    finally:
        es_world.ask("PUT", "/_cluster/settings", {"persistent": {"cluster.blocks.read_only": None}})


def test_no_such_pipeline(es_world: EsWorld) -> None:
    """A misspelt `pipeline` is no record's fault."""
    told = str(refusal(es_world, numbers(0, 3), pipeline="nothign"))
    assert "pipeline with id [nothign] does not exist" in told
    assert "correct `pipeline`" in told


def test_a_mapping_that_requires_a_routing(es_world: EsWorld) -> None:
    """Nor is it that `routing` is not set though the mapping requires one; no record is lost to it."""
    es_world.ask("PUT", "/audit", {"mappings": {"_routing": {"required": True}}})
    told = str(refusal(es_world, numbers(0, 3)))
    assert told.endswith("the mapping of the index requires a routing: set `routing` to a field that records have")
    records = [{"user": "ann"}, {"user": ""}, {"n": 1}]
    rejected, retry = es_world.answer(es_world.open(template="none", routing="user"), records)
    assert (sorted(rejected), retry) == ([1, 2], [])


def test_an_alias_without_a_write_index(es_world: EsWorld) -> None:
    """Nor is an alias of two indices."""
    for name in ("audit-1", "audit-2"):
        es_world.ask("PUT", f"/{name}", {"aliases": {"audit": {}}})
    assert "give the alias a write index" in str(refusal(es_world, numbers(0, 3)))


def test_a_cluster_with_no_shard_left(es_world: EsWorld) -> None:
    """Nor is the limit of shards."""
    es_world.ask("PUT", "/_cluster/settings", {"persistent": {"cluster.max_shards_per_node": 1}})
    es_world.ask("PUT", "/other?wait_for_active_shards=0", {"settings": {"number_of_replicas": 0}})
    assert "cluster.max_shards_per_node" in str(refusal(es_world, numbers(0, 3)))


def test_one_index_missing_of_two(es_world: EsWorld) -> None:
    """What can be written is written first; the rest, again and alone, tells its reason. Nothing is lost or doubled."""
    es_world.ask("PUT", "/closed-1")
    es_world.ask("POST", "/closed-1/_close")
    sink = es_world.open(index="{to}-1", template="none")
    records = [{"to": "open" if n % 3 else "closed", "n": n} for n in range(30)]
    with pytest.raises(PartialWrite) as caught:
        es_world.write(sink, records)
    assert (caught.value.rejected, caught.value.retry) == ({}, list(range(0, 30, 3)))
    with pytest.raises(ConfigError, match="open it"):
        sink.write(records[::3], ids(0, 30)[::3], 10.0, False)
    es_world.ask("POST", "/closed-1/_open?wait_for_active_shards=1")
    es_world.write(sink, records)
    assert es_world.documents("*-1") == dict(enumerate(records))


# A matter of time ----------------------------------------------------------------------------------------------


def test_a_disk_at_flood_stage(es_world: EsWorld) -> None:
    """A full disk is named, and the records are for later: Elasticsearch lifts that block by itself."""
    es_world.ask("PUT", "/audit")
    es_world.ask("PUT", "/audit/_settings", {"index.blocks.read_only_allow_delete": True})
    sink = es_world.open(template="none")
    with pytest.raises(Unavailable, match="a disk of Elasticsearch is full, free some of it"):
        es_world.write(sink, numbers(0, 3))
    es_world.ask("PUT", "/audit/_settings", {"index.blocks.read_only_allow_delete": None})
    es_world.write(sink, numbers(0, 3))
    assert len(es_world.documents()) == 3


@pytest.mark.slow
def test_a_disk_above_its_watermark(new_es: Callable[..., Any]) -> None:
    """The same where Elasticsearch finds it out by itself."""
    world = EsWorld(new_es("cluster.info.update.interval=10s"))
    marks = dict.fromkeys(("low", "high", "flood_stage"), "900tb")
    try:
        sink = world.open()
        world.write(sink, numbers(0, 3))
        settings = {f"cluster.routing.allocation.disk.watermark.{name}": mark for name, mark in marks.items()}
        world.ask("PUT", "/_cluster/settings", {"persistent": settings})
        told = ""
        deadline = time.monotonic() + 90
        while not told and time.monotonic() < deadline:
            time.sleep(0.5)
            try:
                world.write(sink, numbers(3, 3), first=3)
            except Unavailable as verdict:
                told = str(verdict)
        assert "a disk of Elasticsearch is full" in told
        world.ask("PUT", "/_cluster/settings", {"persistent": dict.fromkeys(settings)})
        while time.monotonic() < deadline:
            time.sleep(0.5)
            try:
                world.write(sink, numbers(0, 9))
            except (Unavailable, PartialWrite):
                continue
            break
        assert world.documents() == dict(enumerate(numbers(0, 9)))
    finally:
        world.close()


def test_too_few_copies_of_a_shard(es_world: EsWorld) -> None:
    """One node cannot have two copies: the reason is heard before the time for the write is over."""
    es_world.ask("PUT", "/audit")
    sink = es_world.open(template="none", **{"wait-for-active-shards": 2})
    with pytest.raises(Unavailable, match=r"unavailable_shards_exception.*Not enough active copies"):
        es_world.write(sink, numbers(0, 3), timeout=3.0)
    es_world.write(es_world.open(template="none"), numbers(0, 3))
    assert len(es_world.documents()) == 3


def test_a_full_write_queue(new_es: Callable[..., Any]) -> None:
    """With one thread and a queue of one, many writers are told to wait, item by item; in the end all is there once."""
    world = EsWorld(new_es("thread_pool.write.size=1", "thread_pool.write.queue_size=1"))
    world.ask("PUT", "/audit", {"settings": {"number_of_shards": 4, "number_of_replicas": 0}})
    put_off: list[str] = []

    def write(first: int) -> None:
        sink = world.open(template="none")
        todo = {name: {"n": number} for number, name in enumerate(ids(first, 400), first)}
        while todo:
            names = list(todo)
            try:
                sink.write([todo[name] for name in names], names, 30.0, False)
            except Unavailable as verdict:
                put_off.append(str(verdict))
            except PartialWrite as verdict:
                put_off.append("some")
                todo = {names[index]: todo[names[index]] for index in verdict.retry}
            else:
                break

    writers = [threading.Thread(target=write, args=(first,)) for first in range(0, 8_000, 400)]
    try:
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert {document["n"] for document in world.documents().values()} == set(range(8_000))
        assert put_off, "the queue was never full"
        assert all("es_rejected_execution_exception" in told for told in put_off if told != "some")
    finally:
        world.close()


def test_a_whole_request_that_is_too_much_now(new_es: Callable[..., Any]) -> None:
    """A node without memory for a request refuses the whole of it with 429: the same records, later."""
    world = EsWorld(new_es("indexing_pressure.memory.limit=20kb"))
    try:
        sink = world.open()
        world.write(sink, numbers(0, 3))
        with pytest.raises(Unavailable, match="es_rejected_execution_exception"):
            world.write(sink, [{"n": n, "text": "x" * 1_000} for n in range(100)], first=3)
    finally:
        world.close()
