"""Files of Tyk Pump: what every key becomes, what is said of what cannot be honoured, and errors with their lines."""

import json
from pathlib import Path
from typing import Any

import pytest

from pumpkit.config import Config, ConfigInvalid, Filters, LogConfig
from pumpkit.config.inputs import InputConfig
from pumpkit.config.legacy import tyk
from pumpkit.config.load import load

LIST = "analytics-tyk-system-analytics"

#: Every key that Tyk Pump knows, with values that can be honoured or told of; indented by tabs, as in its own sample.
EVERY_KEY = """\
{
\t"analytics_storage_type": "redis",
\t"analytics_storage_config": {
\t\t"type": "redis",
\t\t"host": "localhost",
\t\t"port": 6379,
\t\t"hosts": null,
\t\t"addrs": ["redis.example:6380"],
\t\t"master_name": "",
\t\t"sentinel_password": "",
\t\t"username": "",
\t\t"password": "p@ss\\/\\u0077ord",
\t\t"database": 1,
\t\t"timeout": 5,
\t\t"optimisation_max_idle": 100,
\t\t"optimisation_max_active": 0,
\t\t"enable_cluster": false,
\t\t"redis_key_prefix": "old-",
\t\t"key_prefix": "gw-",
\t\t"use_ssl": true,
\t\t"redis_use_ssl": false,
\t\t"ssl_insecure_skip_verify": false,
\t\t"redis_ssl_insecure_skip_verify": false,
\t\t"ssl_ca_file": "certs/ca.pem",
\t\t"ssl_cert_file": "/etc/c.pem",
\t\t"ssl_key_file": "/etc/k.pem",
\t\t"ssl_max_version": "1.3",
\t\t"ssl_min_version": "1.2",
\t\t"iam_auth": {"enabled": false}
\t},
\t"log_level": "warn",
\t"log_format": "json",
\t"purge_delay": 2,
\t"purge_chunk": 500,
\t"storage_expiration_time": 60,
\t"health_check_endpoint_name": "hello",
\t"health_check_endpoint_port": 8084,
\t"pumps": {
\t\t"CSV": {
\t\t\t"name": "csv",
\t\t\t"type": "csv",
\t\t\t"timeout": 0,
\t\t\t"omit_detailed_recording": false,
\t\t\t"max_record_size": 2000,
\t\t\t"ignore_fields": ["api_key", "expireAt"],
\t\t\t"filters": {
\t\t\t\t"api_ids": ["a1"],
\t\t\t\t"org_ids": ["o1", "o2"],
\t\t\t\t"response_codes": [200, 500],
\t\t\t\t"skip_api_ids": ["a2"],
\t\t\t\t"skip_org_ids": [],
\t\t\t\t"skip_response_codes": [404]
\t\t\t},
\t\t\t"raw_request_decoded": true,
\t\t\t"raw_response_decoded": false,
\t\t\t"meta": {"csv_dir": "./", "meta_env_prefix": "TYK_PMP_PUMPS_CSV_META"}
\t\t},
\t\t"elasticsearch": {
\t\t\t"raw_request_decoded": true,
\t\t\t"raw_response_decoded": true,
\t\t\t"meta": {
\t\t\t\t"index_name": "tyk_analytics",
\t\t\t\t"elasticsearch_url": "http://localhost:9200",
\t\t\t\t"document_type": "tyk_analytics",
\t\t\t\t"rolling_index": false,
\t\t\t\t"version": "6",
\t\t\t\t"bulk_config": {"workers": 2, "flush_interval": 60}
\t\t\t}
\t\t}
\t},
\t"uptime_pump_config": {"collection_name": "tyk_uptime_analytics", "mongo_url": "mongodb://localhost/tyk"},
\t"dont_purge_uptime_data": false,
\t"statsd_connection_string": "localhost:8125",
\t"statsd_prefix": "pump",
\t"omit_detailed_recording": true,
\t"max_record_size": 1000,
\t"omit_config_file": true,
\t"enable_http_profiler": true,
\t"raw_request_decoded": true,
\t"raw_response_decoded": true,
\t"kv": {}
}
"""

UPTIME = (
    "uptime records are not moved: the list host-checker:tyk-uptime-analytics grows if the gateway's uptime tests are"
    " on; switch them off, or leave it to a Tyk Pump that has this list only"
)


@pytest.fixture(autouse=True)
def in_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A working directory, and no variable of the original."""
    monkeypatch.chdir(tmp_path)


def legacy(text: str) -> Config:
    """Load text as pump.conf in the working directory."""
    file = Path("pump.conf")
    file.write_text(text)
    return load(file)


def plain(pumps: dict[str, Any] | None = None, storage: dict[str, Any] | None = None, **top: Any) -> str:
    """Return a small file, on one line."""
    pumps = {"elasticsearch": {}} if pumps is None else pumps
    document = {"analytics_storage_config": storage or {}, "dont_purge_uptime_data": True, "pumps": pumps} | top
    return json.dumps(document)


def notes(config: Config) -> list[str]:
    """Return what is said of a configuration, but that it is one of Tyk Pump."""
    said = [str(note) for note in config.notes]
    assert said[0] == "pump.conf: is read as a configuration of Tyk Pump; `pumpkit config show` tells what it means"
    return said[1:]


def problems(text: str) -> list[str]:
    """Return everything that is wrong in a file."""
    with pytest.raises(ConfigInvalid) as caught:
        legacy(text)
    return [str(problem) for problem in caught.value.problems]


def test_every_key(tmp_path):
    """In our own terms."""
    config = legacy(EVERY_KEY)
    where = "rediss://:p%40ss%2Fword@redis.example:6380/1"
    files = f"ca-file={tmp_path}/certs/ca.pem&cert-file=/etc/c.pem&key-file=/etc/k.pem&connect-timeout=5"
    assert config.buffer.url == f"{where}?name=gw-tyk-system-analytics&{files}"
    assert config.inputs == {
        "tyk": InputConfig(
            name="tyk", dialect="tyk", url=f"{where}?{files}", key="gw-tyk-system-analytics", source="tyk"
        )
    }
    assert len(config.inputs["tyk"].lists()) == 22  # with the suffixes that the gateway spreads over
    assert config.log == LogConfig(level="warning", format="json")
    assert (config.purge_delay, config.health_check_path) == (2.0, "hello")
    assert config.health_check_address == "0.0.0.0:8084"
    assert config.omit_detailed_recording
    csv, es = config.pumps["csv"], config.pumps["elasticsearch"]
    assert csv.filters == Filters(
        include={"api_id": ["a1"], "org_id": ["o1", "o2"], "response_code": [200, 500]},
        exclude={"api_id": ["a2"], "response_code": [404]},
    )
    assert (csv.timeout, es.timeout) == (0.0, None)
    assert (csv.max_detail_bytes, es.max_detail_bytes) == (2000, 1000)
    assert csv.detail_fields == es.detail_fields == ["raw_request", "raw_response"]
    assert (csv.ignore_fields, es.ignore_fields) == (["api_key", "expire_at"], [])
    assert (csv.decode_base64, es.decode_base64) == (["raw_request"], ["raw_request", "raw_response"])
    assert csv.meta == {"csv_dir": "./"}
    assert es.meta["bulk_config"] == {"workers": 2, "flush_interval": 60}


def test_what_is_not_honoured_is_named():
    """With file, line and key path, in the order of the file."""
    assert notes(legacy(EVERY_KEY)) == [
        "pump.conf:15: analytics_storage_config.optimisation_max_idle: is not needed, for every process has a few"
        " connections at most; it may go",
        "pump.conf:27: analytics_storage_config.ssl_max_version: is not honoured: TLS 1.2 and later are spoken; the"
        " server decides",
        "pump.conf:34: purge_chunk: is not needed: lists are always moved in small parts, until they are empty;"
        " it may go",
        "pump.conf:35: storage_expiration_time: is not honoured: no record expires before it is delivered; it may go",
        "pump.conf:39: pumps.CSV: columns and files of CSV have other names than those of the original: a column is"
        " named after its field (username, api_id), and files are named after the pump and the hour",
        "pump.conf:56: pumps.CSV.meta.meta_env_prefix: is ignored: no variables are read; it may go",
        f"pump.conf:72: dont_purge_uptime_data: {UPTIME}",
        "pump.conf:73: statsd_connection_string: is not honoured: the health endpoint serves metrics for Prometheus at"
        " /metrics; it may go",
        "pump.conf:74: statsd_prefix: is not honoured: the health endpoint serves metrics for Prometheus at /metrics;"
        " it may go",
        "pump.conf:75: omit_detailed_recording: is honoured here: every pump gets records without raw_request and"
        " raw_response, though the original sends them on all the same",
        "pump.conf:77: omit_config_file: is ignored, for it would be read from the environment; it may go",
        "pump.conf:78: enable_http_profiler: is not honoured: there is no profiler of Go here; it may go",
        "pump.conf:79: raw_request_decoded: does nothing in the original either; set it in a pump",
        "pump.conf:80: raw_response_decoded: does nothing in the original either; set it in a pump",
    ]


def test_the_least_file():
    """The defaults of the original, where it works with them."""
    config = legacy('{"analytics_storage_type": "redis", "pumps": {"mongo": {}}}')
    assert (config.buffer.url, config.purge_delay) == (f"redis://127.0.0.1?name={LIST}", 0.2)
    assert (config.health_check_address, config.health_check_path) == ("0.0.0.0:8083", "health")
    assert config.pumps["mongo"].max_detail_bytes is None
    assert notes(config) == [f"pump.conf: dont_purge_uptime_data: is not there, so it is false, but {UPTIME}"]


@pytest.mark.parametrize(
    ("storage", "location"),
    [
        ({"hosts": {"a": "1", "b": 2}, "enable_cluster": True}, "redis+cluster://a:1,b:2?"),
        ({"hosts": {"a": "1"}, "addrs": ["b:2"]}, "redis://b:2?"),
        ({"addrs": ["a:1"], "master_name": "m", "sentinel_password": "s&p"}, "redis+sentinel://a:1/m?"),
        ({"host": "h", "redis_use_ssl": True, "redis_ssl_insecure_skip_verify": True}, "rediss://h?"),
        ({"host": "h", "port": 1, "ssl_ca_file": "ca.pem"}, "redis://h:1?"),
    ],
)
def test_where_redis_is(storage, location):
    """In every spelling; what is for TLS counts with TLS only."""
    url = legacy(plain(storage=storage)).buffer.url
    assert url is not None
    assert url.startswith(location)
    assert ("sentinel-password=s%26p" in url) == ("sentinel_password" in storage)
    assert ("verify-cert=false" in url) == ("redis_use_ssl" in storage)
    assert "ca-file" not in url


@pytest.mark.parametrize(
    ("prefix", "key", "name"),
    [
        ({}, LIST, LIST),
        ({"key_prefix": "k-"}, "k-tyk-system-analytics", "k-tyk-system-analytics"),
        ({"redis_key_prefix": "r:"}, "r:tyk-system-analytics", "r%3Atyk-system-analytics"),
        ({"redis_key_prefix": "r-", "key_prefix": "k-"}, "k-tyk-system-analytics", "k-tyk-system-analytics"),
        ({"key_prefix": "{tag}-"}, "{tag}-tyk-system-analytics", "tag"),  # which share a slot of a cluster
        ({"key_prefix": "{}-"}, "{}-tyk-system-analytics", None),
    ],
)
def test_the_name_of_the_list(prefix, key, name):
    """Its prefix is the file's, and the buffer beside it is named so that one script can move from one to the other."""
    text = plain(storage={"host": "h", **prefix})
    if name is None:
        assert "name must be" in problems(text)[0]
        return
    config = legacy(text)
    assert (config.inputs["tyk"].key, config.buffer.url) == (key, f"redis://h?name={name}")


@pytest.mark.parametrize(
    ("top", "pump", "size"),
    [(0, 0, None), (7, 0, 7), (7, None, 7), (7, 9, 9), (0, 9, 9), (None, None, None)],
)
def test_the_size_of_a_record(top, pump, size):
    """That of a pump, else that of the file; 0 is none."""
    pumps = {"elasticsearch": {"max_record_size": pump}}
    assert legacy(plain(pumps, max_record_size=top)).pumps["elasticsearch"].max_detail_bytes == size


def test_null_is_as_good_as_nothing():
    """As Go reads it."""
    text = plain({"elasticsearch": {"filters": None, "meta": None, "timeout": None, "ignore_fields": None}})
    assert legacy(text).pumps["elasticsearch"] == legacy(plain()).pumps["elasticsearch"]
    assert notes(legacy(plain(kv=None, uptime_pump_config={}, log_level="", log_format="legacy"))) == [
        "pump.conf:1: log_format: `legacy` is the format text here"
    ]


def test_what_is_a_legacy_file():
    """By its content, not its name: keys that only the original has, in any case, and none that only pumpkit has."""
    document = plain()
    for name in ("pump.conf", "pumpkit.yaml", "x.json"):
        Path(name).write_text(document.replace("analytics_storage_config", "Analytics_Storage_Config"))
        assert list(load(Path(name)).inputs) == ["tyk"]
    with pytest.raises(ConfigInvalid, match="unknown key"):
        legacy(plain(buffer="redis://h"))
    with pytest.raises(ConfigInvalid, match="unknown key"):
        legacy(plain(inputs={}))


def test_everything_wrong_is_said_at_once():
    """At the keys of the file, as it spells them."""
    text = """\
{
  "analytics_storage_type": "mongo",
  "analytics_storage_config": {
    "type": "etcd",
    "port": "x",
    "iam_auth": {"enabled": true, "provider": "gcp"}
  },
  "purge_delay": 1.5,
  "purge_delay": 2,
  "health_check_endpoint_port": 99999,
  "log_level": "loud",
  "pumps": {
    "csv": {"max_record_size": -1, "filters": {"response_codes": ["x"]}, "ignore_fields": [{}]},
    "CSV": {},
    "mongo-pump-aggregate": {"meta": {"mongo_url": "kv://vault/mongo"}},
    "splunk": {"type": "splunk", "meta": {"x": ["$kv{vault:x}"]}}
  },
  "kv": {"stores": {"vault": {}}}
}
"""
    none = "(there are csv, mongo, elasticsearch): take the pump out of this file, or install a plugin of that name"
    assert problems(text) == [
        'pump.conf:2: analytics_storage_type: must be redis, not "mongo"',
        'pump.conf:4: analytics_storage_config.type: must be redis, not "etcd"',
        'pump.conf:5: analytics_storage_config.port: must be a whole number, not "x"',
        "pump.conf:6: analytics_storage_config.iam_auth: logging in by a cloud's identities is not known here; use"
        " username and password",
        "pump.conf:8: purge_delay: stands twice in this mapping, in lines 8 and 9; keep one",
        "pump.conf:10: health_check_endpoint_port: must be a port up to 65535, not 99999",
        'pump.conf:11: log_level: must be debug, info, warn or error, not "loud"',
        'pump.conf:13: pumps.csv.filters.response_codes.0: must be a whole number, not "x"',
        "pump.conf:13: pumps.csv.ignore_fields.0: must be text, not a mapping",
        "pump.conf:13: pumps.csv.max_record_size: must be a whole number from 0, not -1",
        "pump.conf:14: pumps.CSV: is the same pump as csv, for names are in lower case; rename one",
        "pump.conf:15: pumps.mongo-pump-aggregate: no plugin 'mongo-pump-aggregate' is installed, and no package of"
        f" pumpkit brings this type of pump {none}",
        "pump.conf:15: pumps.mongo-pump-aggregate.meta.mongo_url: refers to a store of secrets, which is not read;"
        " write ${NAME} or ${file:PATH}",
        "pump.conf:16: pumps.splunk.meta.x.0: refers to a store of secrets, which is not read; write ${NAME} or"
        " ${file:PATH}",
        "pump.conf:16: pumps.splunk.type: no plugin 'splunk' is installed, and no package of pumpkit brings this type"
        f" of pump {none}",
        "pump.conf:18: kv: stores of secrets are not read; write ${NAME} or ${file:PATH} where a value refers to one",
    ]


def test_a_plugin_of_an_originals_name_will_do(monkeypatch):
    """One that is installed is taken, whoever made it; a type that neither original has is left to the runner."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "sinks_for_tests"))
    assert legacy(plain({"x": {"type": "T-File"}})).pumps["x"].type == "t-file"
    monkeypatch.setattr("pumpkit.config.legacy.pumps.OTHERS", ["t-file", "kafka"])
    assert legacy(plain({"x": {"type": "t-file"}})).pumps["x"].type == "t-file"
    assert "no plugin 'kafka' is installed" in problems(plain({"x": {"type": "kafka"}}))[0]


def test_broken_json_is_told_with_its_line():
    """In the words of YAML, of which JSON is a part."""
    (said,) = problems('{\n  "analytics_storage_config": {},\n  "purge_delay" 2\n}')
    assert said.startswith("pump.conf:3: is not YAML: ")


def test_variables_that_are_not_read_are_told(monkeypatch):
    """With every file, for a service may come with them; never their values."""
    monkeypatch.setenv("TYK_PMP_PUMPS_CSV_META_CSVDIR", "hunter2")
    monkeypatch.setenv("PMP_MONGO_MONGOURL", "mongodb://u:hunter2@h")
    monkeypatch.setenv("TYK_LOGLEVEL", "debug")
    said = [
        "PMP_MONGO_MONGOURL is set, and is not read: write its setting into the file",
        "TYK_LOGLEVEL is set, and is not read: write its setting into the file",
        "TYK_PMP_PUMPS_CSV_META_CSVDIR is set, and is not read: write its setting into the file",
    ]
    assert notes(legacy(plain())) == [f"pump.conf: {text}" for text in said]
    ours = Path("pumpkit.yaml")
    ours.write_text('pumps: {csv: {meta: {csv-dir: "${TYK_PMP_PUMPS_CSV_META_CSVDIR}"}}}\n')
    assert [str(note) for note in load(ours).notes] == [f"pumpkit.yaml: {text}" for text in said[:2]]


def test_the_file_above_has_every_key():
    """So that nothing that is read goes untested."""
    for table in (tyk.KEYS, tyk.STORAGE_KEYS, tyk.PUMP_KEYS, tyk.FILTERS):
        for old in table:
            assert f'"{old.name}":' in EVERY_KEY, old.name
