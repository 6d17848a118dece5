"""A function that decides, decorated with `recorded`, does as before, and each of its decisions is recorded."""

import asyncio
import functools
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pumpkit.contrib.authz import Verdict, recorded
from tests.contrib.authz_book import NIGHT, REQUEST, STAFF, Book

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


def test_questions_that_fail_change_nothing(book: Book, caplog: pytest.LogCaptureFixture) -> None:
    """Where username or request cannot be found out, the decision is made and recorded, and a log line says so once."""

    def fail(*args: object) -> Any:
        raise KeyError(args)

    is_allowed = recorded(username=fail, request=fail, reporter=book.reporter)(lambda name: True)
    assert is_allowed("peter") is True
    assert is_allowed("peter") is True
    for record in book.records():
        assert (record["username"], record["request"], record["effect"]) == ("", '{"unreadable":true}', "allow")
    assert [(entry.levelno, entry.getMessage().split()[0]) for entry in caplog.records] == [
        (logging.ERROR, "username"),
        (logging.ERROR, "request"),
    ]


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


@pytest.mark.parametrize(
    ("answer", "effect", "conclusion"),
    [
        (True, "allow", "access is allowed"),
        (Verdict(False, [NIGHT]), "deny", "policy night forcefully denied the access"),
        (None, "deny", "no decision: NoneType was returned"),
        (LookupError(), "deny", "no decision: LookupError was raised"),
    ],
)
def test_a_function_that_hands_over_an_awaitable(book: Book, answer: object, effect: str, conclusion: str) -> None:
    """What decides may be asynchronous without being marked so: what is awaited is recorded, and the caller gets it."""

    async def later() -> object:
        await asyncio.sleep(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def decide(name: str, request: object) -> object:
        return later()

    async def ask() -> object:
        return await watched(book, decide)("peter", REQUEST)

    if isinstance(answer, Exception):
        with pytest.raises(LookupError):
            asyncio.run(ask())
    else:
        assert asyncio.run(ask()) is answer
    assert book.verdict() == (effect, conclusion)


def test_a_verdict_is_not_used_up(book: Book) -> None:
    """Whoever returns an iterator gives his caller what can be read after it was recorded."""

    def decide(name: str, request: object) -> Verdict:
        return Verdict(True, iter([STAFF]), (policy for policy in [STAFF, NIGHT]))

    verdict = watched(book, decide)("peter", REQUEST)
    assert (list(verdict.deciders), list(verdict.policies)) == ([STAFF], [STAFF, NIGHT])
    record = book.record()
    assert (json.loads(record["deciders"]), json.loads(record["policies"])) == ([STAFF], [STAFF, NIGHT])


def test_methods_without_an_object(book: Book) -> None:
    """They are decorated below `staticmethod` or `classmethod`; the other way round is refused when it is written."""
    watch = recorded(username=lambda *names: names[-1], request=lambda *names: {}, reporter=book.reporter)

    class Guard:
        @staticmethod
        @watch
        async def may_enter(name: str) -> bool:
            return True

        @classmethod
        @watch
        def may_leave(cls, name: str) -> bool:
            return True

    async def decide(name: str) -> bool:
        return True

    assert asyncio.run(Guard.may_enter("peter"))
    assert Guard.may_leave("paul")
    assert [(record["username"], record["effect"]) for record in book.records()] == [
        ("peter", "allow"),
        ("paul", "allow"),
    ]
    for kind in (staticmethod, classmethod):
        with pytest.raises(TypeError, match=f"put @{kind.__name__} above @recorded"):
            watch(kind(decide))


def test_generators_are_refused(book: Book) -> None:
    """A generator decides nothing when it is called, so decorating one is a mistake, told at once."""

    def decide(name: str, request: object) -> Iterator[bool]:
        yield True

    async def decide_later(name: str, request: object) -> Any:
        yield True

    for function in (decide, decide_later):
        with pytest.raises(TypeError, match=f"{function.__name__} is a generator"):
            watched(book, function)
