"""Names of indices, which follow from records alone; templates; data streams."""

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from pumpkit.errors import ConfigError
from tests.sinks.es_world import EsWorld

pytestmark = pytest.mark.elasticsearch

UTC = datetime.UTC


def test_an_index_for_each_day_of_the_records(es_world: EsWorld) -> None:
    """Datetimes, Unix seconds and ISO text give the day, in UTC; when the record is written plays no part."""
    sink = es_world.open(index="audit-{timestamp:%Y.%m.%d}")
    zone = datetime.timezone(datetime.timedelta(hours=2))
    records = [
        {"timestamp": datetime.datetime(2020, 2, 29, 23, 59, 59, tzinfo=UTC)},
        {"timestamp": datetime.datetime(2020, 3, 1, 1, tzinfo=zone)},
        {"timestamp": 1583020799},
        {"timestamp": 1583020799.9},
        {"timestamp": "2020-02-29T00:00:00Z"},
        {"timestamp": "2020-03-01T01:00:00+02:00"},
        {"timestamp": 1583020800},
        {"timestamp": "2020-03-01"},
    ]
    es_world.write(sink, records)
    es_world.write(sink, records)
    assert len(es_world.documents("audit-2020.02.29")) == 6
    assert len(es_world.documents("audit-2020.03.01")) == 2
    assert es_world.indices("audit-*") == ["audit-2020.02.29", "audit-2020.03.01"]


def test_seconds_with_and_without_a_fraction(es_world: EsWorld) -> None:
    """A whole number and one with a fraction are both seconds, in whatever order they come."""
    sink = es_world.open(index="audit-{timestamp:%Y}")
    minute = 1583020800 // 60
    es_world.write(sink, [{"timestamp": 1583020800}, {"timestamp": float(minute)}, {"timestamp": 1583020800.0}])
    assert list(es_world.documents("audit-2020")) == [0, 2]
    assert list(es_world.documents("audit-1970")) == [1]


def test_an_index_named_by_fields(es_world: EsWorld) -> None:
    """Values are made safe: lower-case, and nothing but letters, digits and . _ -."""
    sink = es_world.open(index="audit-{tenant}-{kind}")
    es_world.write(
        sink,
        [
            {"tenant": "ACME Corp/*?", "kind": 7},
            {"tenant": "../x", "kind": "ü"},
            {"tenant": "-_", "kind": "log"},
        ],
    )
    assert es_world.indices("audit-*") == ["audit--_-log", "audit-.._x-_", "audit-acme_corp___-7"]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({}, "field 'tenant' is missing, and the name of the index needs it"),
        ({"tenant": ""}, "field 'tenant' is missing, and the name of the index needs it"),
        ({"tenant": ["a"]}, "field 'tenant': a value of type list cannot be part of an index's name"),
        ({"tenant": "x" * 300}, f"'audit-{'x' * 73}' is no name of an index"),
        ({"tenant": "a"}, "field 'timestamp' is missing, and the name of the index needs it"),
        ({"tenant": "a", "timestamp": "yesterday"}, "field 'timestamp' is no time"),
        ({"tenant": "a", "timestamp": [1]}, "field 'timestamp' is no time"),
        ({"tenant": "a", "timestamp": True}, "field 'timestamp' is no time"),
        ({"tenant": "a", "timestamp": 10**15}, "field 'timestamp' is no time"),
    ],
)
def test_a_record_without_an_index(es_world: EsWorld, record: dict[str, Any], reason: str) -> None:
    """A record that its index cannot be told of is rejected: no other place, no guess."""
    sink = es_world.open(index="audit-{tenant}-{timestamp:%Y}")
    record = {"timestamp": 1} | record if len(str(record.get("tenant", ""))) > 200 else record
    rejected, retry = es_world.answer(sink, [record, {"tenant": "b", "timestamp": 1}])
    assert (list(rejected), retry) == ([0], [])
    assert rejected[0].startswith(reason[:60])
    assert es_world.indices("audit-*") == ["audit-b-1970"]


def test_the_number_of_indices_is_bounded(es_world: EsWorld) -> None:
    """A field whose value a stranger chooses does not bring an index for each."""
    sink = es_world.open(index="audit-{user}", **{"max-indexes": 3})
    rejected, retry = es_world.answer(sink, [{"user": f"u{n % 5}"} for n in range(10)])
    assert (sorted(rejected), retry) == ([3, 4, 8, 9], [])
    assert "would be one more than 3 in a day: see `max-indexes`" in rejected[3]
    assert len(es_world.indices("audit-*")) == 3


@pytest.mark.parametrize(
    ("index", "told"),
    [
        ("Audit", "must be lower-case letters"),
        ("audit log", "must be lower-case letters"),
        ("_audit", "must begin with a lower-case letter or a digit"),
        ("", "must begin with a lower-case letter or a digit"),
        ("x" * 256, "is no name of an index"),
        ("audit-{timestamp:%s}", "must be a date of %Y %m %d"),
        ("audit-{timestamp:}", "must be a date of %Y %m %d"),
        ("audit-{", "must be lower-case letters"),
        ("{tenant}-audit", "the default template would be for every index of the cluster"),
    ],
)
def test_a_template_of_names_that_is_none(es_world: EsWorld, index: str, told: str) -> None:
    """It is refused with the configuration, at its key."""
    with pytest.raises(ConfigError, match=told) as caught:
        es_world.make(index=index)
    assert "meta.index: " in str(caught.value)


# The index template --------------------------------------------------------------------------------------------


def template_of(world: EsWorld, name: str) -> dict[str, Any]:
    """Return an index template as the server has it."""
    (found,) = world.ask("GET", f"/_index_template/{name}")["index_templates"]
    template: dict[str, Any] = found["index_template"]
    return template


def test_the_default_template(es_world: EsWorld) -> None:
    """It is for the names of this pump alone, and makes times dates and text keywords."""
    sink = es_world.open(index="audit-{timestamp:%Y.%m}-{tenant}", **{"time-field": "at"})
    assert template_of(es_world, "pumpkit-audit-_-_")["index_patterns"] == ["audit-*-*"]
    when = datetime.datetime(2026, 1, 2, 3, tzinfo=UTC)
    es_world.write(sink, [{"timestamp": when, "at": 1, "tenant": "a", "seen": when, "text": "2026-01-02", "f": 0.5}])
    mapping = es_world.ask("GET", "/audit-2026.01-a/_mapping")["audit-2026.01-a"]["mappings"]["properties"]
    assert {name: field["type"] for name, field in mapping.items()} == {
        "timestamp": "date", "at": "date", "tenant": "keyword", "seen": "date", "text": "keyword", "f": "double",
    }  # fmt: skip
    found = es_world.ask("GET", "/audit-*/_search?q=at:%5B1970-01-01T00:00:01Z%20TO%201970-01-01T00:00:01Z%5D")
    assert found["hits"]["total"]["value"] in (0, 1)


def test_a_template_that_somebody_changed_stays(es_world: EsWorld) -> None:
    """A template of the same name with the same version, or a later one, is left alone; an older one is replaced."""
    es_world.open()
    mine = template_of(es_world, "pumpkit-audit")
    mine = {key: value for key, value in mine.items() if not key.endswith("_date") and "_date_" not in key}
    assert mine["version"] == 1
    for version, kept in ((1, True), (7, True), (0, False)):
        es_world.ask("PUT", "/_index_template/pumpkit-audit", mine | {"version": version, "priority": 151})
        es_world.open()
        assert (template_of(es_world, "pumpkit-audit")["priority"] == 151) is kept


def test_no_template(es_world: EsWorld) -> None:
    """`template: none` leaves the cluster's templates alone."""
    es_world.open(template="none")
    assert es_world.ask("GET", "/_index_template")["index_templates"] == []


def test_a_template_of_ones_own(es_world: EsWorld, tmp_path: Path) -> None:
    """A file is put in place as it is, each time."""
    file = tmp_path / "template.json"
    body = {"index_patterns": ["audit"], "template": {"settings": {"number_of_shards": 3}}}
    file.write_text(json.dumps(body))
    es_world.write(es_world.open(template=str(file)), [{"n": 1}])
    assert es_world.ask("GET", "/audit/_settings")["audit"]["settings"]["index"]["number_of_shards"] == "3"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "cannot be read from"),
        ("{", "cannot be read from"),
        ("[]", "must be the body of an index template"),
        ('{"index_patterns": ["audit"], "template": {"settings": {"number_of_shards": 0}}}', "number_of_shards"),
        ('{"index_patterns": ["audit"], "tempalte": {}}', "tempalte"),
    ],
)
def test_a_template_that_is_refused(es_world: EsWorld, tmp_path: Path, text: str | None, told: str) -> None:
    """A file that is missing or wrong, a shard count that no index can have: the pump says so at its start."""
    file = tmp_path / "template.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError, match=told):
        es_world.open(template=str(file))


def test_two_templates_for_the_same_names(es_world: EsWorld) -> None:
    """A template that somebody made for these names wins; one without a rank is named, for a person to choose."""
    theirs = {"index_patterns": ["aud*"], "template": {"settings": {"number_of_shards": 2}}}
    es_world.ask("PUT", "/_index_template/theirs", theirs)
    with pytest.raises(ConfigError, match=r"see `template`.*theirs"):
        es_world.open()
    es_world.ask("PUT", "/_index_template/theirs", theirs | {"priority": 1})
    es_world.write(es_world.open(), [{"n": 1}])
    assert es_world.ask("GET", "/audit/_settings")["audit"]["settings"]["index"]["number_of_shards"] == "2"


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)])
def test_pumps_whose_patterns_overlap(es_world: EsWorld, order: tuple[int, ...]) -> None:
    """Each has the default template, whichever starts first; the more special pattern wins, also a second time."""
    pumps: list[dict[str, Any]] = [
        {"index": "audit", "rolling-index": True},
        {"index": "audit-login", "rolling-index": True, "time-field": "at"},
        {"index": "audit-login-web", "time-field": "when"},
        {"index": "audit-{tenant}-x", "data-stream": True},
    ]
    day = 1583020799
    records = [{"timestamp": day}, {"at": day}, {"when": day}, {"tenant": "a", "timestamp": day}]
    for first in (0, 1):
        for at in order:
            es_world.write(es_world.open(**pumps[at]), [records[at]], first=first)
    for index, field in (
        ("audit-2020.02.29", "timestamp"), ("audit-login-2020.02.29", "at"), ("audit-login-web", "when"),
        ("audit-a-x", "@timestamp"),
    ):  # fmt: skip
        (mapping,) = es_world.ask("GET", f"/{index}/_mapping").values()
        assert mapping["mappings"]["properties"][field]["type"] == "date"
        assert mapping["mappings"]["dynamic_templates"]


def test_a_template_of_ones_own_beside_pumps_that_overlap(es_world: EsWorld) -> None:
    """One without a rank is still named, and one with a rank wins."""
    es_world.open(index="audit-{tenant}")
    theirs = {"index_patterns": ["audit-l*"], "template": {"settings": {"number_of_shards": 2}}, "priority": 100}
    es_world.ask("PUT", "/_index_template/theirs", theirs)
    es_world.write(es_world.open(index="audit-login"), [{"n": 1}])
    settings = es_world.ask("GET", "/audit-login/_settings")["audit-login"]["settings"]
    assert settings["index"]["number_of_shards"] == "2"
    es_world.ask("DELETE", "/_index_template/pumpkit-audit-_")
    es_world.ask("DELETE", "/_index_template/pumpkit-audit-login")
    es_world.ask("PUT", "/_index_template/theirs", {"index_patterns": ["audit-l*"]})
    es_world.open(index="audit-m")
    with pytest.raises(ConfigError, match=r"see `template`.*theirs"):
        es_world.open(index="audit-{tenant}")


def test_a_template_of_other_settings_is_replaced(es_world: EsWorld) -> None:
    """Another `time-field`, or `data-stream`, reaches the default template; the same settings leave it alone."""
    es_world.open(index="audit")
    es_world.write(es_world.open(index="audit", **{"time-field": "at"}), [{"at": 1583020799}])
    assert es_world.ask("GET", "/audit/_mapping")["audit"]["mappings"]["properties"]["at"]["type"] == "date"
    es_world.open(index="events")
    es_world.write(es_world.open(index="events", **{"data-stream": True}), [{"timestamp": 1583020799}])
    assert [name[:11] for name in es_world.indices("events")] == [".ds-events-"]
    with pytest.raises(ConfigError, match=r"see `template`.*data streams \[events\]"):
        es_world.open(index="events")


def test_a_template_of_that_name_that_is_not_ours(es_world: EsWorld) -> None:
    """It is left alone, whatever its settings, if it has a version."""
    theirs = {"index_patterns": ["audit"], "version": 1, "_meta": {"time_field": "x"}}
    es_world.ask("PUT", "/_index_template/pumpkit-audit", theirs)
    es_world.open()
    assert "template" not in template_of(es_world, "pumpkit-audit")


# Data streams --------------------------------------------------------------------------------------------------


def test_a_data_stream(es_world: EsWorld) -> None:
    """Documents get `@timestamp` of the record's time, unless they have one; the template makes the stream."""
    sink = es_world.open(**{"data-stream": True, "time-field": "at"})
    assert sink.duplicates == "possible"
    own = "2020-01-01T00:00:00Z"
    es_world.write(sink, [{"at": 1583020799}, {"at": "2020-01-01T02:00+02:00"}, {"@timestamp": own}])
    es_world.write(sink, [{"at": 1583020799}])
    assert es_world.documents() == {
        0: {"@timestamp": "2020-02-29T23:59:59Z", "at": 1583020799},
        1: {"@timestamp": own, "at": "2020-01-01T02:00+02:00"},
        2: {"@timestamp": own},
    }
    assert [name[:10] for name in es_world.indices("audit")] == [".ds-audit-"]
    rejected, retry = es_world.answer(sink, [{"n": 1}, {"at": "soon"}], first=3)
    assert retry == []
    assert "field 'at' is missing, and `@timestamp` needs it: see `time-field`" in rejected[0]
    assert rejected[1].startswith("field 'at' is no time: ")


def test_a_stream_that_rolls_over(es_world: EsWorld) -> None:
    """What is sent again after a rollover is there twice: the reason why the sink says `duplicates: possible`."""
    sink = es_world.open(**{"data-stream": True})
    records = [{"timestamp": n} for n in range(3)]
    es_world.write(sink, records)
    es_world.write(sink, records)
    assert len(es_world.documents("audit")) == 3
    es_world.ask("POST", "/audit/_rollover")
    es_world.write(sink, records)
    assert es_world.server is not None
    assert es_world.server.count("audit") == 6


def test_a_data_stream_without_a_template(es_world: EsWorld) -> None:
    """Where no template makes it a stream, no plain index is made in its place."""
    sink = es_world.open(template="none", **{"data-stream": True})
    with pytest.raises(ConfigError, match=r"requires a data stream.*: have a template with `data_stream`"):
        es_world.write(sink, [{"timestamp": 1}])


def test_an_index_in_place_of_a_data_stream(es_world: EsWorld) -> None:
    """An index of that name that is no data stream is a matter for a person, who is told what to do."""
    es_world.write(es_world.open(), [{"timestamp": 1}])
    with pytest.raises(ConfigError, match=r"\[audit\] is not a data stream: delete or reindex that index"):
        es_world.write(es_world.open(**{"data-stream": True}), [{"timestamp": 1}])


def test_an_index_knows_its_ids(es_world: EsWorld) -> None:
    """Without a data stream, records are never doubled."""
    assert es_world.open().duplicates == "never"
