"""Files of iam-pump: what every key becomes, what is said of what cannot be honoured, and errors with their lines."""

from pathlib import Path

import pytest

from pumpkit.config import BufferConfig, Config, ConfigInvalid, Filters, LogConfig
from pumpkit.config.inputs import InputConfig
from pumpkit.config.legacy import iam, server
from pumpkit.config.load import load, read

LIST = "analytics-iam-system-analytics"

#: Every key that iam-pump knows.
EVERY_KEY = """\
# How iam-pump is set up.
purge-delay: 5
health-check-path: /healthz
health-check-address: 0.0.0.0:7071
omit-detailed-recording: true
redis:
  host: ${LEGACY_HOST}
  port: ${LEGACY_PORT}
  addrs:
  username: pumper
  password: p@ss/${LEGACY_WORD}
  database: 3
  master-name:
  optimisation-max-idle: 2000
  optimisation-max-active: 4000
  timeout: 7
  enable-cluster: false
  use-ssl: true
  ssl-insecure-skip-verify: true
pumps:
  csv:
    type: csv
    timeout: 20
    omit-detailed-recording: false
    filters:
      usernames: [colin, 12]
      skip_usernames: [healthcheck]
    meta:
      csv_dir: ./analytics-data
  Store:
    type: Mongo
    meta:
      collection_name: iam_analytics
      mongo_url: ${LEGACY_MONGO}
      max_insert_batch_size_bytes: 500000
      max_document_size_bytes: 200000
      collection_cap_max_size_bytes: 1048576
      collection_cap_enable: true
  elasticsearch:
    meta:
      elasticsearch_url: http://127.0.0.1:9200
      index_name: iam
      rolling_index: true
      bulk_config: {workers: 2, flush_interval: 60}
log:
  name: pump
  development: true
  level: warn
  format: console
  enable-color: true
  disable-caller: false
  disable-stacktrace: false
  output-paths: /var/log/iam-pump.log,stdout
  error-output-paths: [stderr]
"""


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Variables that files in these tests name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEGACY_HOST", "redis.example")
    monkeypatch.setenv("LEGACY_PORT", "6380")
    monkeypatch.setenv("LEGACY_WORD", "word")
    monkeypatch.setenv("LEGACY_MONGO", "mongodb://h/db")


def legacy(text: str) -> Config:
    """Load text as iam-pump.yaml in the working directory."""
    file = Path("iam-pump.yaml")
    file.write_text(text)
    return load(file)


def notes(config: Config) -> list[str]:
    """Return what is said of a configuration, but that it is one of iam-pump."""
    said = [str(note) for note in config.notes]
    assert said[0] == (
        "iam-pump.yaml: is read as a configuration of iam-pump; `pumpkit config show` tells what it means"
    )
    return said[1:]


def problems(text: str) -> list[str]:
    """Return everything that is wrong in a file."""
    with pytest.raises(ConfigInvalid) as caught:
        legacy(text)
    return [str(problem) for problem in caught.value.problems]


def urls(config: Config) -> tuple[str | None, str | None]:
    """Return the URLs of the list and of the buffer."""
    return config.inputs["iam"].url, config.buffer.url


def test_every_key():
    """In our own terms; types and names of pumps are in lower case, and meta is passed on."""
    config = legacy(EVERY_KEY)
    where = "rediss://pumper:p%40ss%2Fword@redis.example:6380/3"
    options = "verify-cert=false&connect-timeout=7"
    assert config.purge_delay == 5.0
    assert (config.health_check_path, config.health_check_address) == ("healthz", "0.0.0.0:7071")
    assert config.omit_detailed_recording
    assert config.detail_fields == ["policies", "deciders"]
    assert config.buffer == BufferConfig(url=f"{where}?name={LIST}&{options}")
    assert config.inputs == {
        "iam": InputConfig(name="iam", dialect="iam", url=f"{where}?{options}", key=LIST, source="iam")
    }
    assert config.log == LogConfig(level="warning", format="text")
    assert {name: (pump.type, pump.timeout) for name, pump in config.pumps.items()} == {
        "csv": ("csv", 20.0),
        "store": ("mongo", None),
        "elasticsearch": ("elasticsearch", None),
    }
    assert config.pumps["csv"].filters == Filters(
        include={"username": ["colin", "12"]}, exclude={"username": ["healthcheck"]}
    )
    assert config.pumps["csv"].omit_detailed_recording  # for all of them
    assert config.pumps["store"].meta["mongo_url"] == "mongodb://h/db"
    assert config.pumps["elasticsearch"].meta["bulk_config"] == {"workers": 2, "flush_interval": 60}


def test_what_is_not_honoured_is_named():
    """With file, line and key path, in the order of the file."""
    assert notes(legacy(EVERY_KEY)) == [
        "iam-pump.yaml:14: redis.optimisation-max-idle: is not needed, for every process has a few connections at most;"
        " it may go",
        "iam-pump.yaml:15: redis.optimisation-max-active: is not needed, for every process has a few connections at"
        " most; it may go",
        "iam-pump.yaml:21: pumps.csv: columns and files of CSV have other names than those of the original: a column is"
        " named after its field (username, api_id), and files are named after the pump and the hour",
        "iam-pump.yaml:46: log.name: is not honoured: messages have one style; it may go",
        "iam-pump.yaml:47: log.development: is not honoured: messages have one style; it may go",
        "iam-pump.yaml:50: log.enable-color: is not honoured: messages have one style; it may go",
        "iam-pump.yaml:53: log.output-paths: is not honoured: messages go to stderr, where a service manager keeps"
        " them; it may go",
    ]


def test_lines_are_those_of_the_file():
    """Also of what a plugin's worker says of its meta."""
    config = legacy(EVERY_KEY)
    assert config.lines["pumps.store.meta.mongo_url"] == 34
    assert config.lines["buffer"] == config.lines["inputs.iam.url"] == 6
    assert config.lines["health-check-address"] == 4


def test_the_least_file():
    """The defaults of the original: every ten seconds, health for every network, and a pump that writes CSV."""
    config = legacy("redis: {}\n")
    assert (config.purge_delay, config.health_check_address) == (10.0, "0.0.0.0:7070")
    assert urls(config) == ("redis://127.0.0.1", f"redis://127.0.0.1?name={LIST}")
    assert (config.pumps["csv"].type, config.pumps["csv"].meta) == ("csv", {"csv_dir": "./analytics-data"})
    assert notes(config) == [
        "iam-pump.yaml: pumps: is missing, so there is one pump as in the original: csv, into ./analytics-data"
    ]


PUMPS = "pumps: {elasticsearch: {}}\n"


@pytest.mark.parametrize(
    ("redis", "location", "options"),
    [
        ("host: h", "redis://h", []),
        ("{host: h, port: 0}", "redis://h", []),
        ("{host: '::1', port: 1}", "redis://[::1]:1", []),
        ("addrs: ['a:1']", "redis://a:1", []),
        ("{addrs: 'a:1, b:2', enable-cluster: true}", "redis+cluster://a:1,b:2", []),
        ("{addrs: ['[::1]:1', b], enable-cluster: 'true'}", "redis+cluster://[::1]:1,b", []),
        ("{addrs: [a, b], master-name: m 1, database: 2}", "redis+sentinel://a,b/m%201/2", []),
        ("{addrs: [a], master-name: m, enable-cluster: true}", "redis+sentinel://a/m", []),
        ("{addrs: [a], master-name: m, use-ssl: true}", "redis+sentinel://a/m", ["tls=true"]),
        ("{host: h, use-ssl: true}", "rediss://h", []),
        ("{host: h, ssl-insecure-skip-verify: true}", "redis://h", []),  # nothing to verify
        ("{host: h, password: 12345}", "redis://:12345@h", []),
        ("{host: h, username: a:b, password: 'x@y:z%'}", "redis://a%3Ab:x%40y%3Az%25@h", []),
        ("{host: h, username: '', password: ''}", "redis://h", []),
        ("{host: h, password: '${LEGACY_WORD}'}", "redis://h", ["password-env=LEGACY_WORD"]),
        ("{host: h, username: u, password: '${LEGACY_WORD}'}", "redis://u@h", ["password-env=LEGACY_WORD"]),
        ("{host: h, password: '${LEGACY_NONE:-}'}", "redis://h", []),
        ("{host: h, password: '${LEGACY_NONE:-x}'}", "redis://:x@h", []),
        ("{host: h, timeout: 5000}", "redis://h", ["connect-timeout=3600"]),
        ("{host: h, Timeout: 5}", "redis://h", ["connect-timeout=5"]),
    ],
)
def test_where_redis_is(redis, location, options):
    """One server, sentinels, a cluster; passwords are percent-encoded, or named."""
    config = legacy(f"redis: {{{redis}}}\n{PUMPS}" if not redis.startswith("{") else f"redis: {redis}\n{PUMPS}")
    assert urls(config) == (
        location + ("?" + "&".join(options) if options else ""),
        location + "?" + "&".join([f"name={LIST}", *options]),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("purge-delay: 0\n", "1: purge-delay: is 0, of which the original never drains; here it is the default, 0.2 s"),
        (
            "health-check-path: readyz\n",
            "1: health-check-path: is served anyway; the check of every pump is at healthz besides",
        ),
        ("purge-dely: 3\n", "1: purge-dely: unknown key, ignored as by the original; did you mean purge-delay?"),
        ("colour: red\n", "1: colour: unknown key, ignored as by the original; it may go"),
    ],
)
def test_notes(text, said):
    """What is read and means something else here, or nothing."""
    config = legacy(f"{text}redis: {{}}\n{PUMPS}")
    assert notes(config) == [f"iam-pump.yaml:{said}"]
    assert config.purge_delay == (0.2 if "purge-delay" in text else 10.0)
    assert config.health_check_path == "healthz"


def test_notes_on_redis():
    """Servers that are no cluster, and a database that a cluster does not have."""
    assert notes(legacy(f"redis:\n  addrs: [a, b]\n{PUMPS}")) == [
        "iam-pump.yaml:2: redis.addrs: names several servers that are no cluster; the first one is used"
    ]
    assert notes(legacy(f"redis:\n  database: 1\n  enable-cluster: true\n{PUMPS}")) == [
        "iam-pump.yaml:2: redis.database: is ignored, for a cluster has the database 0 only; it may go"
    ]


def test_an_address_without_a_host_is_every_network():
    """As Go reads it."""
    assert legacy(f"health-check-address: ':7070'\nredis: {{}}\n{PUMPS}").health_check_address == "0.0.0.0:7070"


def test_everything_wrong_is_said_at_once():
    """At the keys of the file, as it spells them."""
    text = """\
purge-delay: often
health-check-path: metrics
health-check-address: here
redis:
  host: ${LEGACY_UNSET}
  port: 66000
  database: -1
  username: u
  enable-cluster: maybe
  addrs: {a: 1}
pumps:
  audit: {type: csv, timeout: -3, filters: {usernames: [[1]]}}
  Audit: {type: csv}
  Bad Name: {type: csv}
  queue: {type: Kafka}
  influx:
    meta: 7
log: {level: loud}
"""
    assert problems(text) == [
        'iam-pump.yaml:1: purge-delay: must be a whole number, not "often"',
        "iam-pump.yaml:2: health-check-path: must be another path: livez, readyz, metrics, status.json are served"
        " anyway",
        "iam-pump.yaml:3: health-check-address: must be host:port with a port up to 65535, such as 127.0.0.1:7070 or"
        " [::1]:7070",
        "iam-pump.yaml:5: redis.host: the environment variable LEGACY_UNSET is not set; set it, or write"
        " ${LEGACY_UNSET:-default}",
        "iam-pump.yaml:6: redis.port: must be a port up to 65535, not 66000",
        "iam-pump.yaml:7: redis.database: must be a whole number from 0, not -1",
        "iam-pump.yaml:8: redis.username: needs a password; add it, or remove the user",
        'iam-pump.yaml:9: redis.enable-cluster: must be true or false, not "maybe"',
        "iam-pump.yaml:10: redis.addrs: must be a list, not a mapping",
        "iam-pump.yaml:12: pumps.audit.filters.usernames.0: must be text, not a list",
        "iam-pump.yaml:12: pumps.audit.timeout: must be a whole number from 0, not -3",
        "iam-pump.yaml:13: pumps.Audit: is the same pump as audit, for names are in lower case; rename one",
        "iam-pump.yaml:14: pumps.Bad Name: is no name for a pump: letters a-z, digits, `_`, `.` and `-`, at most 63,"
        " no sign first",
        "iam-pump.yaml:15: pumps.queue.type: no plugin 'kafka' is installed, and no package of pumpkit brings this type"
        " of pump (there are csv, mongo, elasticsearch): take the pump out of this file, or install a plugin of that"
        " name",
        "iam-pump.yaml:16: pumps.influx: no plugin 'influx' is installed, and no package of pumpkit brings this type of"
        " pump (there are csv, mongo, elasticsearch): take the pump out of this file, or install a plugin of that name",
        "iam-pump.yaml:17: pumps.influx.meta: must be a mapping (lines of `key: value`), not 7",
        'iam-pump.yaml:18: log.level: must be debug, info, warn, error, dpanic, panic or fatal, not "loud"',
    ]


def test_no_password_is_told():
    """Neither by notes nor by problems, nor by the configuration itself."""
    config = legacy(f"redis: {{password: hunter2, addrs: [a, b]}}\n{PUMPS}")
    assert "hunter2" not in "\n".join(notes(config)) + repr(config)
    said = problems(f"redis: {{password: hunter2, host: 'a b', port: x}}\n{PUMPS}")
    assert "hunter2" not in "\n".join(said)


def test_variables_that_are_not_read_are_told(monkeypatch):
    """Those that iam-pump reads over its file, unless the file names them itself; never their values."""
    monkeypatch.setenv("IAM_PUMP_REDIS_HOST", "hunter2")
    monkeypatch.setenv("IAM_PUMP_PURGE_DELAY", "3")
    monkeypatch.setenv("IAM_PUMP_SERVICE_HOST", "10.0.0.1")  # of a cluster's own making
    monkeypatch.setenv("IAM_PUMP_LOG_LEVEL", "info")
    config = legacy(f"redis: {{}}\n{PUMPS}log: {{level: '${{IAM_PUMP_LOG_LEVEL}}'}}\n")
    assert notes(config) == [
        "iam-pump.yaml: IAM_PUMP_PURGE_DELAY is set, and is not read: write its setting into the file",
        "iam-pump.yaml: IAM_PUMP_REDIS_HOST is set, and is not read: write its setting into the file",
    ]
    ours = Path("pumpkit.yaml")
    ours.write_text("pumps: {csv: {}}\n")
    assert load(ours).notes == []


def test_the_file_above_has_every_key():
    """So that nothing that is read goes untested."""
    Path("iam-pump.yaml").write_text(EVERY_KEY)
    keys = {path.rpartition(".")[2] for path in read(Path("iam-pump.yaml")).config.lines} | set(EVERY_KEY.split())
    for table in (iam.KEYS, iam.PUMP_KEYS, iam.FILTERS, iam.LOG_KEYS, server.KEYS):
        for old in table:
            assert {f"{old.name}:", f"{old.name.replace('_', '-')}:"} & keys, old.name
