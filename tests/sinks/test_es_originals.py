"""Settings as the Elasticsearch pumps of the Go originals have them."""

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pumpkit.config import Meta, PumpConfig
from pumpkit.errors import ConfigError
from pumpkit.plugins import Sink
from pumpkit_es.sink import ElasticsearchSink
from tests.servers.redis import free_port
from tests.sinks.es_world import EsWorld

pytestmark = pytest.mark.elasticsearch

#: What such a pump can have, but for the way to log in.
TYK: dict[str, Any] = {
    "index_name": "tyk_analytics",
    "use_sniffing": False,
    "rolling_index": True,
    "extended_stats": True,
    "generate_id": True,
    "decode_base64": False,
    "version": "7",
    "disable_bulk": False,
    "bulk_config": {"workers": 2, "flush_interval": 60, "bulk_actions": 1000, "bulk_size": 2000},
    "use_ssl": False,
    "ssl_insecure_skip_verify": False,
}


def test_the_settings_of_the_original_work(es_world: EsWorld, caplog: pytest.LogCaptureFixture) -> None:
    """A rolling index goes by the record's day; what has no meaning is told once, in one line, when the pump starts."""
    assert es_world.server is not None
    caplog.set_level(logging.WARNING)
    meta = Meta({"elasticsearch_url": es_world.server.url, **TYK})
    sink = Sink.open(PumpConfig(name="es", type="elasticsearch"), meta)
    es_world.sinks.append(sink)
    sink.init()
    es_world.write(sink, [{"timestamp": 1583020799, "api_id": "a"}, {"timestamp": 1583020800, "api_id": "b"}])
    assert es_world.indices("tyk_analytics-*") == ["tyk_analytics-2020.02.29", "tyk_analytics-2020.03.01"]
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith(
        "settings of the original that have no meaning here: version (the server says its version); "
    )
    for name in ("extended_stats", "generate_id", "disable_bulk", "bulk_config.workers", "bulk_config.flush_interval"):
        assert name in told
    assert "bulk_size" not in told


def test_the_size_of_a_request_is_that_of_the_original() -> None:
    """`bulk_size` is the most bytes of a request; 0 and -1 leave it to `max-bytes`."""

    def size(asked: int) -> int:
        meta = Meta({"index": "audit", "max-bytes": "1MiB", "bulk_config": {"bulk_size": asked}})
        return meta.into(ElasticsearchSink).request_bytes()

    assert (size(2_000), size(0), size(-1)) == (2_000, 1 << 20, 1 << 20)


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("document_type", "is gone: Elasticsearch has no types of documents any more; take it out"),
        ("mcp_index_name", "is gone: give such records a pump of their own"),
    ],
)
def test_what_is_gone(key: str, told: str) -> None:
    """A setting that cannot be honoured says what to do."""
    with pytest.raises(ConfigError, match=told):
        EsWorld().make(**{key: "tyk_analytics"})


def test_an_index_name_that_is_left_out() -> None:
    """The originals have a default, each its own: the message has the name of the key, and what to write."""
    with pytest.raises(ConfigError, match=r"meta\.index: is missing: .*`index_name`.*`tyk_analytics`.*`iam_analytics`"):
        Sink.open(PumpConfig(name="es", type="elasticsearch"), Meta({"elasticsearch_url": "http://localhost:9200"}))


@pytest.mark.parametrize("gone", [False, True])
def test_check_of_a_file_of_the_original(tmp_path: Path, gone: bool) -> None:
    """`pumpkit check` takes a pump.conf with this pump as it is, and names what is gone and what to do."""
    meta = TYK | {
        "elasticsearch_url": "http://es1.example:9200,http://es2.example:9200",
        "auth_basic_username": "elastic",
        "auth_basic_password": "pa55word",
        "auth_api_key_id": "",
        "auth_api_key": "",
    }
    if gone:
        meta["document_type"] = "tyk_analytics"
    document = {
        "analytics_storage_type": "redis",
        "analytics_storage_config": {"type": "redis", "host": "127.0.0.1", "port": free_port()},
        "purge_delay": 10,
        "pumps": {"elasticsearch": {"type": "elasticsearch", "meta": meta}},
    }
    (tmp_path / "pump.conf").write_text(json.dumps(document, indent=1))
    command = [sys.executable, "-m", "pumpkit", "check", "-c", "pump.conf"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    said = done.stdout + done.stderr
    assert "pa55word" not in said
    assert ("document_type: is gone: Elasticsearch has no types of documents any more" in said) is gone
    assert done.returncode == (78 if gone else 0), said
