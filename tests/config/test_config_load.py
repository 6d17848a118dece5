"""A whole file: where it is found, what it becomes, what is folded into its pumps."""

from pathlib import Path

import pytest

from pumpkit.config import BufferConfig, Config, ConfigInvalid, Filters, LogConfig, PumpConfig
from pumpkit.config.load import find_file, load

PUMP = "pumps: {csv: {}}\n"


def test_the_file_named_wins_over_the_environment_and_the_default(monkeypatch):
    """Option, else $PUMPKIT_CONFIG, else ./pumpkit.yaml."""
    monkeypatch.setenv("PUMPKIT_CONFIG", "/etc/p.yaml")
    assert find_file("x.yaml") == Path("x.yaml")
    assert find_file(None) == Path("/etc/p.yaml")
    monkeypatch.delenv("PUMPKIT_CONFIG")
    assert find_file() == Path("pumpkit.yaml")


def test_a_missing_or_unreadable_file_is_a_problem(tmp_path):
    """The system's reason is given, and where a first configuration comes from."""
    with pytest.raises(ConfigInvalid) as caught:
        load(tmp_path / "none.yaml")
    assert str(caught.value) == (
        f"{tmp_path}/none.yaml: cannot be read: No such file or directory;"
        " `pumpkit config init` writes one to start from"
    )
    with pytest.raises(ConfigInvalid, match=r"cannot be read: Is a directory$"):
        load(tmp_path)


def test_defaults(config_of, tmp_path):
    """The least file: one pump, whose type is its name."""
    config = config_of(PUMP)
    assert config == Config(
        file=tmp_path / "pumpkit.yaml",
        buffer=BufferConfig(url=None, max_bytes=None),
        purge_delay=0.2,
        health_check_address="127.0.0.1:7070",
        health_check_path="healthz",
        omit_detailed_recording=False,
        detail_fields=["policies", "deciders"],
        shutdown_grace=None,
        log=LogConfig(level="info", format="text"),
        pumps={
            "csv": PumpConfig(
                name="csv",
                type="csv",
                enabled=True,
                required=True,
                sources=[],
                filters=Filters(include={}, exclude={}),
                omit_detailed_recording=False,
                detail_fields=["policies", "deciders"],
                fields=None,
                rename_fields={},
                add_fields={},
                timeout=None,
                batch_records=1000,
                batch_bytes=4 << 20,
                max_attempts=5,
                reject_limit=1000,
                start="oldest",
                meta={},
            )
        },
        lines={"pumps": 1, "pumps.csv": 1},
    )


def test_every_key_is_read(config_of, tmp_path):
    """In kebab-case and in snake_case."""
    text = """
buffer: {url: "sqlite:////var/lib/p.db", max-bytes: 2GiB}
purge-delay: 1s
health-check-address: "[::1]:7071"
health-check-path: /health/all
omit-detailed-recording: false
detail-fields: [request]
shutdown-grace: 1m
log: {level: debug, format: json}
pumps:
  audit.v2_x-1:
    type: csv
    enabled: "true"
    required: false
    sources: [authz]
    filters: {include: {effect: [deny]}}
    omit-detailed-recording: true
    detail-fields: [policies]
    fields: [username, effect]
    rename-fields: {username: user}
    add-fields: {site: berlin, nested: {n: [1]}}
    timeout: 500ms
    batch-records: 10
    batch-bytes: 1MiB
    max-attempts: 2
    reject-limit: 3
    start: newest
    meta: {csv-dir: x, nested: {a: [1]}}
"""
    expected = Config(
        file=tmp_path / "pumpkit.yaml",
        buffer=BufferConfig(url="sqlite:////var/lib/p.db", max_bytes=2 << 30),
        purge_delay=1.0,
        health_check_address="[::1]:7071",
        health_check_path="health/all",
        detail_fields=["request"],
        shutdown_grace=60.0,
        log=LogConfig(level="debug", format="json"),
        pumps={
            "audit.v2_x-1": PumpConfig(
                name="audit.v2_x-1",
                type="csv",
                required=False,
                sources=["authz"],
                filters=Filters(include={"effect": ["deny"]}),
                omit_detailed_recording=True,
                detail_fields=["policies"],
                fields=["username", "effect"],
                rename_fields={"username": "user"},
                add_fields={"site": "berlin", "nested": {"n": [1]}},
                timeout=0.5,
                batch_records=10,
                batch_bytes=1 << 20,
                max_attempts=2,
                reject_limit=3,
                start="newest",
                meta={"csv-dir": "x", "nested": {"a": [1]}},
            )
        },
    )
    config = config_of(text)
    snake = text.replace("audit.v2_x-1", "@").replace("csv-dir", "%").replace("-", "_")
    for found in (config, config_of(snake.replace("@", "audit.v2_x-1").replace("%", "csv-dir"))):
        assert (found.lines["pumps.audit.v2_x-1.meta.csv-dir"], found.lines["pumps.audit.v2_x-1.meta.nested.a.0"]) == (
            28,
            28,
        )
        found.lines.clear()
        assert found == expected


def test_what_the_top_says_of_detail_holds_for_every_pump(config_of):
    """Omitting is OR; a pump's own detail-fields win over those at the top."""
    config = config_of(
        """
omit-detailed-recording: true
detail-fields: [request]
pumps:
  a: {omit-detailed-recording: false}
  b: {detail_fields: [policies, deciders]}
  c: {detail-fields: []}
"""
    )
    assert {name: (p.omit_detailed_recording, p.detail_fields) for name, p in config.pumps.items()} == {
        "a": (True, ["request"]),
        "b": (True, ["policies", "deciders"]),
        "c": (True, []),
    }
    config = config_of("pumps: {a: {omit-detailed-recording: true}, b: {}}")
    assert [pump.omit_detailed_recording for pump in config.pumps.values()] == [True, False]


def test_a_disabled_pump_is_kept_but_not_run(config_of):
    """It stays in `pumps`, for its cursor belongs to the configuration."""
    config = config_of("pumps: {a: {enabled: false}, b: {}}")
    assert list(config.pumps) == ["a", "b"]
    assert list(config.enabled_pumps) == ["b"]


@pytest.mark.parametrize(
    ("written", "loaded"),
    [
        ("sqlite:///buffer.db", "sqlite:///{folder}/buffer.db"),
        ("sqlite:///a/../b.db", "sqlite:///{folder}/a/../b.db"),
        ("{{url: 'sqlite:///buffer.db'}}", "sqlite:///{folder}/buffer.db"),
        ("{{max-bytes: 1GiB}}", None),
        ("sqlite:///${{DIR}}/x.db", "sqlite:////data/x.db"),
        ("sqlite:////abs/x.db", "sqlite:////abs/x.db"),
        ("redis://:pw@host:6379/0?name=p", "redis://:pw@host:6379/0?name=p"),
        ("redis+sentinel://h/m", "redis+sentinel://h/m"),
        ("{{url: 'redis://h', shards: 4}}", "redis://h?shards=4"),
        ("{{url: 'redis://h?name=p', shards: 4}}", "redis://h?name=p&shards=4"),
        (
            "rediss://h?ca-file=ca.pem&key-file=/k&cert-file=c",
            "rediss://h?ca-file={folder}/ca.pem&key-file=/k&cert-file={folder}/c",
        ),
        ("redis://h?password-file=p%20w", "redis://h?password-file={folder}/p%20w"),
        ("{{url: null}}", None),
    ],
)
def test_the_buffer_is_a_url_with_an_absolute_path(config_of, tmp_path, monkeypatch, written, loaded):
    """Three slashes: relative to the file's folder, wherever the program runs; four: absolute."""
    monkeypatch.setenv("DIR", "/data")
    monkeypatch.chdir("/")
    config = config_of(f"buffer: {written.format()}\n" + PUMP)
    assert config.buffer.url == (loaded and loaded.format(folder=tmp_path))


def test_a_relative_file_gives_an_absolute_buffer_and_folder(tmp_path, monkeypatch):
    """The file itself stays as it was named, for messages."""
    monkeypatch.chdir(tmp_path)
    Path("p.yaml").write_text("buffer: sqlite:///x.db\n" + PUMP)
    config = load(Path("p.yaml"))
    assert (config.file, config.folder) == (Path("p.yaml"), tmp_path)
    assert config.buffer.url == f"sqlite:///{tmp_path}/x.db"


@pytest.mark.parametrize(
    "address", ["127.0.0.1:7070", "localhost:0", "0.0.0.0:65535", "[::1]:80", "[fe80::1%eth0]:80", "my-host.example:1"]
)
def test_health_addresses(config_of, address):
    """Host and port, an IPv6 address in brackets."""
    assert config_of(f"health-check-address: '{address}'\n{PUMP}").health_check_address == address


def test_health_can_be_switched_off(config_of):
    """By null."""
    assert config_of(f"health-check-address: null\n{PUMP}").health_check_address is None


def test_interpolated_text_is_coerced_by_its_key(config_of, monkeypatch):
    """A whole number, a boolean, a duration, a size and a list's item can come from the environment."""
    for name, value in {"N": "7", "B": "false", "D": "3s", "S": "2MiB", "A": "authz"}.items():
        monkeypatch.setenv(name, value)
    pump = config_of(
        "pumps: {a: {batch-records: '${N}', required: '${B}', timeout: '${D}', batch-bytes: '${S}', sources: ['${A}']}}"
    ).pumps["a"]
    assert (pump.batch_records, pump.required, pump.timeout, pump.batch_bytes, pump.sources) == (
        7,
        False,
        3.0,
        2 << 20,
        ["authz"],
    )


def test_a_pumps_meta_does_not_show_in_its_repr(config_of):
    """Nor does the buffer's URL: both may hold secrets."""
    config = config_of("buffer: redis://:hunter2@h/\npumps: {a: {meta: {password: hunter2}}}")
    assert "hunter2" not in repr(config)


def test_the_slot_is_the_host_by_default(config_of, monkeypatch):
    """A name of its own stays; a host name becomes a valid one."""
    assert config_of("slot: east-1\n" + PUMP).runner_slot == "east-1"
    monkeypatch.setattr("socket.gethostname", lambda: "größe.example" + "x" * 60)
    assert config_of(PUMP).runner_slot == ("gr--e.example" + "x" * 60)[:63]


def test_several_workers_need_a_buffer_that_can_be_shared(config_of, monkeypatch):
    """The file's URL or the environment's says where the log is; elsewhere than in a file several may share."""
    pump = "pumps: {csv: {workers: 2}}\n"
    assert config_of("buffer: redis://localhost\n" + pump).pumps["csv"].workers == 2
    monkeypatch.setenv("PUMPKIT_BUFFER", "redis://localhost")
    assert config_of(pump).pumps["csv"].workers == 2
    with pytest.raises(ConfigInvalid, match="is read by one worker for each pump"):
        config_of("buffer: sqlite:///b.db\n" + pump)
