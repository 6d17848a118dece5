"""The authorization service from end to end: every decision that it answers is in the CSV files, once, as it was."""

import json
import signal
import sys
import urllib.error
import urllib.request
from collections import Counter

import pytest

from tests.examples.conftest import PUMPKIT, Example, number_of

#: What becomes of a request, by the remainder of its number: the load asks for four kinds.
EFFECTS = ["allow", "allow", "deny", "deny"]
CONCLUSIONS = [
    "policies editors allow access",
    "policies editors allow access",
    "policies editors allow access, but policy archive forcefully denied it",
    "no policy allowed access",
]


def test_every_decision_is_in_the_files_once(example: Example) -> None:
    """Answers, records and what the policies say agree, over a restart of the service and the end of the runner."""
    runner = example.start(PUMPKIT, "run")
    for first in (0, 400):
        service = example.serve()
        said = example.run(example.load(first, 400))
        assert said.endswith(": 200 allowed, 200 denied, 0 failed\n")
        assert example.end(service) == -signal.SIGTERM
    example.wait_until(lambda: len(example.rows()) >= 800, "the records")
    assert example.end(runner) == 0
    rows = {number_of(row): row for row in example.rows()}
    assert sorted(number_of(row) for row in example.rows()) == list(range(800))
    for number, answer in example.answered().items():
        row = rows[number]
        assert (row["effect"], row["conclusion"]) == (EFFECTS[number % 4], CONCLUSIONS[number % 4])
        assert row["effect"] == {"allowed": "allow", "denied": "deny"}[answer]
    assert {row["username"] for row in rows.values()} == {"colin"}
    record = rows[2]
    assert list(json.loads(record["request"])) == ["resource", "action", "subject", "context"]
    assert json.loads(record["request"])["context"] == {"shelf": "archive", "username": "colin"}
    assert [policy["id"] for policy in json.loads(record["policies"])] == ["editors", "printer", "archive"]
    assert [policy["id"] for policy in json.loads(record["deciders"])] == ["editors", "archive"]


def test_a_restart_under_load_loses_nothing(example: Example) -> None:
    """The service is ended and started again while requests come in: whatever was answered was recorded, once."""
    server = ("uvicorn", "--factory", "authz_service.app:create", "--workers=2", f"--port={example.port}")
    service = example.serve(*server)
    load = example.start(*example.load(0, 1_000_000))
    accesses = "POST /v1/authz HTTP/1.1"
    example.wait_until(lambda: example.log.read_text().count(accesses) >= 200, "requests")
    example.end(service)
    before = example.log.read_text().count(accesses)
    service = example.serve(*server)
    example.wait_until(lambda: example.log.read_text().count(accesses) >= before + 200, "requests after the restart")
    assert example.end(load, signal.SIGINT) == 0
    example.end(service)
    runner = example.start(PUMPKIT, "run")
    answered = example.answered()
    assert len(answered) >= 400
    example.wait_until(lambda: len(example.rows()) >= len(answered), "the records")
    assert example.end(runner) == 0
    numbers = [number_of(row) for row in example.rows()]
    assert len(numbers) == len(set(numbers))
    assert set(answered) <= set(numbers)
    assert all(row["effect"] == EFFECTS[number_of(row) % 4] for row in example.rows())


def test_recording_is_switched_by_the_configuration(example: Example) -> None:
    """`enable: false` answers as before and records nothing; without detail, policies and deciders stay out."""
    example.change("authz.yaml", "  enable: true", "  enable: false")
    service = example.serve()
    assert example.run(example.load(0, 40)).endswith(": 20 allowed, 20 denied, 0 failed\n")
    example.end(service)
    example.change("authz.yaml", "  enable: false", "  enable: true")
    example.change("authz.yaml", "enable-detailed-recording: true", "enable-detailed-recording: false")
    example.change("authz.yaml", "pool-size: 1", "pool-size: 50")
    example.change("authz.yaml", "# storage-expiration-time", "storage-expiration-time")
    service = example.serve()
    example.run(example.load(40, 40))
    example.end(service)
    runner = example.start(PUMPKIT, "run")
    example.wait_until(lambda: len(example.rows()) >= 40, "the records")
    assert example.end(runner) == 0
    rows = example.rows()
    assert sorted(map(number_of, rows)) == list(range(40, 80))
    assert Counter(row["effect"] for row in rows) == {"allow": 20, "deny": 20}
    assert {(row["policies"], row["deciders"]) for row in rows} == {("", "")}
    warned = example.log.read_text()
    assert "pool_size=50: one thread sends for this process" in warned
    assert "analytics.storage-expiration-time has no effect" in warned


def test_what_is_no_request_is_no_decision(example: Example) -> None:
    """A body that cannot be read gets status 400 and no record; who asks is what the header says, not the body."""
    service = example.serve()
    numbers = [b'{"context": {"x": %s}}' % number for number in (b"NaN", b"-Infinity", b"1e999")]
    for body in (b"", b"[", b"[]", b'{"subject": 7}', b'{"context": "x"}', b"[" * 100_000, b'{"a": "\xfc"}', *numbers):
        with pytest.raises(urllib.error.HTTPError, match="400"):
            ask(example, body)
    with pytest.raises(urllib.error.HTTPError, match="400"):
        ask(example, b"{}", "j\xfcrgen")
    body = {"subject": "users:peter", "action": "get", "resource": "resources:articles:1", "context": {"username": "x"}}
    assert ask(example, json.dumps(body).encode()) == {"allowed": True}
    del body["context"]
    denied = {"allowed": False, "denied": True, "reason": "Request was denied by default"}
    assert ask(example, json.dumps({**body, "action": "burn"}).encode()) == denied
    example.end(service)
    runner = example.start(PUMPKIT, "run")
    example.wait_until(lambda: len(example.rows()) >= 2, "the records")
    assert example.end(runner) == 0
    assert [(row["username"], row["effect"]) for row in example.rows()] == [("colin", "allow"), ("colin", "deny")]
    assert {json.loads(row["request"])["context"]["username"] for row in example.rows()} == {"colin"}


def ask(example: Example, body: bytes, username: str = "colin") -> object:
    """Send a body as somebody, whose name is given as its bytes are in Latin-1, and return the answer."""
    request = urllib.request.Request(f"{example.url}/v1/authz", body, {"X-Username": username})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def test_a_name_may_have_any_letters(example: Example) -> None:
    """The policies of a user whose name is not English apply to him, and records have it as it is written."""
    example.change("policies.yaml", "  colin:", "  jürgen:")
    service = example.serve()
    body = {"subject": "users:peter", "action": "get", "resource": "resources:articles:1"}
    assert ask(example, json.dumps(body).encode(), "jürgen".encode().decode("latin-1")) == {"allowed": True}
    example.end(service)
    runner = example.start(PUMPKIT, "run")
    example.wait_until(example.rows, "the record")
    assert example.end(runner) == 0
    assert [(row["username"], row["effect"]) for row in example.rows()] == [("jürgen", "allow")]


@pytest.mark.parametrize(
    ("buffer", "told"),
    [
        ("nonsense", "buffer='nonsense': it must be a URL"),
        ('""', "buffer='': it must be a URL"),
        ("sqlte:///x.db", "no buffer serves 'sqlte:' URLs"),
    ],
)
def test_a_wrong_buffer_is_told_by_line_and_key(example: Example, buffer: str, told: str) -> None:
    """No service starts whose records would go nowhere, however it is started."""
    example.change("authz.yaml", "policies: policies.yaml", f"policies: policies.yaml\nbuffer: {buffer}")
    uvicorn = ["uvicorn", "--factory", "authz_service.app:create", f"--port={example.port}"]
    for command in (["authz_service"], uvicorn):
        said = example.run([sys.executable, "-m", *command], 78)
        assert said.startswith("authz.yaml:3: buffer: ")
        assert told in said
        assert said.count("\n") == 1


def test_a_wrong_configuration_is_told_by_line_and_key(example: Example) -> None:
    """Every mistake is named with its file, line and key path, and with the name that was meant."""
    service = [sys.executable, "-m", "authz_service"]
    example.change("authz.yaml", "flush-interval: 200", "flush-intervall: 200")
    example.change("authz.yaml", "pool-size: 1", "pool-size: 0")
    example.change("authz.yaml", "enable: true", "enable: yes")
    assert example.run(service, 78).splitlines() == [
        'authz.yaml:10: analytics.enable: must be true or false, not "yes"',
        "authz.yaml:11: analytics.pool-size: must be >= 1: 0",
        "authz.yaml:13: analytics.flush-intervall: unknown key; did you mean flush-interval?",
    ]
    (example.folder / "authz.yaml").write_text("policies: [\n")
    assert example.run(service, 78).startswith("authz.yaml:2: is not YAML: ")
    (example.folder / "authz.yaml").write_text("policies: policies.yaml\n")
    example.change("policies.yaml", "effect: deny", "effect: denied")
    example.change("policies.yaml", "<[0-9]+>", "<[0-9+>")
    example.change("policies.yaml", "equals: archive", "equal: archive")
    said = example.run(service, 78).splitlines()
    file = str(example.folder / "policies.yaml")
    assert [line.removeprefix(file).partition(": ")[2].partition(":")[0] for line in said] == [
        "users.colin.0.resources",
        "users.colin.2.effect",
        "users.colin.2.conditions",
    ]


def test_a_missing_file_is_told(example: Example) -> None:
    """A file that was named, and is not there, ends the service as well."""
    said = example.run([sys.executable, "-m", "authz_service", "nobody.yaml"], 78)
    assert said == "nobody.yaml: cannot be read: No such file or directory\n"
