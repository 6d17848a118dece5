"""The importer as a process: what it moves, tells and survives; on real servers."""


import pytest

from pumpkit.pipes import STOPPED
from tests.inputs.conftest import KEY, World, items, until

BOTH = pytest.mark.parametrize("where", ["within", "across"])


@BOTH
def test_a_list_is_moved(any_world: World, where: str) -> None:
    """In order, in batches, ids given once; what comes later too; nothing is left behind."""
    any_world.client.rpush(KEY, *items(0, 120))
    log = any_world.log(where)
    importer = any_world.importer(log).wait_for("running")
    until(lambda: not any_world.client.exists(KEY))
    any_world.client.rpush(KEY, *items(120, 5))
    until(lambda: importer.counts.get("records") == 125)
    assert importer.stop() == STOPPED
    log.check(125)
    assert log.numbers == list(range(125))
    assert {id_.partition("-")[0] for id_ in log.ids} == {log.ids[0].partition("-")[0]}
    assert [id_.partition("-")[2] for id_ in log.ids] == [str(number) for number in range(125)]
    assert importer.counts == {
        "status": "counts",
        "records": 125,
        "bad": 0,
        "bytes": sum(map(len, items(0, 125))),
        "moved": True,
        "waiting": 0,
    }
    assert importer.states[-1] == "stopped"
    assert any_world.client.keys(f"{{{KEY}}}:pumpkit:in-flight") == []
