"""Tests on servers that somebody has already, `--mongo-url` and `--es-url`: here on servers that a test started."""

from collections.abc import Callable

import pytest

from tests.servers.elasticsearch import ElasticServer
from tests.servers.mongo import MongoServer
from tests.servers.yours import MARK, YourElastic, YourMongo


@pytest.fixture(autouse=True)
def _one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER_COUNT", raising=False)


def test_your_mongodb(new_mongo: Callable[..., MongoServer]) -> None:
    """It is used if it holds nothing, or what tests that broke off left; in the end it holds nothing."""
    url = new_mongo().url
    broken_off = YourMongo(url).start()
    with broken_off.client() as client:
        client.a.b.insert_one({"_id": 1})
        server = YourMongo(url).start()
        assert "a" not in client.list_database_names()
        client.a.b.insert_one({"_id": 1})
        server.stop()
        assert not {"a", MARK} & set(client.list_database_names())


def test_your_data_in_mongodb(new_mongo: Callable[..., MongoServer]) -> None:
    """A server with data is refused, by name, and nothing of it is removed."""
    server = new_mongo()
    with server.client() as client:
        client.yours.b.insert_one({"_id": 1})
        with pytest.raises(pytest.fail.Exception, match="holds yours"):
            YourMongo(server.url).start()
        assert client.yours.b.count_documents({}) == 1


@pytest.mark.elasticsearch
def test_your_elasticsearch(new_es: Callable[..., ElasticServer]) -> None:
    """It is used if it holds nothing, or what tests that broke off left; its templates and settings stay."""
    real = new_es()
    real.request("PUT", "/_index_template/yours", {"index_patterns": ["y*"]})
    real.request("PUT", "/_cluster/settings", {"persistent": {"action.auto_create_index": "true"}})
    broken_off = YourElastic(real.url).start()
    broken_off.request("PUT", "/a/_doc/1", {"n": 1})
    broken_off.request("PUT", "/_index_template/a", {"index_patterns": ["a*"]})
    broken_off.request("PUT", "/_cluster/settings", {"persistent": {"action.auto_create_index": "false"}})
    server = YourElastic(real.url).start()
    assert (server.made(), server.count("a")) == ([], 0)
    server.request("PUT", "/a/_doc/1", {"n": 1})
    server.stop()
    assert real.made() == ["/_index_template/yours"]
    assert real.cluster_settings()["persistent"] == {"action.auto_create_index": "true"}


@pytest.mark.elasticsearch
def test_your_data_in_elasticsearch(new_es: Callable[..., ElasticServer]) -> None:
    """A server with data is refused, by name, and nothing of it is removed."""
    real = new_es()
    real.request("PUT", "/yours/_doc/1", {"n": 1})
    with pytest.raises(pytest.fail.Exception, match="holds yours"):
        YourElastic(real.url).start()
    assert real.count("yours") == 1


def test_several_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers beside each other would remove each other's data, and are refused."""
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "2")
    for server in (YourMongo("mongodb://127.0.0.1:1/"), YourElastic("http://127.0.0.1:1")):
        with pytest.raises(pytest.fail.Exception, match="JOBS=1"):
            server.start()
