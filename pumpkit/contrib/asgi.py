"""Recording requests of an ASGI application, such as one of FastAPI, Starlette or Django.

    app = RecordRequests(app)    # or app.add_middleware(RecordRequests)

Query strings, headers and bodies are not recorded, nor are websockets. When the server stops, what waits is sent
before the server is told that the application has stopped: some servers end by a signal then, without exit handlers.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Unpack

from pumpkit.contrib.web import Facts, Options, Request, RequestFeed
from pumpkit.reporter import process

log = logging.getLogger("pumpkit.contrib.asgi")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]

#: Messages that may be the last of a response.
_BODY = frozenset({"http.response.body", "http.response.zerocopysend", "http.response.pathsend"})

#: Seconds that requests may take to end when the application's lifespan ends: servers have cancelled them.
_PATIENCE = 1.0


class RecordRequests(RequestFeed):
    """An ASGI middleware that hands one record a request to a reporter.

    app: the application. The keyword arguments are those of `pumpkit.contrib.web.RequestFeed`; functions among them
        are called with the scope.

    A record has the fields `time` (aware datetime, UTC, when the request began), `method`, `route` (path template in
    the framework's notation, None if it told none), `path`, `status` (that of the response; 500 where the application
    raised before it began one; None where it ended without beginning one), `duration` (seconds until the last part of
    the body was sent; tasks in the background do not count), `client` (address, None for a Unix socket) and `user` (or
    None). If the application raised, `error` is the name of the exception's type.

    The application may tell more by keys of the scope: `pumpkit.route`, `pumpkit.user`, `pumpkit.error`. Starlette and
    FastAPI tell the route by themselves, and the user if their AuthenticationMiddleware is used; for Django there is
    `pumpkit.contrib.django`.

    The response is not changed, and what the application raises is raised. Websockets are passed on and not recorded.

    At the end of the application's lifespan, everything recorded in the process is sent, for `exit_timeout` seconds at
    most. An application that refuses the lifespan protocol needs no change: the middleware then speaks it alone.
    """

    def __init__(self, app: Application, **options: Unpack[Options]) -> None:
        super().__init__(**options)
        self._app = app
        self._running: set[Request] = set()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http" and not self._skips(scope, scope["path"], scope.get("root_path", "")):
            await self._answer(scope, receive, send)
        elif kind == "lifespan":
            await _Lifespan(receive, send, self._send_what_waits).run(self._app, scope)
        else:
            await self._app(scope, receive, send)

    async def _answer(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        request = Request(self, scope, scope["method"], scope["path"])
        duration: float | None = None
        self._running.add(request)

        async def send_on(message: Message) -> None:
            nonlocal duration
            await send(message)
            kind = message["type"]
            if kind == "http.response.start":
                request.status = _number(message.get("status"))
            elif kind in _BODY and not message.get("more_body", False):
                duration = request.elapsed()
                # Frameworks raise an error again when they have answered it, so an answer of that kind waits for it.
                # Any other must not: a task in the background may take hours, and the process may be killed.
                if request.status is None or request.status < 500:
                    request.end(duration)

        try:
            await self._app(scope, receive, send_on)
        except BaseException as error:
            request.failed(error)
            raise
        finally:
            self._running.discard(request)
            request.end(duration)

    async def _send_what_waits(self) -> None:
        """Send what waits in this process, off the event loop, after requests that the server has cancelled."""
        deadline = time.monotonic() + _PATIENCE
        try:
            while any(not request.recorded for request in self._running) and time.monotonic() < deadline:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(process.send)
        except RuntimeError:  # another library's loop, or no thread can be started any more
            process.send()

    def _known_route(self, request: Request) -> str | None:
        facts = request.facts
        route = facts.get("route")
        # A route that was included by a router of FastAPI knows nothing of the router's prefix; its context does.
        context = facts["fastapi"].get("effective_route_context") if "fastapi" in facts else None
        if context is not None and (route is None or getattr(context, "original_route", None) is route):
            route = getattr(context, "starlette_route", None) or context
        elif route is None or ("app_root_path" in facts and "fastapi" not in facts):
            return _matched_again(facts)
        template = getattr(route, "path", None)
        if template is None:
            return None
        template = str(template)
        if hasattr(route, "routes"):  # a mount of Starlette, below which nobody knew the path
            return f"{_mounted(facts, '').removesuffix('/')}/{{path:path}}"
        return _mounted(facts, template) + template

    def _known_user(self, facts: Facts) -> Any:
        user = facts.get("user")
        if user is None or isinstance(user, str):
            return user or None
        if not _attribute(user, "is_authenticated"):
            return None
        return _attribute(user, "display_name") or _attribute(user, "identity") or None

    def _peer(self, facts: Facts) -> str | None:
        client = facts.get("client")
        return client[0] or None if client else None

    def _forwarded_for(self, facts: Facts) -> str:
        headers = facts.get("headers") or ()
        return ",".join(value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for")


def _attribute(user: Any, name: str) -> Any:
    """Return what a user tells of itself; a class of Starlette's kind need not have everything."""
    try:
        return getattr(user, name)
    except (AttributeError, NotImplementedError):
        return None


def _number(status: Any) -> int | None:
    """Return a status as a number; a server may take what the standard forbids."""
    try:
        return int(status)
    except Exception:
        return None


def _mounted(facts: Facts, template: str) -> str:
    """Return where FastAPI's router of this template is mounted: what mounts matched, with names in place of values.

    Matching again would tell nothing of the prefixes of included routers, and mounts leave no trace but the path that
    they took off, and their parameters among those of the path. If a value is there twice, the last one is taken:
    parameters follow the word that says what they are, as in `/users/{user}`.
    """
    if "app_root_path" not in facts:  # no mount matched
        return ""
    parts = facts["root_path"].removeprefix(facts["app_root_path"]).split("/")[::-1]
    for name, value in reversed(facts["path_params"].items()):
        if f"{{{name}}}" not in template and f"{{{name}:" not in template and str(value) in parts:
            parts[parts.index(str(value))] = f"{{{name}}}"
    return "/".join(reversed(parts))


def _matched_again(facts: Facts) -> str | None:
    """Return the template of what matched, from the router: Starlette tells of no mounts, most versions of no route."""
    if "router" not in facts or "endpoint" not in facts:  # another framework, or nothing matched
        return None
    root_path = facts.get("app_root_path", facts.get("root_path", ""))
    return _template(facts["router"].routes, {**facts, "root_path": root_path, "path_params": {}})


def _template(routes: Iterable[Any], facts: Facts) -> str | None:
    """Return the template of the route that Starlette chooses: the first that matches, else one for another method."""
    partly: str | None = None
    for route in routes:
        match, more = route.matches(facts)
        if match.name == "NONE":
            continue
        template: str = getattr(route, "path", "")  # a `Host` has none
        if hasattr(route, "routes"):
            template += _template(route.routes, {**facts, **more}) or "/{path:path}"
        if match.name == "FULL":
            return template or None
        partly = partly or template
    return partly


class _Lifespan:
    """The lifespan protocol between the server and the application, with the sending of what waits before its end."""

    def __init__(self, receive: Receive, send: Send, before_end: Callable[[], Awaitable[None]]) -> None:
        self._receive = receive
        self._send = send
        self._before_end = before_end
        self._asked = False  # the application has asked what is to be done, so it knows the protocol
        self._last = ""  # what the server was told last
        self._stopping = False

    async def run(self, app: Application, scope: Any) -> None:
        """Let the application speak, and speak alone where it does not."""
        try:
            await app(scope, self._receive_for, self._send_for)
        except Exception as error:
            if self._asked or self._last:  # it failed; the server knows what to do about that
                await self._before_end()
                raise
            log.info("the application does not support the lifespan protocol: %s: %s", type(error).__name__, error)
        if self._last.startswith("lifespan.shutdown") or self._last == "lifespan.startup.failed":
            return
        while not self._stopping:
            if not self._asked or self._last:
                await self._receive_for()
            if not self._last:
                await self._send_for({"type": "lifespan.startup.complete"})
        await self._send_for({"type": "lifespan.shutdown.complete"})

    async def _receive_for(self) -> Message:
        message = await self._receive()
        self._asked = True
        self._stopping = message["type"] == "lifespan.shutdown"
        return message

    async def _send_for(self, message: Message) -> None:
        self._last = message["type"]
        if self._last.startswith("lifespan.shutdown"):
            await self._before_end()
        await self._send(message)
