"""Recording requests of a WSGI application, such as one of Flask or Django.

    application = RecordRequests(application)

Query strings, headers and bodies are not recorded. The record is made when the body has ended, or the client has gone.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Unpack

from pumpkit.contrib.web import Facts, Options, Request, RequestFeed

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class RecordRequests(RequestFeed):
    """A WSGI middleware that hands one record a request to a reporter.

    app: the application. The keyword arguments are those of `pumpkit.contrib.web.RequestFeed`; functions among them
        are called with the environ.

    A record has the fields `time` (aware datetime, UTC, when the request began), `method`, `route` (path template in
    the framework's notation, None if it told none), `path` (with the prefix that the application is mounted at),
    `status` (that of the response; 500 where the application raised before it began one; None where it ended without
    beginning one), `duration` (seconds until the last part of the body was taken), `client` (address, None for a Unix
    socket) and `user` (or None). If the application raised, `error` is the name of the exception's type.

    The application may tell more by keys of the environ: `pumpkit.route`, `pumpkit.user`, `pumpkit.error`. Werkzeug
    and Flask tell the route by themselves; for Django there is `pumpkit.contrib.django`.

    The response is not changed, and what the application raises is raised. A file that the server sends by itself
    stays its file: the request ends when the server closes it, or gets it if it lets nobody notice that.
    """

    def __init__(self, app: Application, **options: Unpack[Options]) -> None:
        super().__init__(**options)
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        base = environ.get("SCRIPT_NAME", "")
        path = base + environ.get("PATH_INFO", "")
        if not path.isascii():  # PEP 3333: its bytes, as if they were Latin-1
            path = path.encode("latin-1", "replace").decode("utf-8", "replace")
        if self._skips(environ, path, base):
            return self._app(environ, start_response)
        request = Request(self, environ, environ.get("REQUEST_METHOD", ""), path)

        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            write = start_response(status, headers) if exc_info is None else start_response(status, headers, exc_info)
            request.status = _number(status)
            request.route = self._ask("the framework's route", _rule, environ, base)  # Flask forgets it soon
            if exc_info and isinstance(exc_info, tuple) and isinstance(exc_info[0], type):  # else there was no error
                request.error = exc_info[0].__name__
            return write

        try:
            body = self._app(environ, start)
        except BaseException as error:
            request.failed(error)
            request.end()
            raise
        kind = type(body)
        if kind is list or kind is tuple:  # nothing of the application runs any more, and servers ask for its length
            request.end()
        elif _is_file_of_server(body, environ.get("wsgi.file_wrapper")):
            _end_with_file(body, request)
        else:
            body = _SizedBody(body, request) if hasattr(kind, "__len__") else _Body(body, request)
        return body

    def _known_route(self, request: Request) -> str | None:
        return request.route

    def _known_user(self, facts: Facts) -> Any:
        user = facts.get("REMOTE_USER") or None
        if isinstance(user, str) and not user.isascii():  # as the path, if a server has set it
            with contextlib.suppress(UnicodeError):
                return user.encode("latin-1").decode("utf-8")
        return user

    def _peer(self, facts: Facts) -> str | None:
        return facts.get("REMOTE_ADDR") or None

    def _forwarded_for(self, facts: Facts) -> str:
        return str(facts.get("HTTP_X_FORWARDED_FOR", ""))


class _Body:
    """A body on its way, with the end of its request."""

    __slots__ = ("_body", "_next", "_request")

    def __init__(self, body: Any, request: Request) -> None:
        self._body = body
        self._next: Callable[[], bytes] | None = None
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            if self._next is None:
                self._next = iter(self._body).__next__
            return self._next()
        except StopIteration:
            self._request.end()
            raise
        except BaseException as error:
            self._request.failed(error)
            self._request.end()
            raise

    def close(self) -> None:
        """The server needs no more."""
        try:
            if hasattr(self._body, "close"):
                self._body.close()
        except BaseException as error:
            self._request.failed(error)
            raise
        finally:
            self._request.end()


class _SizedBody(_Body):
    """A body whose parts can be counted, from which servers conclude the length of the response."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._body)


def _rule(environ: dict[str, Any], base: str) -> str | None:
    """Return the rule that Werkzeug or Flask has matched, with where a dispatcher has mounted its application."""
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    return None if rule is None else f"{environ.get('SCRIPT_NAME', '').removeprefix(base)}{rule.rule}"


def _is_file_of_server(body: Any, wrapper: Any) -> bool:
    """Whether the body is a file that the server sends by itself, which it knows by the body's class, or identity."""
    if isinstance(wrapper, type):
        return isinstance(body, wrapper)
    return wrapper is not None and hasattr(body, "read")


def _end_with_file(body: Any, request: Request) -> None:
    """End the request when the server closes its file, which stays as it is."""
    close = getattr(body, "close", None)

    def close_and_end() -> None:
        try:
            if close is not None:
                close()
        finally:
            request.end()

    try:
        body.close = close_and_end
    except AttributeError:  # an object of C
        request.end()


def _number(status: str) -> int | None:
    """Return the number of a status line."""
    try:
        return int(status[:3])
    except (TypeError, ValueError):  # a server may take what the standard forbids
        return None
