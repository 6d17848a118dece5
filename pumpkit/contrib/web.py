"""What the feeds of HTTP requests have in common, for WSGI and for ASGI: their arguments, and what a record says."""

import datetime
import inspect
import ipaddress
import logging
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from time import perf_counter
from typing import Any, TypedDict

import pumpkit
from pumpkit.contrib.checks import check_reporter, checked_value
from pumpkit.reporter import Reporter

log = logging.getLogger("pumpkit.contrib.web")

#: What the server and the application know of a request: the environ of WSGI, or the scope of ASGI.
Facts = MutableMapping[str, Any]

_UTC = datetime.UTC


class Options(TypedDict, total=False):
    """The keyword arguments of `RequestFeed`, as the middleware takes them."""

    reporter: Reporter | None
    route: Callable[[Any], str | None] | None
    user: Callable[[Any], str | None] | None
    extra: Callable[[Any], Mapping[str, Any]] | None
    exclude: Iterable[str]
    trusted_proxies: int


class RequestFeed:
    """The middleware's arguments, checked, and the making of its records. See `wsgi` and `asgi`.

    reporter: which reporter; None for that of the process.
    route: returns the path template of a request, None if there is none.
    user: returns who asks, None if nobody is known.
    extra: returns more fields. They replace fields of the same name, so `{"path": None}` hides the path.
    exclude: exact paths that are not recorded, such as "/healthz"; with or without the prefix that the application is
        mounted at.
    trusted_proxies: how many proxies of your own a request passes, each of which adds the address that it was called
        from to `X-Forwarded-For`. 0 means that the header says nothing: anybody can send one.

    `route`, `user` and `extra` are called once, when the response is finished, with the environ or the scope. One that
    raises costs its own fields only, and is logged the first time; where `extra` raises, `path` is None, because it may
    have been about to hide it. A user that is not text becomes text, a field of `extra` that has no form on the wire is
    None. Raises TypeError or ValueError for wrong arguments.

    Of several feeds around one application that have the same reporter, the outermost records a request.
    """

    def __init__(
        self,
        *,
        reporter: Reporter | None = None,
        route: Callable[[Any], str | None] | None = None,
        user: Callable[[Any], str | None] | None = None,
        extra: Callable[[Any], Mapping[str, Any]] | None = None,
        exclude: Iterable[str] = (),
        trusted_proxies: int = 0,
    ) -> None:
        check_reporter(reporter)
        for name, function in (("route", route), ("user", user), ("extra", extra)):
            if function is not None and (not callable(function) or inspect.iscoroutinefunction(function)):
                raise TypeError(f"{name}={function!r:.200}: it must be a function that is not asynchronous")
        if isinstance(exclude, str):
            raise TypeError(f"exclude={exclude!r:.200}: it must be a list of paths")
        if isinstance(trusted_proxies, bool) or not isinstance(trusted_proxies, int) or trusted_proxies < 0:
            raise ValueError(f"trusted_proxies={trusted_proxies!r:.200}: it must be a whole number, 0 or more")
        self._reporter = reporter
        self._route = route
        self._user = user
        self._extra = extra
        self._exclude = frozenset(exclude)
        self._trusted_proxies = trusted_proxies
        self._raised: set[str] = set()
        #: Key of the environ or the scope while a request is being recorded for this reporter.
        self._mark = f"pumpkit.recording.{id(pumpkit.get_reporter() if reporter is None else reporter)}"

    def _skips(self, facts: Facts, path: str, prefix: str) -> bool:
        """Whether a request is not recorded: its path is excluded, or another feed further out records it."""
        exclude = self._exclude
        return path in exclude or (prefix and path.removeprefix(prefix) in exclude) or self._mark in facts

    # What WSGI and ASGI tell in different ways -----------------------------------------------------------------

    def _known_route(self, request: "Request") -> str | None:
        """Return the path template that the framework has left."""
        raise NotImplementedError

    def _known_user(self, facts: Facts) -> Any:
        """Return who asks, as far as the framework or the server has found out."""
        raise NotImplementedError

    def _peer(self, facts: Facts) -> str | None:
        """Return the address at the other end of the connection."""
        raise NotImplementedError

    def _forwarded_for(self, facts: Facts) -> str:
        """Return what `X-Forwarded-For` says, several such headers joined by commas."""
        raise NotImplementedError

    # Records ----------------------------------------------------------------------------------------------------

    def _record(self, request: "Request", duration: float) -> None:
        """Record a request. Raises nothing."""
        facts = request.facts
        record = {
            "time": request.time,
            "method": request.method,
            "route": self._told("route", self._route, facts, self._known_route, request),
            "path": request.path,
            "status": request.status,
            "duration": duration,
            "client": self._ask("the client's address", self._client, facts),
            "user": self._told("user", self._user, facts, self._known_user, facts),
        }
        error = request.error or facts.get("pumpkit.error")
        if error is not None:
            record["error"] = error if isinstance(error, str) else type(error).__name__
        if self._extra is not None:
            more = self._ask("extra", self._more, self._extra, facts)
            record.update({"path": None} if more is None else more)  # it may have been about to hide the path
        self._ask("the record", pumpkit.record if self._reporter is None else self._reporter.record, record)

    def _told(
        self, name: str, function: Callable[[Any], Any] | None, facts: Facts, known: Callable[[Any], Any], of: Any
    ) -> str | None:
        """Return what the application tells of a field, as text; else what its framework and the server know."""
        told = facts.get(f"pumpkit.{name}") if function is None else self._ask(name, function, facts)
        if told is None:
            told = self._ask(f"the framework's {name}", known, of)
        return told if told is None or isinstance(told, str) else self._ask(name, str, told)

    def _more(self, extra: Callable[[Any], Mapping[Any, Any] | None], facts: Facts) -> dict[str, Any]:
        """Return the fields that `extra` tells; None in place of a value that would cost the record."""
        more: dict[str, Any] = {}
        for name, value in dict(extra(facts) or {}).items():
            checked = self._ask("extra", checked_value, name, value)
            if isinstance(name, str):
                more[name] = checked
        return more

    def _client(self, facts: Facts) -> str | None:
        if self._trusted_proxies:
            entries = self._forwarded_for(facts).split(",")
            if len(entries) >= self._trusted_proxies:
                return _address(entries[-self._trusted_proxies].strip()) or self._peer(facts)
        return self._peer(facts)

    def _ask(self, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call what is not ours. What is wrong with it must not change the response, and is told once."""
        try:
            return function(*arguments)
        except Exception:
            if what not in self._raised:
                self._raised.add(what)
                log.exception("%s of a request cannot be recorded; this is logged once", what)
            return None


def _address(entry: str) -> str | None:
    """Return the address that an entry of `X-Forwarded-For` names, without the port that some proxies add."""
    if entry.startswith("["):
        entry = entry[1:].partition("]")[0]
    elif entry.count(":") == 1:
        entry = entry.partition(":")[0]
    try:
        return str(ipaddress.ip_address(entry.partition("%")[0]))
    except ValueError:
        return None


class Request:
    """A request on its way, until its record is made."""

    __slots__ = ("_began", "_feed", "error", "facts", "method", "path", "recorded", "route", "status", "time")

    def __init__(self, feed: RequestFeed, facts: Facts, method: str, path: str) -> None:
        self._feed = feed
        self.facts = facts
        self.method = method
        self.path = path
        #: Path template, if the framework tells it only while the request runs.
        self.route: str | None = None
        self.status: int | None = None
        self.error: str | None = None
        self.recorded = False
        self.time = datetime.datetime.now(_UTC)
        self._began = perf_counter()
        facts[feed._mark] = True

    def elapsed(self) -> float:
        """Return the seconds since it began."""
        return perf_counter() - self._began

    def failed(self, error: BaseException) -> None:
        """The application raised. Where it had not begun a response, the server answers with status 500."""
        self.error = type(error).__name__
        if self.status is None:
            self.status = 500

    def end(self, duration: float | None = None) -> None:
        """Record it, the first time that this is called."""
        if not self.recorded:
            self.recorded = True
            self.facts.pop(self._feed._mark, None)
            self._feed._record(self, self.elapsed() if duration is None else duration)
