"""Authorization decisions are recorded as they were made, whatever the code around them does."""

import asyncio
import datetime
import functools
import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from pumpkit import AnalyticsRecord, Reporter
from pumpkit.contrib.authz import Decision, Verdict, recorded
from tests.programs import contents

REQUEST = {"subject": "users:peter", "action": "delete", "resource": "printer", "context": {"ip": "10.0.0.7"}}

ADMINS, STAFF, NIGHT = ({"id": name} for name in ("admins", "staff", "night"))


class Book:
    """A reporter into a buffer of its own, and what has arrived there."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder / 'buffer.db'}"
        self.reporter = Reporter(self.url, flush_interval=0.01)

    def records(self) -> list[dict[str, Any]]:
        """Return every record, in order."""
        assert self.reporter.close(30)[1:] == (0, 0)
        return [record for content in contents(self.url) for record in content.records]

    def record(self) -> dict[str, Any]:
        """Return the one record that there is."""
        (record,) = self.records()
        return record

    def verdict(self) -> tuple[str, str]:
        """Return effect and conclusion of the one record."""
        record = self.record()
        return record["effect"], record["conclusion"]


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    """Return an empty book."""
    made = Book(tmp_path)
    yield made
    made.reporter.close()


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
    """A field that cannot be told says so; the others, and the caller, go on."""
    circle: dict[str, Any] = {"n": 1}
    circle["self"] = circle
    with Decision(Broken(), circle, reporter=book.reporter) as decision:  # type: ignore[arg-type]
        decision.allow([Broken()], policies=Broken())
    record = book.record()
    assert (record["request"], record["username"], record["deciders"]) == ('{"unreadable":true}',) * 3
    assert (record["policies"], record["conclusion"]) == ("[]", "policies ? allow access")


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


Decider = Callable[..., Any]


def watched(book: Book, function: Decider) -> Decider:
    """Return a function that takes (name, request), with its decisions recorded."""
    return recorded(username=lambda name, request: name, request=lambda name, request: request, reporter=book.reporter)(
        function
    )


@pytest.mark.parametrize(
    ("answer", "effect", "conclusion"),
    [
        (True, "allow", "access is allowed"),
        (False, "deny", "no policy allowed access"),
        (Verdict(True, [STAFF]), "allow", "policies staff allow access"),
        (Verdict(False, [STAFF, NIGHT]), "deny", "policies staff allow access, but policy night forcefully denied it"),
        (Verdict(False, conclusion="closed"), "deny", "closed"),
        (None, "deny", "no decision: NoneType was returned"),
        ({"allowed": True}, "deny", "no decision: dict was returned"),
        (1, "deny", "no decision: int was returned"),
        (Verdict(1), "deny", "no policy allowed access"),  # type: ignore[arg-type]
    ],
)
@pytest.mark.parametrize("later", [False, True], ids=["sync", "async"])
def test_a_function_that_decides(book: Book, answer: object, effect: str, conclusion: str, later: bool) -> None:
    """Its answer reaches the caller as it is and is recorded; what is neither a bool nor a verdict grants nothing."""

    def decide(name: str, request: object) -> object:
        return answer

    async def decide_later(name: str, request: object) -> object:
        await asyncio.sleep(0)
        return answer

    if later:
        assert asyncio.run(watched(book, decide_later)("peter", request=REQUEST)) is answer
    else:
        assert watched(book, decide)("peter", request=REQUEST) is answer
    record = book.record()
    assert (record["username"], record["effect"], record["conclusion"]) == ("peter", effect, conclusion)
    assert json.loads(record["request"]) == REQUEST


def test_a_verdict_is_true_if_it_allows() -> None:
    """`if is_allowed(...)` does what it says, although a tuple is true."""
    assert Verdict(True)
    assert not Verdict(False, [STAFF], [STAFF], "no")


def test_a_function_that_raises_is_denied(book: Book) -> None:
    """The caller gets the exception itself."""

    def decide(name: str, request: object) -> bool:
        raise OSError("the policies cannot be read")

    with pytest.raises(OSError, match="the policies cannot be read"):
        watched(book, decide)("peter", REQUEST)
    assert book.verdict() == ("deny", "no decision: OSError was raised")


def test_a_decision_that_is_cancelled_is_denied(book: Book) -> None:
    """An asynchronous function that is cancelled while it waits has granted nothing."""

    async def decide(name: str, request: object) -> bool:
        await asyncio.sleep(60)
        return True

    async def cancel() -> None:
        task = asyncio.create_task(watched(book, decide)("peter", REQUEST))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert book.verdict() == ("deny", "no decision: CancelledError was raised")


def test_questions_that_fail_change_nothing(book: Book) -> None:
    """The function is called, and its decision recorded, if username or request cannot be found out."""

    def fail(*args: object) -> Any:
        raise KeyError(args)

    is_allowed = recorded(username=fail, request=fail, reporter=book.reporter)(lambda name: True)
    assert is_allowed("peter") is True
    record = book.record()
    assert (record["username"], record["request"], record["effect"]) == ("", '{"unreadable":true}', "allow")


def test_whatever_can_be_called_decides(book: Book) -> None:
    """A method keeps its object and its docstring, a partial function its arguments; an object may be called later."""

    class Guard:
        @recorded(username=lambda self, name: name, request=lambda self, name: self.door, reporter=book.reporter)
        def is_allowed(self, name: str) -> bool:
            """Whether somebody may come in."""
            return name == "peter"

        door = '"front"'

    async def decide(name: str, request: object) -> bool:
        return True

    class Later:
        async def __call__(self, name: str, request: object) -> bool:
            return True

    assert Guard().is_allowed("peter")
    assert Guard.is_allowed.__doc__ == "Whether somebody may come in."
    assert asyncio.run(watched(book, functools.partial(decide, "peter"))(request=REQUEST)) is True
    assert asyncio.run(watched(book, Later())("peter", REQUEST)) is True
    assert [record["effect"] for record in book.records()] == ["allow"] * 3


def test_generators_are_refused(book: Book) -> None:
    """A generator decides nothing when it is called, so decorating one is a mistake, told at once."""

    def decide(name: str, request: object) -> Iterator[bool]:
        yield True

    async def decide_later(name: str, request: object) -> Any:
        yield True

    for function in (decide, decide_later):
        with pytest.raises(TypeError, match=f"{function.__name__} is a generator"):
            watched(book, function)


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
