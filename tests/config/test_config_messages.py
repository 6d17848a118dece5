"""What is said of a bad configuration, word for word."""

import pytest

PUMPS = "pumps: {audit: {type: csv}}\n"
ADD_ONE = "add one, such as `audit: {type: csv, meta: {csv-dir: ./analytics-data}}`"
ADDRESS = "must be host:port with a port up to 65535, such as 127.0.0.1:7070 or [::1]:7070"
URL_PATH = "must be a path of letters, digits, `-`, `.`, `_`, `~` and `/`, such as healthz"
OTHER_PATH = "must be another path: livez, readyz, metrics, status.json are served anyway"


def test_everything_is_said_at_once(problems_of):
    """Unknown keys, wrong types, missing variables, doubled keys and contradictions, in the order of the file."""
    text = """\
health-check-addres: 127.0.0.1:7070
health-check-path: metrics
buffer: sqlite://x.db
inputs: []
purge_delay: 1
purge_delay: 2
log: {level: loud}
pumps:
  Audit:
    type: csv
    csv-dir: x
    timeout: -1
    batch-records: 0
    enabled: yes
    sources: authz
    fields: [a]
    rename-fields: {b: c, a: x}
    filters: {exlude: {username: [healthcheck]}}
    omit-detailed-recording: "${OMIT_IT}"
    meta: {csv-dir: ./analytics-data, password: "${DB_PASSWORD_X}"}
  es:
    tiemout: 5
"""
    assert problems_of(text) == [
        "pumpkit.yaml:1: health-check-addres: unknown key; did you mean health-check-address?",
        f"pumpkit.yaml:2: health-check-path: {OTHER_PATH}",
        "pumpkit.yaml:3: buffer: needs three slashes before a relative path and four before an absolute one:"
        " sqlite:///buffer.db",
        "pumpkit.yaml:4: inputs: must be a mapping (lines of `key: value`), not a list",
        "pumpkit.yaml:5: purge_delay: stands twice in this mapping, in lines 5 and 6; keep one",
        'pumpkit.yaml:7: log.level: must be debug, info, warning or error, not "loud"',
        "pumpkit.yaml:9: pumps.Audit: is no name for a pump: letters a-z, digits, `_`, `.` and `-`, at most 63,"
        " no sign first",
        "pumpkit.yaml:11: pumps.Audit.csv-dir: unknown key; the plugin's own settings go under meta",
        "pumpkit.yaml:12: pumps.Audit.timeout: must be a duration such as 10, 0.2, 200ms, 10s, 5m or 1h,"
        " at most a year, not -1",
        "pumpkit.yaml:13: pumps.Audit.batch-records: must be from 1 to 100000, not 0",
        'pumpkit.yaml:14: pumps.Audit.enabled: must be true or false, not "yes"',
        'pumpkit.yaml:15: pumps.Audit.sources: must be a list, not "authz"; write ["authz"]',
        "pumpkit.yaml:17: pumps.Audit.rename-fields.b: is not in `fields`, so it is never there to be renamed;"
        " add it there",
        "pumpkit.yaml:18: pumps.Audit.filters.exlude: unknown filter; did you mean exclude?",
        "pumpkit.yaml:19: pumps.Audit.omit-detailed-recording: the environment variable OMIT_IT is not set;"
        " set it, or write ${OMIT_IT:-default}",
        "pumpkit.yaml:20: pumps.Audit.meta.password: the environment variable DB_PASSWORD_X is not set;"
        " set it, or write ${DB_PASSWORD_X:-default}",
        "pumpkit.yaml:22: pumps.es.tiemout: unknown key; did you mean timeout?",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "pumpkit.yaml: is empty; `pumpkit config init` writes a configuration to start from"),
        ("# only a comment\n", "pumpkit.yaml: is empty; `pumpkit config init` writes a configuration to start from"),
        (b"\xef\xbb\xbf", "pumpkit.yaml: is empty; `pumpkit config init` writes a configuration to start from"),
        ("- pumps\n", "pumpkit.yaml: must hold keys such as `pumps:`, not a list"),
        ("pumps\n", 'pumpkit.yaml: must hold keys such as `pumps:`, not "pumps"'),
        (
            "a: [\n",
            "pumpkit.yaml:2: is not YAML: expected the node content, but found '<stream end>';"
            " while parsing a flow node",
        ),
        ("health-check-address: null\n", f"pumpkit.yaml: pumps: no pump is configured; {ADD_ONE}"),
        ("pumps:\n", f"pumpkit.yaml:1: pumps: no pump is configured; {ADD_ONE}"),
        ("pumps: {}\n", f"pumpkit.yaml:1: pumps: no pump is configured; {ADD_ONE}"),
        ("pumps: [csv]\n", "pumpkit.yaml:1: pumps: must be a mapping (lines of `key: value`), not a list"),
        ("pumps: csv\n", 'pumpkit.yaml:1: pumps: must be a mapping (lines of `key: value`), not "csv"'),
        ("pumps:\n  csv:\n", "pumpkit.yaml:2: pumps.csv: must be a mapping (lines of `key: value`), not null"),
        (
            "pumps:\n  csv: {enabled: false}\n",
            f"pumpkit.yaml:1: pumps: no pump is enabled; set `enabled: true` in one, or {ADD_ONE}",
        ),
        (
            "slot: my runner\n" + PUMPS,
            "pumpkit.yaml:1: slot: must be 1 to 63 letters, digits, `.`, `_` or `-`, such as the name of this machine",
        ),
        ("pumps: {csv: {workers: 33}}\n", "pumpkit.yaml:1: pumps.csv.workers: must be from 1 to 32, not 33"),
        (
            "buffer: {shards: 2}\n" + PUMPS,
            "pumpkit.yaml:1: buffer.shards: is for a buffer in Redis: name one by `url: redis://HOST`, or remove"
            " `shards`",
        ),
        (
            "buffer: {url: 'redis://h', shards: 65}\n" + PUMPS,
            "pumpkit.yaml:1: buffer.shards: must be from 1 to 64, not 65",
        ),
        (
            "buffer: {url: 'redis://:pw@h?shards=3', shards: 2}\n" + PUMPS,
            "pumpkit.yaml:1: buffer.shards: says 2, and the URL says shards=3; write it once",
        ),
        (
            "buffer: redis://:pw@h?shrads=3\n" + PUMPS,
            "pumpkit.yaml:1: buffer: redis: unknown option 'shrads'; did you mean shards?",
        ),
        (
            "pumps: {csv: {workers: 2}}\n",
            "pumpkit.yaml:1: pumps.csv.workers: the embedded buffer is read by one worker for each pump; use redis://"
            " or workers: 1",
        ),
        ("pumps: {csv: {}}\npump: 1\n", "pumpkit.yaml:2: pump: unknown key; did you mean pumps?"),
        (
            "purge-delay: 1\npurge_delay: 1\n" + PUMPS,
            "pumpkit.yaml:2: purge_delay: stands here twice, also as purge-delay; keep one of them",
        ),
        (
            "buffer: sqlite:///x.db\nredis: {}\n" + PUMPS,
            "pumpkit.yaml:2: redis: unknown key; known here are: buffer, purge-delay, health-check-address,"
            " health-check-path, omit-detailed-recording, detail-fields, shutdown-grace, slot, log, inputs, pumps",
        ),
    ],
)
def test_a_file_that_is_no_configuration(problems_of, text, problem):
    """One problem each, with what to do."""
    assert problems_of(text) == [problem]


@pytest.mark.parametrize("name", ["_a", "-a", ".a", "A", "a b", "a/b", "ä", "a" * 64, '""', '"a\\n"'])
def test_names_of_pumps(problems_of, name):
    """A name becomes part of a file's name."""
    [problem] = problems_of(f"pumps: {{{name}: {{}}}}")
    assert "is no name for a pump: letters a-z, digits" in problem


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("health-check-address: localhost", ADDRESS),
        ("health-check-address: 'localhost:'", ADDRESS),
        ("health-check-address: localhost:65536", ADDRESS),
        ("health-check-address: 7070", 'must be text, not 7070; quote it: "7070"'),
        ("health-check-address: ::1:7070", "an IPv6 address stands in brackets, as in [::1]:7070"),
        (
            "health-check-address: ':7070'",
            "has no host; 127.0.0.1 serves this machine only, 0.0.0.0 every network it is in",
        ),
        ("health-check-address: '[x]:1'", "has no IPv6 address in its brackets; write it as in [::1]:7070"),
        ("health-check-address: 'a b:1'", "'a b' is no host name or address"),
        ("health-check-path: ''", URL_PATH),
        ("health-check-path: a?b", URL_PATH),
        ("health-check-path: /readyz/", OTHER_PATH),
        ("purge-delay: null", "must be a duration such as 10, 0.2, 200ms, 10s, 5m or 1h, at most a year, not null"),
        ("buffer: buffer.db", "must be a URL such as sqlite:///buffer.db"),
        ("buffer: sqlite:x.db", "must be a URL such as sqlite:///buffer.db"),
        ("buffer: sqlite:///", "names no file; write it as in sqlite:///buffer.db"),
        ("buffer: sqlite:////", "names no file; write it as in sqlite:///buffer.db"),
        ("buffer: sqlite:///a/", "names no file; write it as in sqlite:///buffer.db"),
        ("buffer: sqlite:///~/x.db", "`~` is not expanded here, write sqlite:///${HOME}/buffer.db"),
        ("buffer: 5", "must be a mapping (lines of `key: value`), not 5"),
        ("buffer: {url: x}", "must be a URL such as sqlite:///buffer.db"),
        ("buffer: {max-bytes: 1}", "must be from 1MiB to 1024TiB, not 1"),
    ],
)
def test_keys_at_the_top(problems_of, key, problem):
    """A value that no program could use is refused before any starts."""
    [found] = problems_of(f"{key}\n{PUMPS}")
    assert found.startswith("pumpkit.yaml:1: ")
    assert found.endswith(f": {problem}")


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("batch-records: 100001", "batch-records: must be from 1 to 100000, not 100001"),
        ("batch-bytes: 0", "batch-bytes: must be from 1 to 1GiB, not 0"),
        ("max-attempts: 0", "max-attempts: must be from 1 to 1000, not 0"),
        ("reject-limit: 0", "reject-limit: must be from 1 to 1000000000, not 0"),
        ("start: middle", 'start: must be oldest or newest, not "middle"'),
        ("type: 5", 'type: must be text, not 5; quote it: "5"'),
        ("fields: []", "fields: names no field, so records would be empty; remove it to keep all of them"),
        ("rename-fields: {a: x, b: x}", "rename-fields.b: becomes x, as does a; give it another name"),
        ("rename-fields: {a: ''}", "rename-fields.a: becomes a field without a name; write one"),
        ("fields: [a, b], rename-fields: {a: b}", "rename-fields.a: becomes b, as does b; give it another name"),
        (
            "fields: [a], rename-fields: {z: b}",
            "rename-fields.z: is not in `fields`, so it is never there to be renamed; add it there",
        ),
        ("meta: [a]", "meta: must be a mapping (lines of `key: value`), not a list"),
        ("meta: {a: .inf}", "meta.a: must be a finite number; quote it if it is text"),
    ],
)
def test_keys_of_a_pump(problems_of, key, problem):
    """Bounds, choices and contradictions."""
    assert problems_of(f"pumps: {{audit: {{{key}}}}}") == [f"pumpkit.yaml:1: pumps.audit.{problem}"]


def test_fields_may_swap_their_names(config_of):
    """Renaming a to b and b to a loses neither."""
    pump = config_of("pumps: {a: {fields: [a, b], rename-fields: {a: b, b: a}}}").pumps["a"]
    assert pump.rename_fields == {"a": "b", "b": "a"}


def test_no_message_shows_what_was_filled_in(problems_of, monkeypatch):
    """What comes from the environment may be a secret; the message shows the reference."""
    monkeypatch.setenv("PASSWORD", "hunter2")
    printed = problems_of(
        """\
buffer: "${PASSWORD}"
health-check-address: "${PASSWORD} x:1"
log: {level: "${PASSWORD}"}
pumps: {audit: {timeout: "x${PASSWORD}", batch-records: "${PASSWORD}", sources: "${PASSWORD}"}}
"""
    )
    assert len(printed) == 6
    assert "hunter2" not in "\n".join(printed)
    assert 'pumps.audit.batch-records: must be a whole number, not "${PASSWORD}"' in printed[-3]


def test_a_bad_url_does_not_show_its_password(problems_of):
    """Even one that stands in the file."""
    assert "hunter2" not in "\n".join(problems_of(f"buffer: 'Redis://:hunter2@host'\n{PUMPS}"))
