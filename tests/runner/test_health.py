"""The health endpoint over a table that the test fills."""

import json
import socket
import time
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pumpkit.buffers.base import BufferStats, CursorStats, HostDrops
from pumpkit.health import HealthServer
from pumpkit.status import InputStatus, PumpStatus, Status


class Endpoint:
    """A health server, its table, and a client."""

    def __init__(self, address="127.0.0.1:0"):
        self.alive = True
        self.table = Status(pumps={"audit": PumpStatus("audit", "csv")}, pid=1)
        self.server = HealthServer(address, "healthz", lambda: self.table, lambda: self.alive)

    def get(self, path, method="GET"):
        request = urllib.request.Request(f"http://{self.server.address}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def metrics(self):
        """Return {(name, labels as a sorted tuple): value}."""
        families = text_string_to_metric_families(self.get("/metrics")[1].decode())
        return {
            (sample.name, *sorted(sample.labels.values())): sample.value
            for family in families
            for sample in family.samples
        }


@pytest.fixture
def endpoint():
    """A health endpoint on a free port."""
    endpoint = Endpoint()
    yield endpoint
    endpoint.server.close()


def test_livez_says_whether_the_loop_turns(endpoint):
    """200 while it does, 503 once it hangs."""
    assert endpoint.get("/livez")[0] == 200
    endpoint.alive = False
    assert endpoint.get("/livez")[0] == 503


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/healthz?verbose"])
def test_health_is_bad_while_a_required_pump_is_failed(endpoint, path):
    """503 names the pump with state, reason and since; 200 otherwise."""
    assert endpoint.get(path) == (200, b'{"status": "ok"}\n')
    endpoint.table.pumps["audit"].enter("failed", "no such index")
    code, body = endpoint.get(path)
    pump = json.loads(body)["pumps"]["audit"]
    assert (code, pump["state"], pump["reason"]) == (503, "failed", "no such index")
    assert pump["since"] == pytest.approx(time.time(), abs=60)


def test_health_does_not_depend_on_optional_pumps(endpoint):
    """`required: false` keeps a failed pump out of it."""
    endpoint.table.pumps["audit"].required = False
    endpoint.table.pumps["audit"].enter("failed", "no such index")
    assert endpoint.get("/healthz")[0] == 200


@pytest.mark.parametrize(("state", "code"), [("running", 503), ("waiting", 503), ("crashed", 503), ("paused", 200)])
def test_health_is_bad_when_a_lag_does_not_shrink(endpoint, state, code):
    """A required pump that lags without a commit is failing after its patience, unless a person paused it."""
    pump = endpoint.table.pumps["audit"]
    pump.enter(state)
    pump.cursor = CursorStats("audit", 4, 0, 0, 0, 0, 0, 0, 17, None, "run", 0, 0)
    assert endpoint.get("/healthz")[0] == 200
    pump.moved -= pump.patience + 1
    got, body = endpoint.get("/healthz")
    assert got == code
    if code == 503:
        assert "17 records waiting" in json.loads(body)["pumps"]["audit"]["reason"]


def test_status_json_shows_the_whole_table(endpoint):
    """Every pump with its ledger, and the buffer."""
    endpoint.table.buffer = BufferStats(
        "id", "/var/lib/pumpkit/buffer.db", 4096, 1 << 30, 2, 1000, 0, {"full": 3}, [], {}
    )._replace(drops_by_host=[HostDrops("shop-1", "authz", 1, {"full": 3})])
    endpoint.table.pumps["audit"].cursor = CursorStats("audit", 4, 0, 983, 0, 0, 0, 0, 17, None, "run", 0, 0)
    document = json.loads(endpoint.get("/status.json")[1])
    assert document["pumps"]["audit"]["lag"] == 17
    assert document["buffer"]["drops"] == {"full": 3}
    assert document["buffer"]["drops_by_host"] == [
        {"host": "shop-1", "source": "authz", "last_ms": 1, "drops": {"full": 3}}
    ]
    assert not {"moved", "patience"} & set(document["pumps"]["audit"])


def test_metrics_are_what_prometheus_reads(endpoint):
    """Counters by outcome, lag, age, state, restarts, buffer size and drops, under the documented names."""
    oldest = int(time.time() * 1000) - 5000
    pump = endpoint.table.pumps["audit"]
    pump.enter("running")
    pump.cursor = CursorStats("audit", 4, 0, 900, 50, 3, 30, 7, 17, oldest, "run", 3, 600)
    pump.writes, pump.write_seconds, pump.restarts = 9, 1.5, 2
    drops = [HostDrops("shop-1", "authz", 1, {"full": 2}), HostDrops("other", "", None, {"full": 1, "unsent": 1})]
    drops.append(HostDrops("other", "", 1, {"unsent": 1}))
    endpoint.table.buffer = BufferStats("id", "x", 4096, 1 << 30, 2, 1000, 5, {"full": 3, "unsent": 1}, [], {})
    endpoint.table.buffer = endpoint.table.buffer._replace(drops_by_host=drops)
    metrics = endpoint.metrics()
    assert {outcome: metrics["pumpkit_records_total", "audit", outcome] for outcome in ("delivered", "filtered")} == {
        "delivered": 900,
        "filtered": 50,
    }
    assert (
        metrics["pumpkit_records_total", "audit", "dead"],
        metrics["pumpkit_records_total", "audit", "skipped"],
    ) == (3, 30)
    assert metrics["pumpkit_redelivered_total", "audit"] == 7
    assert metrics["pumpkit_lag_records", "audit"] == 17
    assert metrics["pumpkit_oldest_seconds", "audit"] == pytest.approx(5, abs=60)
    assert (metrics["pumpkit_write_seconds_count", "audit"], metrics["pumpkit_write_seconds_sum", "audit"]) == (9, 1.5)
    assert (metrics["pumpkit_pump_state", "audit", "running"], metrics["pumpkit_pump_state", "audit", "failed"]) == (
        1,
        0,
    )
    assert metrics["pumpkit_restarts_total", "audit"] == 2
    assert metrics["pumpkit_buffer_bytes",] == 4096
    assert {key[1:]: value for key, value in metrics.items() if key[0] == "pumpkit_dropped_total"} == {
        ("authz", "full", "shop-1"): 2,
        ("", "full", "other"): 1,
        ("", "other", "unsent"): 2,
    }


def test_several_workers_of_a_pump_count_once(endpoint):
    """The ledger is in the first row; states, writes and restarts are sums over the rows, and health looks at each."""
    cursor = CursorStats("audit", 4, 0, 900, 50, 3, 30, 7, 17, None, "run", 3, 600)
    second = endpoint.table.pumps["audit#2"] = PumpStatus("audit#2", "csv")
    for row in endpoint.table.pumps.values():
        row.enter("running")
        row.cursor, row.writes, row.restarts = cursor, 4, 1
    metrics = endpoint.metrics()
    assert metrics["pumpkit_records_total", "audit", "delivered"] == 900
    assert metrics["pumpkit_lag_records", "audit"] == 17
    assert metrics["pumpkit_pump_state", "audit", "running"] == 2
    assert (metrics["pumpkit_write_seconds_count", "audit"], metrics["pumpkit_restarts_total", "audit"]) == (8, 2)
    assert not any("audit#2" in key for key in metrics)
    document = json.loads(endpoint.get("/status.json")[1])
    assert ("lag" in document["pumps"]["audit"], "lag" in document["pumps"]["audit#2"]) == (True, False)
    second.enter("failed", "one worker only")
    assert list(json.loads(endpoint.get("/healthz")[1])["pumps"]) == ["audit#2"]


def test_pumps_of_other_runners_are_in_no_metric(endpoint):
    """What is `elsewhere` is another runner's to tell."""
    endpoint.table.pumps["audit"].enter("elsewhere")
    endpoint.table.pumps["audit"].cursor = CursorStats("audit", 4, 0, 0, 0, 0, 0, 0, 1, None, "run", 0, 0)
    assert not any("audit" in key for key in endpoint.metrics())


def test_inputs_have_metrics_and_belong_to_health(endpoint):
    """An input that is failed, or whose list does not get shorter, fails health under its own heading."""
    one = endpoint.table.inputs["authz"] = InputStatus("authz", "redis-list", state="running", records=7, waiting=3)
    metrics = endpoint.metrics()
    assert metrics["pumpkit_input_records_total", "authz"] == 7
    assert metrics["pumpkit_input_waiting_records", "authz"] == 3
    assert metrics["pumpkit_input_state", "authz", "running"] == 1
    assert endpoint.get("/healthz")[0] == 200
    one.moved -= one.patience + 1
    code, body = endpoint.get("/healthz")
    assert (code, json.loads(body)["pumps"]) == (503, {})
    assert "3 records waiting, none moved" in json.loads(body)["inputs"]["authz"]["reason"]
    one.enter("standby")
    assert endpoint.get("/healthz")[0] == 200


def test_an_age_is_never_negative(endpoint):
    """A producer's clock may be ahead: age metrics are clamped at 0."""
    ahead = int(time.time() * 1000) + 3_600_000
    endpoint.table.pumps["audit"].cursor = CursorStats("audit", 4, 0, 0, 0, 0, 0, 0, 1, ahead, "run", 0, 0)
    assert endpoint.metrics()["pumpkit_oldest_seconds", "audit"] == 0


def test_anything_else_is_not_found(endpoint):
    """404, and nothing is writable."""
    assert endpoint.get("/config")[0] == 404
    assert endpoint.get("/healthz", method="POST")[0] == 501


def test_a_taken_port_is_an_error():
    """An address that cannot be had raises OSError at once."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        Endpoint(f"127.0.0.1:{taken.getsockname()[1]}")


def test_ipv6_addresses_work():
    """An address in brackets listens on IPv6."""
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    try:
        endpoint = Endpoint("[::1]:0")
    except OSError as error:
        pytest.skip(f"this machine has no IPv6 loopback: {error}")
    try:
        assert endpoint.server.address.startswith("[::1]:")
        assert endpoint.get("/livez")[0] == 200
    finally:
        endpoint.server.close()
