"""`pumpkit run` with the configuration files of the Go originals, on lists as the Go programs fill them."""

import contextlib
import json
import signal
from pathlib import Path

import pytest

from tests.servers.redis import free_port

GOLDEN = json.loads((Path(__file__).parents[1] / "dialects" / "golden" / "golden.json").read_text())

PASSWORD = "p@ss/w:rd%"

IAM = """\
purge-delay: {delay}
health-check-path: healthz
health-check-address: 127.0.0.1:0
omit-detailed-recording: true
redis:
  host: 127.0.0.1
  port: {port}
  username: pump
  password: {password}
  database: 0
  optimisation-max-idle: 100
pumps:
  CSV:
    type: csv
    filters:
      skip_usernames: [u]
    meta:
      csv_dir: ./csv
log:
  level: debug
  format: console
"""


@pytest.fixture
def legacy(new_world, redis_server):
    """A world on a Redis where a user with a difficult password may do everything, and a client of that Redis."""
    redis_server.add_user("pump", PASSWORD, "~*", "&*", "+@all")
    with contextlib.closing(redis_server.client()) as client:
        world = new_world(redis_server.url)
        world.client, world.port = client, redis_server.port
        yield world
        client.acl_deluser("pump")


def items(*kinds):
    """Return what Go programs wrote of these dialects, by name."""
    return {name: bytes.fromhex(text) for kind in kinds for name, text in GOLDEN[kind].items()}


def test_iam_pump_yaml(legacy):
    """What iam-authz-server wrote arrives in CSV: filtered, without detail, once; later records and a reload, too."""
    key = "analytics-iam-system-analytics"
    legacy.config = legacy.folder / "iam-pump.yaml"
    legacy.config.write_text(IAM.format(port=legacy.port, password=json.dumps(PASSWORD), delay=1))
    legacy.url += f"?name={key}"
    written = items("iam")
    legacy.client.rpush(key, *written.values(), b"no record")
    runner = legacy.run()
    legacy.until(lambda: not legacy.client.exists(key))
    legacy.wait_for_lag("csv")
    rows = legacy.csv_rows()
    assert len(rows) == len(written) - 1  # `empty` is of the user u
    (colin,) = [row for row in rows if row["username"] == "colin"]
    assert (colin["effect"], colin["request"], colin["policies"], colin["deciders"]) == (
        "allow",
        '{"resource":"r"}',
        "",
        "",
    )
    assert [letter.kind for letter in legacy.dead("csv")] == ["bad-frame"]
    stats = legacy.stats("csv")
    assert (stats.delivered, stats.filtered, stats.dead) == (len(rows), 1, 1)
    assert "iam-pump.yaml:11: redis.optimisation-max-idle: is not needed" in runner.log
    assert PASSWORD not in runner.log

    legacy.config.write_text(IAM.format(port=legacy.port, password=json.dumps(PASSWORD), delay="often"))
    runner.signal(signal.SIGHUP)
    legacy.until(lambda: "not reloaded" in runner.log)
    assert "iam-pump.yaml:1: purge-delay: must be a whole number" in runner.log
    text = IAM.format(port=legacy.port, password=json.dumps(PASSWORD), delay=1)
    legacy.config.write_text(text.replace("skip_usernames: [u]", "usernames: [u]"))
    runner.signal(signal.SIGHUP)
    legacy.until(lambda: "reloaded" in runner.log.replace("not reloaded", ""))
    legacy.client.rpush(key, written["empty"], written["full"])
    legacy.until(lambda: legacy.stats("csv").delivered == len(rows) + 1)
    assert [row["username"] for row in legacy.csv_rows()][-1:] == ["u"]
    assert legacy.get("/healthz")[0] == 200
    assert "\ncsv " in legacy.cli("status")
    assert "bad-frame" in legacy.cli("dlq", "ls", "--pump", "csv")
    assert runner.stop() == 0, runner.log


def test_pump_conf(legacy):
    """What Tyk Gateway wrote arrives from every list, msgpack and protobuf, cut and decoded as the file says."""
    key = "gw-tyk-system-analytics"
    document = {
        "analytics_storage_type": "redis",
        "analytics_storage_config": {
            "type": "redis",
            "host": "127.0.0.1",
            "port": legacy.port,
            "hosts": None,
            "username": "pump",
            "password": PASSWORD,
            "database": 0,
            "redis_key_prefix": "gw-",
        },
        "purge_delay": 1,
        "health_check_endpoint_port": free_port(),
        "dont_purge_uptime_data": True,
        "pumps": {
            "CSV": {
                "type": "csv",
                "filters": {"skip_response_codes": [0]},
                "ignore_fields": ["api_key"],
                "raw_request_decoded": True,
                "max_record_size": 3,
                "meta": {"csv_dir": "./csv"},
            }
        },
    }
    legacy.config = legacy.folder / "pump.conf"
    legacy.config.write_text(json.dumps(document, indent="\t"))
    legacy.url += f"?name={key}"
    msgpack, protobuf = items("tyk"), items("protobuf")
    legacy.client.rpush(key, msgpack["full"], msgpack["zero"])
    legacy.client.rpush(f"{key}_7", msgpack["full"])
    legacy.client.rpush(f"{key}_protobuf", protobuf["full"])
    legacy.client.rpush(f"{key}_3_protobuf", protobuf["full"])
    runner = legacy.run()
    legacy.until(lambda: (stats := legacy.stats("csv")) and stats.delivered + stats.filtered == 5)
    rows = legacy.csv_rows()
    assert len(rows) == 4
    assert {(row["api_id"], row["org_id"], row["response_code"]) for row in rows} == {("id", "org", "-1")}
    assert {(row["raw_request"], row["raw_response"]) for row in rows} == {("GET", "/w=")}
    assert all("api_key" not in row for row in rows)
    assert legacy.stats("csv").filtered == 1
    assert not [name for name in legacy.client.keys() if name.decode().startswith("gw-")]  # noqa: SIM118 (no mapping)
    assert legacy.get("/health")[0] == 200
    assert runner.stop() == 0, runner.log


def test_what_is_shown_goes_on_in_place(legacy, monkeypatch):
    """A pumpkit.yaml made by `config show` takes over from the file: nothing is delivered again, and nothing left.

    The password is in a variable, which every process reads for itself.
    """
    monkeypatch.setenv("LEGACY_PASSWORD", PASSWORD)
    key = "analytics-iam-system-analytics"
    legacy.config = legacy.folder / "iam-pump.yaml"
    legacy.config.write_text(IAM.format(port=legacy.port, password="${LEGACY_PASSWORD}", delay=1))
    legacy.url += f"?name={key}"
    legacy.client.rpush(key, items("iam")["full"])
    first = legacy.run()
    legacy.until(lambda: len(legacy.csv_rows()) == 1)
    assert first.stop() == 0, first.log
    shown = legacy.cli("config", "show")
    assert PASSWORD not in shown
    legacy.config = legacy.folder / "pumpkit.yaml"
    legacy.config.write_text(shown)
    legacy.client.rpush(key, items("iam")["negative"])
    second = legacy.run()
    legacy.until(lambda: len(legacy.csv_rows()) == 2)
    legacy.wait_for_lag("csv")
    assert legacy.stats("csv").delivered == 2
    assert second.stop() == 0, second.log
    assert "is read as a configuration" not in second.log
