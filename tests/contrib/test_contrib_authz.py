"""Authorization decisions are recorded as they were made, whatever the code around them does."""

import datetime
import enum
import json
import math
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from pumpkit import AnalyticsRecord, Reporter
from pumpkit.contrib.authz import Decision, Verdict, recorded
from tests.contrib.authz_book import ADMINS, NIGHT, REQUEST, STAFF, UNREADABLE, Book


def test_a_granted_request_is_recorded(book: Book) -> None:
    """The record has every field of the ready-made one, as the original fills them."""
    before = int(datetime.datetime.now(datetime.UTC).timestamp())
    with Decision("peter", REQUEST, reporter=book.reporter) as decision:
        decision.allow([ADMINS, STAFF], policies=[ADMINS, STAFF, NIGHT])
    record = book.record()
    assert before <= record.pop("timestamp") <= before + 60
    assert record == {
        "username": "peter",
        "effect": "allow",
        "conclusion": "policies admins, staff allow access",
        "request": json.dumps(REQUEST, separators=(",", ":")),
        "policies": '[{"id":"admins"},{"id":"staff"},{"id":"night"}]',
        "deciders": '[{"id":"admins"},{"id":"staff"}]',
        "expire_at": None,
    }
    assert {*record, "timestamp"} == {field.name for field in attrs.fields(AnalyticsRecord)}


@pytest.mark.parametrize(
    ("deciders", "conclusion"),
    [
        ([], "no policy allowed access"),
        ([NIGHT], "policy night forcefully denied the access"),
        ([ADMINS, STAFF, NIGHT], "policies admins, staff allow access, but policy night forcefully denied it"),
    ],
)
def test_a_rejected_request_says_who_rejected_it(book: Book, deciders: list[object], conclusion: str) -> None:
    """The conclusion tells the policy that denied, and those that would have allowed, in the original's words."""
    with Decision("peter", REQUEST, reporter=book.reporter) as decision:
        decision.deny(deciders)
    assert book.verdict() == ("deny", conclusion)


def test_a_conclusion_of_ones_own(book: Book) -> None:
    """Who knows more than the ids says it."""
    with Decision("peter", REQUEST, reporter=book.reporter) as decision:
        decision.deny(conclusion="the licence has expired")
    assert book.verdict() == ("deny", "the licence has expired")


def test_no_word_is_a_denial(book: Book) -> None:
    """A block that says nothing has granted nothing."""
    with Decision("peter", REQUEST, reporter=book.reporter):
        pass
    assert book.verdict() == ("deny", "no decision")


def test_the_last_word_counts(book: Book) -> None:
    """A decision may be changed within its block."""
    with Decision("peter", REQUEST, reporter=book.reporter) as decision:
        decision.allow([ADMINS])
        decision.deny([ADMINS, NIGHT])
    assert book.record()["effect"] == "deny"


def test_what_raises_is_denied(book: Book) -> None:
    """An exception goes on, and even a decision that had said allow is recorded as denied; its message stays out."""

    def decide() -> None:
        with Decision("peter", REQUEST, reporter=book.reporter) as decision:
            decision.allow([ADMINS], policies=[ADMINS])
            raise LookupError("secret")

    with pytest.raises(LookupError, match="secret"):
        decide()
    record = book.record()
    assert (record["effect"], record["conclusion"]) == ("deny", "no decision: LookupError was raised")
    assert record["deciders"] == '[{"id":"admins"}]'
    assert "secret" not in str(record)


def test_detail_may_stay_out(book: Book) -> None:
    """`omit_detailed` leaves policies and deciders empty; the conclusion still names who decided."""
    with Decision("peter", REQUEST, reporter=book.reporter, omit_detailed=True) as decision:
        decision.allow([ADMINS], policies=[ADMINS, NIGHT])
    record = book.record()
    assert (record["policies"], record["deciders"]) == ("", "")
    assert record["conclusion"] == "policies admins allow access"


def test_a_record_may_expire(book: Book) -> None:
    """`expire_after` counts from the decision."""
    with Decision("peter", REQUEST, reporter=book.reporter, expire_after=3_600) as decision:
        decision.allow()
    record = book.record()
    assert record["expire_at"] == datetime.datetime.fromtimestamp(record["timestamp"] + 3_600, datetime.UTC)


@pytest.mark.parametrize("wrong", ["3600", math.inf, math.nan, -1, True, datetime.timedelta(hours=1)])
def test_a_wrong_expiry_is_refused(wrong: Any) -> None:
    """What is no number of seconds would cost each record when it is packed, so it is refused when it is given."""
    with pytest.raises(ValueError, match=r"expire_after=.*: it must be seconds, 0 or more, or None"):
        Decision("peter", REQUEST, expire_after=wrong)
    with pytest.raises(ValueError, match=r"expire_after=.*: it must be seconds, 0 or more, or None"):
        recorded(username=str, request=str, expire_after=wrong)


def test_what_expires_after_the_last_year_does_not_expire(book: Book) -> None:
    """A time that no datetime can hold is as good as never; it does not cost the record."""
    for seconds in (1e12, 10**400):
        with Decision("peter", REQUEST, reporter=book.reporter, expire_after=seconds) as decision:
            decision.allow()
    assert [(record["effect"], record["expire_at"]) for record in book.records()] == [("allow", None)] * 2


@pytest.mark.parametrize("wrong", ["ext://shop.reporter", object(), Reporter])
def test_what_is_no_reporter_is_refused(wrong: Any) -> None:
    """A mistake is told where it is made, not by each decision."""
    with pytest.raises(TypeError, match="reporter="):
        Decision("peter", REQUEST, reporter=wrong)
    with pytest.raises(TypeError, match="reporter="):
        recorded(username=str, request=str, reporter=wrong)


def test_a_decision_that_is_used_again_begins_anew(book: Book) -> None:
    """What one block has granted is not granted by the next."""
    decision = Decision("peter", REQUEST, reporter=book.reporter)
    with decision:
        decision.allow([ADMINS])
    with decision:
        pass
    said = [(record["effect"], record["conclusion"], record["deciders"]) for record in book.records()]
    assert said == [("allow", "policies admins allow access", '[{"id":"admins"}]'), ("deny", "no decision", "[]")]


def test_deciders_as_text_are_not_guessed_at(book: Book) -> None:
    """Where deciders are the text of their JSON, the conclusion does not say who decided, or that nobody did."""
    for allowed in (True, False):
        with Decision("peter", REQUEST, reporter=book.reporter) as decision:
            decision.decide(Verdict(allowed, '[{"id":"night"}]'))
    assert [record["conclusion"] for record in book.records()] == ["access is allowed", "access is denied"]


def test_what_changes_later_is_not_recorded(book: Book) -> None:
    """The request is as it was at the begin, to the second level, and the policies are those of the decision."""
    request: dict[str, Any] = {"action": "get", "context": {"ip": "10.0.0.7"}, "groups": ["staff"]}
    deciders: list[object] = [STAFF]
    with Decision("peter", request, reporter=book.reporter) as decision:
        request["context"]["ip"] = request["action"] = "changed"
        decision.allow(deciders, policies=deciders)
    request["groups"].append("changed")
    deciders.clear()
    record = book.record()
    assert json.loads(record["request"]) == {"action": "get", "context": {"ip": "10.0.0.7"}, "groups": ["staff"]}
    assert (record["policies"], record["deciders"]) == ('[{"id":"staff"}]', '[{"id":"staff"}]')


def test_text_is_the_json_itself(book: Book) -> None:
    """Whoever has the JSON already hands it over."""
    with Decision("peter", '{"n":1}', reporter=book.reporter) as decision:
        decision.allow([STAFF], policies='[{"id":"all"}]')
    record = book.record()
    assert (record["request"], record["policies"]) == ('{"n":1}', '[{"id":"all"}]')


@attrs.frozen
class Policy:
    id: str
    subjects: frozenset[str]


@pytest.mark.parametrize(
    ("username", "told"),
    [(uuid.UUID(int=7), str(uuid.UUID(int=7))), (7, "7"), (None, ""), ("\udc80", "\udc80")],
)
def test_a_username_is_text(book: Book, username: Any, told: str) -> None:
    """Whatever stands for a user becomes text, and nobody becomes no text."""
    with Decision(username, REQUEST, reporter=book.reporter) as decision:
        decision.deny(conclusion=username)
    record = book.record()
    assert record["username"] == told
    assert record["conclusion"] == (told or "no policy allowed access")


def test_objects_become_json(book: Book) -> None:
    """Requests and policies may be objects of classes; a policy that is text is its own name."""
    with Decision("peter", Policy("request", frozenset("a")), reporter=book.reporter) as decision:
        decision.allow([Policy("readers", frozenset("b")), "writers"])
    record = book.record()
    assert record["request"] == '{"id":"request","subjects":["a"]}'
    assert record["deciders"] == '[{"id":"readers","subjects":["b"]},"writers"]'
    assert record["conclusion"] == "policies readers, writers allow access"


class Broken:
    """A policy whose every word is an exception."""

    def __str__(self) -> str:
        raise ZeroDivisionError

    def __iter__(self) -> Iterator[object]:
        raise ZeroDivisionError

    @property
    def id(self) -> str:
        raise ZeroDivisionError


def test_what_has_no_json_does_not_cost_the_record(book: Book) -> None:
    """What cannot be told says so; the other fields, and the caller, go on."""
    with Decision(Broken(), Broken(), reporter=book.reporter) as decision:  # type: ignore[arg-type]
        decision.allow([Broken()], policies=Broken())
    record = book.record()
    assert (record["request"], record["username"]) == ('{"unreadable":true}',) * 2
    assert (record["deciders"], record["policies"]) == ('[{"unreadable":true}]', "[]")
    assert record["conclusion"] == "policies ? allow access"


class Door(enum.Enum):
    FRONT = 1


def circle() -> dict[str, Any]:
    """Return a dict that holds itself, and a list that does so over a dict."""
    made: dict[str, Any] = {"n": 1}
    made["self"] = made
    made["list"] = [made]
    return made


def deep(levels: int) -> Any:
    """Return NaN in so many lists."""
    value: Any = math.nan
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (math.nan, UNREADABLE),
        ({"x": -math.inf, "y": 1}, {"x": UNREADABLE, "y": 1}),
        ([{"x": {1, math.nan}}], None),
        ({(1, "a"): 1, Door.FRONT: 2, "b": 3}, {"(1, 'a')": 1, "Door.FRONT": 2, "b": 3}),
        ({Broken(): 1}, UNREADABLE),
        (Broken(), UNREADABLE),
        (Policy("night", frozenset([math.nan])), {"id": "night", "subjects": [UNREADABLE]}),  # type: ignore[list-item]
        (10**5000, UNREADABLE),
        ({10**5000: 1}, UNREADABLE),
        (circle(), None),
        (deep(3), [[[UNREADABLE]]]),
        (deep(5_000), None),
    ],
    ids=range(12),
)
def test_what_has_no_json_costs_itself_only(book: Book, bad: object, told: object) -> None:
    """Whoever asks cannot blank what he asked for: the rest of the request, and of the policies, stays."""
    with Decision("mallory", {**REQUEST, "context": {"ip": "10.0.0.7", "x": bad}}, reporter=book.reporter) as decision:
        decision.allow([{"id": "staff", "x": bad}])
    record = book.record()
    assert record["conclusion"] == "policies staff allow access"
    request, deciders = json.loads(record["request"]), json.loads(record["deciders"])
    assert {**request, "context": REQUEST["context"]} == REQUEST
    assert (request["context"]["ip"], deciders[0]["id"]) == ("10.0.0.7", "staff")
    assert told in (None, request["context"]["x"])
    assert told in (None, deciders[0]["x"])


def test_a_tangle_is_told_in_no_time(book: Book) -> None:
    """What is linked in every direction is looked into once, not once for each way through it."""
    knots: list[list[Any]] = [[] for _ in range(60)]
    for knot in knots:
        knot += knots
    with Decision("peter", {**REQUEST, "knots": knots}, reporter=book.reporter) as decision:
        decision.allow()
    assert json.loads(book.record()["request"])["subject"] == REQUEST["subject"]


def test_the_reporter_of_the_process(tmp_path: Path) -> None:
    """Without a reporter it is that of the process, set up before or after the decorator was used."""
    program = """
import pumpkit
from pumpkit.contrib.authz import Decision, recorded

@recorded(username=lambda name: name, request=lambda name: {"name": name})
def is_allowed(name):
    return name == "peter"

pumpkit.configure(buffer="sqlite:///buffer.db")
is_allowed("peter"), is_allowed("paul")
with Decision("mary", {}):
    pass
print(*pumpkit.flush())
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("3 0 0\n", "")


def test_the_module_stays_light() -> None:
    """Importing it loads neither attrs nor what a runner needs."""
    program = "import sys, pumpkit.contrib.authz as _; print({'attr', 'cattrs', 'pluggy', 'click'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_reporters_with_other_ways_of_taking(tmp_path: Path) -> None:
    """A reporter that copies, or blanks detail by itself, treats decisions like other records."""
    book = Book(tmp_path)
    book.reporter.close()
    book.reporter = Reporter(book.url, copy=True, omit_detailed=True)
    with Decision("peter", REQUEST, reporter=book.reporter) as decision:
        decision.allow([STAFF], policies=[STAFF])
    record = book.record()
    assert (record["policies"], record["deciders"], record["username"]) == ("", "", "peter")


def test_a_reporter_that_is_off_or_closed_changes_nothing(book: Book) -> None:
    """Decisions go on without a reporter that takes records."""
    off = Reporter(book.url, enabled=False)
    book.reporter.close()
    for reporter in (off, book.reporter):
        with Decision("peter", REQUEST, reporter=reporter) as decision:
            decision.allow()
    assert (off.close(), book.reporter.close()) == ((0, 0, 0), (0, 0, 1))
