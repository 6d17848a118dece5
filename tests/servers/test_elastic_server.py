"""The Elasticsearch node that is made of published jars does what the tests of the sink take for granted."""

from collections.abc import Callable

import pytest

from tests.servers.elasticsearch import ElasticServer, installed_major

pytestmark = pytest.mark.elasticsearch

LINES = b"".join(b'{"create":{"_id":"%d"}}\n{"n":%d}\n' % (number, number) for number in range(1_000))

#: What a test may make, by its path.
MADE = {
    "/_component_template/c": {"template": {}},
    "/_index_template/t": {"index_patterns": ["t*"], "composed_of": ["c"]},
    "/_template/old": {"index_patterns": ["old*"]},
    "/_ingest/pipeline/p": {"processors": []},
    "/a/_settings": {"index.blocks.read_only": True},
    "/_cluster/settings": {"persistent": {"action.auto_create_index": "false"}},
}


def test_what_it_acknowledged_survives_a_kill(new_es: Callable[..., ElasticServer]) -> None:
    """After kill -9 and a restart every acknowledged document is there."""
    server = new_es()
    assert server.request("POST", "/a/_bulk", LINES)[1]["errors"] is False
    server.restart()
    assert server.count("a") == 1_000


def test_it_is_of_the_version_of_the_client(new_es: Callable[..., ElasticServer]) -> None:
    """The installed client decides which server is tested against."""
    number = new_es().request("GET", "/")[1]["version"]["number"]
    assert number.startswith(f"{installed_major()}.")


def test_it_is_as_good_as_new(es_server: ElasticServer) -> None:
    """Indices, templates, pipelines and settings of a test are gone after `clean`, a read-only index too."""
    before = es_server.made()
    assert es_server.request("POST", "/a/_bulk", LINES)[0] == 200
    for path, body in MADE.items():
        assert es_server.request("PUT", path, body)[0] == 200
    assert es_server.count("a") == 1_000
    assert set(es_server.made()) - set(before) == {"/a", *MADE} - {"/a/_settings", "/_cluster/settings"}
    es_server.clean()
    assert (es_server.made(), es_server.count("a")) == (before, 0)
    assert es_server.request("PUT", "/b/_doc/1", {"n": 1})[0] == 201


def test_data_streams_are_gone(es_server: ElasticServer) -> None:
    """The data streams of a test are gone after `clean`."""
    es_server.request("PUT", "/_index_template/t", {"index_patterns": ["t*"], "data_stream": {}, "priority": 500})
    es_server.request("POST", "/t/_bulk", b'{"create":{}}\n{"@timestamp":"2026-01-01T00:00:00Z"}\n')
    assert es_server.count("t") == 1
    es_server.clean()
    assert (es_server.data_streams(), es_server.count("t")) == ([], 0)


def test_users_and_tls(new_es: Callable[..., ElasticServer]) -> None:
    """With security it asks for a user, with a certificate it speaks TLS; its superuser may add keys."""
    server = new_es(tls=True)
    assert server.request("GET", "/", user=None)[0] == 401
    assert server.request("GET", "/", user=("root", "wrong"))[0] == 401
    assert server.request("POST", "/_security/api_key", {"name": "key"})[0] == 200
