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
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, NamedTuple, ParamSpec, Self, TypeVar, cast

import pumpkit
from pumpkit.errors import Unpackable
from pumpkit.reporter import Reporter
from pumpkit.values import as_map

P = ParamSpec("P")
T = TypeVar("T")

#: As in `pumpkit.records`, which loads attrs.
_ALLOW, _DENY = "allow", "deny"

#: In place of what cannot be told as JSON.
_UNREADABLE = '{"unreadable":true}'


class Verdict(NamedTuple):
    """What a function that decides may return instead of a bool; it is true if `allowed`.

    deciders: the policies that decided, in the order in which they matched; where one denied, it is the last.
    policies: all policies that were looked at; if they rarely change, the text of their JSON, which is made once then.
    conclusion: one sentence for people; None for that of the original, made of the ids of the deciders.
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

    def decide(self, verdict: object) -> None:
        """Say what a function that decides has returned: a bool or a `Verdict`. Anything else grants nothing."""
        if isinstance(verdict, Verdict):
            self._verdict = verdict
        elif verdict is True or verdict is False:
            self._verdict = _ALLOWED if verdict else _DENIED
        else:
            self._verdict = Verdict(False, conclusion=f"no decision: {type(verdict).__name__} was returned")

    def __enter__(self) -> Self:
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
        Where one of them raises, its field says nothing, and the function is called all the same.

    The other arguments are those of `Decision`. The function may be asynchronous; anything else that it returns is
    returned to its caller and recorded as denied. Raises TypeError for a generator, which decides nothing when called.
    """

    def begin(args: Any, kwargs: Any) -> Decision:
        who, what = _asked(username, args, kwargs, ""), _asked(request, args, kwargs, _UNREADABLE)
        return Decision(who, what, reporter=reporter, omit_detailed=omit_detailed, expire_after=expire_after)

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function.__qualname__} is a generator: decorate a function that returns its decision")

        if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):
            waiting = cast(Callable[P, Awaitable[Any]], function)

            @functools.wraps(function)
            async def decide_later(*args: P.args, **kwargs: P.kwargs) -> Any:
                with begin(args, kwargs) as decision:
                    verdict = await waiting(*args, **kwargs)
                    decision.decide(verdict)
                return verdict

            return cast(Callable[P, T], decide_later)

        @functools.wraps(function)
        def decide(*args: P.args, **kwargs: P.kwargs) -> T:
            with begin(args, kwargs) as decision:
                verdict = function(*args, **kwargs)
                decision.decide(verdict)
            return verdict

        return decide

    return decorate


def _asked(question: Callable[..., Any], args: Any, kwargs: Any, otherwise: str) -> Any:
    """Ask the user's code for a username or a request; what is wrong with it must not change the decision."""
    try:
        return question(*args, **kwargs)
    except Exception:
        return otherwise


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
    """Return a value as JSON text. One that has none does not cost the record."""
    if isinstance(value, str):
        return value
    try:
        return _encode(value)
    except Exception:  # such as a list that holds itself
        return _UNREADABLE


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
    return datetime.datetime.fromtimestamp(decided.timestamp + decided.expire_after, datetime.UTC)


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
