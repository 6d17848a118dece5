"""Recording authorization decisions, granted and rejected, as the Go original's server does.

`Decision` is a context manager around the code that decides, `recorded` a decorator for a function that decides. Both
hand one record a decision to a reporter, with the fields of `pumpkit.AnalyticsRecord`. A decision that raises was not
granted, so it is recorded as denied; the exception goes on as it would without them.

The deciding thread keeps what it has at hand, which takes it about two microseconds; the JSON and the conclusion are
made of that in the background, when the record is packed. So that they tell of the decision, and not of later, a
request that is a dict is copied when the decision begins, with the dicts and lists in it, and a list of policies when
the decision is made. Nothing deeper is: replace policies rather than edit them, or hand over text.
"""

import datetime
import functools
import inspect
import json
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, NamedTuple, ParamSpec, Self, TypeVar, cast

import pumpkit
from pumpkit.contrib.checks import check_reporter
from pumpkit.errors import Unpackable
from pumpkit.reporter import Reporter
from pumpkit.values import as_map

log = logging.getLogger("pumpkit.contrib.authz")

P = ParamSpec("P")
T = TypeVar("T")

#: As in `pumpkit.records`, which loads attrs.
_ALLOW, _DENY = "allow", "deny"

#: In place of what cannot be told as JSON: as text, and within JSON.
_UNREADABLE = '{"unreadable":true}'
_NO_JSON = {"unreadable": True}

#: Levels of a request or of policies that are looked into for what has no JSON; what nests deeper is left out with it.
_LOOKED_INTO = 8


class Verdict(NamedTuple):
    """What a function that decides may return instead of a bool; it is true if `allowed`.

    deciders: the policies that decided, in the order in which they matched; where one denied, it is the last.
    policies: all policies that were looked at; if they rarely change, the text of their JSON, which is made once then.
    conclusion: one sentence for people; None for that of the original, made of the ids of the deciders if these are no
        text.
    """

    allowed: bool
    deciders: Iterable[object] = ()
    policies: Iterable[object] = ()
    conclusion: str | None = None

    def __bool__(self) -> bool:
        return self.allowed is True


class Decision:
    """A context manager that records what its block decides.

    username: who asks.
    request: what is asked for: any mapping, attrs class, dataclass, or the text of its JSON.
    reporter: which reporter; None for that of the process.
    omit_detailed: True leaves `policies` and `deciders` empty.
    expire_after: seconds after which sinks may forget the record; None for never.

    Say `allow` or `deny` in the block; the last word counts. A block that says neither, or that an exception leaves,
    has not granted anything: it is recorded as denied, with the conclusion "no decision", and which exception it was.
    Raises TypeError for what is no reporter, ValueError for a wrong `expire_after`.
    """

    __slots__ = ("_expire_after", "_omit_detailed", "_reporter", "_request", "_username", "_verdict")

    def __init__(
        self,
        username: str,
        request: object,
        *,
        reporter: Reporter | None = None,
        omit_detailed: bool = False,
        expire_after: float | None = None,
    ) -> None:
        if reporter is not None or expire_after is not None:
            _check(reporter, expire_after)
        self._username = username
        self._request = _kept(request)
        self._reporter = reporter
        self._omit_detailed = omit_detailed
        self._expire_after = expire_after
        self._verdict = _UNDECIDED

    def allow(
        self, deciders: Iterable[object] = (), *, policies: Iterable[object] = (), conclusion: str | None = None
    ) -> None:
        """Say that the request is granted; see `Verdict` for the arguments."""
        self._verdict = Verdict(True, deciders, policies, conclusion)

    def deny(
        self, deciders: Iterable[object] = (), *, policies: Iterable[object] = (), conclusion: str | None = None
    ) -> None:
        """Say that the request is rejected; see `Verdict` for the arguments."""
        self._verdict = Verdict(False, deciders, policies, conclusion)

    def decide(self, verdict: T) -> T:
        """Say what a function that decides has returned: a bool or a `Verdict`. Anything else grants nothing.

        Returns it. Where its deciders or policies can be read only once, the one that is returned has lists of them.
        """
        if isinstance(verdict, Verdict):
            self._verdict = kept = _readable_twice(verdict)
            return cast(T, kept)
        if verdict is True or verdict is False:
            self._verdict = _ALLOWED if verdict else _DENIED
        else:
            self._verdict = Verdict(False, conclusion=f"no decision: {type(verdict).__name__} was returned")
        return verdict

    def __enter__(self) -> Self:
        self._verdict = _UNDECIDED  # what an earlier block has said is not said of this one
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        verdict = self._verdict
        if kind is not None:
            verdict = Verdict(False, verdict.deciders, verdict.policies, f"no decision: {kind.__name__} was raised")
        record = pumpkit.record if self._reporter is None else self._reporter.record
        record(_Decided(self._username, self._request, verdict, self._omit_detailed, self._expire_after))


_ALLOWED = Verdict(True)
_DENIED = Verdict(False)
_UNDECIDED = Verdict(False, conclusion="no decision")

#: What is no awaitable, without a look at it.
_ANSWERS = (bool, Verdict)


def recorded(
    *,
    username: Callable[..., str],
    request: Callable[..., object],
    reporter: Reporter | None = None,
    omit_detailed: bool = False,
    expire_after: float | None = None,
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Return a decorator that records what a function decides, which returns a bool or a `Verdict`.

    username, request: are called with the arguments of the function, before it, and return what `Decision` wants.
        Where one of them raises, its field says nothing, and the function is called all the same; the first time is
        logged.

    The other arguments are those of `Decision`, and so are the errors for wrong ones. The function may be asynchronous,
    or return an awaitable: its caller gets a coroutine then, and what that returns is recorded. Anything else that it
    returns is returned to its caller and recorded as denied. Raises TypeError for a generator, which decides nothing
    when called, and for a `staticmethod` or `classmethod`, which belong above this decorator.
    """
    _check(reporter, expire_after)
    raised: set[str] = set()

    def ask(what: str, question: Callable[..., Any], args: Any, kwargs: Any, otherwise: str) -> Any:
        """Ask the user's code; what is wrong with it must not change the decision, and is told once."""
        try:
            return question(*args, **kwargs)
        except Exception:
            if what not in raised:
                raised.add(what)
                log.exception("%s of a decision cannot be recorded; this is logged once", what)
            return otherwise

    def begin(args: Any, kwargs: Any) -> Decision:
        who = ask("username", username, args, kwargs, "")
        what = ask("request", request, args, kwargs, _UNREADABLE)
        return Decision(who, what, reporter=reporter, omit_detailed=omit_detailed, expire_after=expire_after)

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function.__qualname__} is a generator: decorate a function that returns its decision")
        if isinstance(function, staticmethod | classmethod):
            raise TypeError(f"{function.__qualname__}: put @{type(function).__name__} above @recorded, not below it")

        if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):
            waiting = cast(Callable[P, Awaitable[Any]], function)

            @functools.wraps(function)
            async def decide_later(*args: P.args, **kwargs: P.kwargs) -> Any:
                with begin(args, kwargs) as decision:
                    return decision.decide(await waiting(*args, **kwargs))

            return cast(Callable[P, T], decide_later)

        @functools.wraps(function)
        def decide(*args: P.args, **kwargs: P.kwargs) -> T:
            decision = begin(args, kwargs)
            try:
                verdict = function(*args, **kwargs)
            except BaseException:
                with decision:
                    raise
            if not isinstance(verdict, _ANSWERS) and inspect.isawaitable(verdict):
                return cast(T, _awaited(decision, verdict))
            with decision:
                return decision.decide(verdict)

        return decide

    return decorate


async def _awaited(decision: Decision, verdict: Awaitable[Any]) -> Any:
    with decision:
        return decision.decide(await verdict)


def _check(reporter: object, expire_after: float | None) -> None:
    """Refuse what would only be noticed when a record is packed, in the background."""
    check_reporter(reporter)
    if expire_after is None:
        return
    number = isinstance(expire_after, int | float) and not isinstance(expire_after, bool)
    if not number or not 0 <= expire_after < math.inf:
        raise ValueError(f"expire_after={expire_after!r:.200}: it must be seconds, 0 or more, or None")


def _readable_twice(verdict: Verdict) -> Verdict:
    """Return a verdict that its recording does not use up."""
    if hasattr(verdict.deciders, "__next__"):
        verdict = verdict._replace(deciders=_listed(verdict.deciders))
    if hasattr(verdict.policies, "__next__"):
        verdict = verdict._replace(policies=_listed(verdict.policies))
    return verdict


def _kept(value: Any) -> Any:
    """Return a request as it is now: what a request is usually made of is copied, two levels deep."""
    if type(value) is not dict:
        return value
    kept = value.copy()
    for name, inner in kept.items():
        if type(inner) is dict or type(inner) is list:
            kept[name] = inner.copy()
    return kept


def _listed(values: Any) -> str | tuple[object, ...]:
    """Return the policies of the moment, none if they cannot be had."""
    if isinstance(values, str):
        return values
    try:
        return tuple(values)
    except Exception:  # of an iterable that has code of its own
        return ()


class _Decided(Mapping[str, Any]):
    """A decision on its way: the fields of an `AnalyticsRecord`, some of which are made when it is packed."""

    __slots__ = ("deciders", "expire_after", "policies", "request", "timestamp", "username", "verdict")

    def __init__(
        self, username: str, request: object, verdict: Verdict, omit_detailed: bool, expire_after: float | None
    ) -> None:
        self.timestamp = int(time.time())
        self.username = username
        self.verdict = verdict
        self.request = request
        self.deciders = _listed(verdict.deciders)
        self.policies = None if omit_detailed else _listed(verdict.policies)
        self.expire_after = expire_after

    def __getitem__(self, name: str) -> Any:
        return _MADE[name](self)

    def __iter__(self) -> Iterator[str]:
        return iter(_MADE)

    def __len__(self) -> int:
        return len(_MADE)

    def __copy__(self) -> Self:
        return self  # nobody else has it


def _effect(decided: _Decided) -> str:
    return _ALLOW if decided.verdict else _DENY


def _conclusion(decided: _Decided) -> str:
    if decided.verdict.conclusion is not None:
        return _word(decided.verdict.conclusion)
    names = [] if isinstance(decided.deciders, str) else [_name(policy) for policy in decided.deciders]
    if decided.verdict:
        return f"policies {', '.join(names)} allow access" if names else "access is allowed"
    if isinstance(decided.deciders, str) and decided.deciders:
        return "access is denied"
    if not names:
        return "no policy allowed access"
    *allowing, denier = names
    if not allowing:
        return f"policy {denier} forcefully denied the access"
    return f"policies {', '.join(allowing)} allow access, but policy {denier} forcefully denied it"


def _name(policy: Any) -> str:
    """Return what a policy is called: its id, or the policy itself if it is text."""
    try:
        return str(policy.get("id", "?") if isinstance(policy, Mapping) else getattr(policy, "id", policy))
    except Exception:  # of a class that has code of its own
        return "?"


def _word(value: object) -> str:
    """Return what should be text already."""
    try:
        return "" if value is None else str(value)
    except Exception:  # of a class that has code of its own
        return _UNREADABLE


def _text(value: object) -> str:
    """Return a value as JSON text. What in it has none does not cost the rest of it."""
    if isinstance(value, str):
        return value
    try:
        return _encode(value)
    except Exception:
        return _encode(_readable(value, {}))


def _readable(value: Any, broken: dict[int, object], level: int = 1) -> object:
    """Return a value with `_NO_JSON` in place of what has no JSON in it, such as NaN, or a list that holds itself.

    broken: what is known to have none, or not all of it, by its id. Each is looked into once, however they are linked.
    """
    try:
        _encode(value)
        return value
    except Exception:
        if level > _LOOKED_INTO or id(value) in broken:
            return _NO_JSON
    broken[id(value)] = value
    try:
        if isinstance(value, list | tuple | set | frozenset):
            return [_readable(inner, broken, level + 1) for inner in value]
        return {
            name if isinstance(name, str) else str(name): _readable(inner, broken, level + 1)
            for name, inner in as_map(value).items()
        }
    except Exception:  # Unpackable, or of a class that has code of its own
        return _NO_JSON


def _plain(value: Any) -> object:
    if isinstance(value, set | frozenset):
        return list(value)
    try:
        return as_map(value)
    except Unpackable:
        return str(value)


_encode = json.JSONEncoder(default=_plain, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def _expire_at(decided: _Decided) -> datetime.datetime | None:
    if decided.expire_after is None:
        return None
    try:
        return datetime.datetime.fromtimestamp(decided.timestamp + decided.expire_after, datetime.UTC)
    except (OverflowError, ValueError):  # after the year 9999
        return None


_MADE: dict[str, Callable[[_Decided], Any]] = {
    "timestamp": lambda decided: decided.timestamp,
    "username": lambda decided: _word(decided.username),
    "effect": _effect,
    "conclusion": _conclusion,
    "request": lambda decided: _text(decided.request),
    "policies": lambda decided: "" if decided.policies is None else _text(decided.policies),
    "deciders": lambda decided: "" if decided.policies is None else _text(decided.deciders),
    "expire_at": _expire_at,
}
