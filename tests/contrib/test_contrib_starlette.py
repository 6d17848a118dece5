"""Requests of Starlette and FastAPI applications as records: templates below mounts and routers, users, errors."""

import asyncio
import contextlib

import pytest

from pumpkit.contrib.asgi import RecordRequests
from tests.conftest import missing

try:
    import httpx
    from fastapi import APIRouter, BackgroundTasks, FastAPI, WebSocket
    from starlette.applications import Starlette
    from starlette.authentication import AuthCredentials, AuthenticationBackend, BaseUser, SimpleUser
    from starlette.middleware import Middleware
    from starlette.middleware.authentication import AuthenticationMiddleware
    from starlette.responses import PlainTextResponse, StreamingResponse
    from starlette.routing import Host, Mount, Route, Router
    from starlette.staticfiles import StaticFiles
except ImportError:
    missing("Starlette or FastAPI", "they are in the extra `dev`: pip install -e '.[dev]'")


def get(app, *paths, method="GET", headers=None, root_path=""):
    """Ask an application; return the answers."""

    async def main():
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, root_path=root_path)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            return [await client.request(method, path, headers=headers) for path in paths]

    return asyncio.run(main())


def facts(records, *names):
    """Return some fields of every record."""
    return [tuple(record.get(name) for name in names) for record in records]


async def hello(request):
    """Answer with some text."""
    return PlainTextResponse("hello")


async def broken(request):
    """Fail."""
    raise LookupError("secret")


async def stream(request):
    """Answer in parts."""

    async def parts():
        yield b"a"
        yield b"b"

    return StreamingResponse(parts())


async def broken_stream(request):
    """Fail after the first part."""

    async def parts():
        yield b"a"
        raise LookupError

    return StreamingResponse(parts())


def test_templates_of_starlette(tmp_path, captured_records):
    """Of routes, of routes below mounts, of mounts of files; without a route there is none."""
    (tmp_path / "a.css").write_text("x")
    shop = Starlette(
        routes=[
            Route("/users/{number:int}", hello),
            Mount("/tenants/{tenant}", routes=[Mount("/api", routes=[Route("/orders/{number}", hello)])]),
            Mount("/static", StaticFiles(directory=tmp_path)),
        ]
    )
    paths = ["/users/7", "/tenants/acme/api/orders/7", "/static/a.css", "/nothing", "/users/x"]
    get(RecordRequests(shop), *paths)
    get(RecordRequests(shop), "/users/7", method="DELETE")
    assert facts(captured_records, "route", "path", "status") == [
        ("/users/{number:int}", "/users/7", 200),
        ("/tenants/{tenant}/api/orders/{number}", "/tenants/acme/api/orders/7", 200),
        ("/static/{path:path}", "/static/a.css", 200),
        (None, "/nothing", 404),
        (None, "/users/x", 404),
        ("/users/{number:int}", "/users/7", 405),
    ]


def without_route(app):
    """Return an application that leaves what most versions of Starlette leave: the router, and no route."""

    async def old(scope, receive, send):
        async def send_on(message):
            scope.pop("route", None)
            await send(message)

        await app(scope, receive, send_on)

    return old


def test_templates_of_old_starlette(tmp_path, captured_records):
    """What matched is found again. Where an application is mounted that is no router, nobody knows more."""
    (tmp_path / "a.css").write_text("x")
    orders = [Route("/orders", hello, methods=["POST"]), Route("/orders", hello), Route("/orders/{number:int}", hello)]
    shop = Starlette(
        routes=[
            Mount("/static", StaticFiles(directory=tmp_path)),
            Mount("/a/{x}", routes=[Mount("/b/{y:int}", app=Starlette(routes=orders))]),
            Route("/only", hello, methods=["PUT"]),
        ]
    )
    paths = ["/a/b/b/7/orders", "/a/b/b/7/orders/9", "/a/b/b/7/x", "/only", "/static/a.css", "/nothing"]
    for root_path in ("", "/at"):
        get(RecordRequests(without_route(shop)), *(root_path + path for path in paths), root_path=root_path)
        assert facts(captured_records, "route", "status") == [
            ("/a/{x}/b/{y:int}/orders", 200),
            ("/a/{x}/b/{y:int}/orders/{number:int}", 200),
            ("/a/{x}/b/{y:int}/{path:path}", 404),
            ("/only", 405),
            ("/static/{path:path}", 200),
            (None, 404),
        ]
        captured_records.clear()
    hosts = Starlette(routes=[Host("shop", Router([Route("/users/{number}", hello)]))])
    get(RecordRequests(without_route(hosts)), "/users/7")
    assert facts(captured_records, "route", "status") == [("/users/{number}", 200)]


@pytest.mark.parametrize("path", ["/a/1/b/2/c/3", "/a/a/b/b/c/c", "/a/b/b/c/c/a", "/a/x/b/x/c/x"])
def test_values_that_look_like_the_path(captured_records, path):
    """Words of the path are not taken for parameters of mounts, nor the other way round."""
    mount = Mount("/a/{x}", routes=[Mount("/b/{y}", routes=[Route("/c/{z}", hello)])])
    get(RecordRequests(Starlette(routes=[mount])), path)
    assert facts(captured_records, "route", "status") == [("/a/{x}/b/{y}/c/{z}", 200)]


def make_fastapi(**options):
    """Return an application with routers in routers, and one that is mounted."""
    items = APIRouter()

    @items.get("/items/{number}")
    def item(number: int):
        return number

    users = APIRouter(prefix="/users/{user}")
    users.include_router(items, prefix="/bought")
    app = FastAPI(**options)
    app.include_router(users, prefix="/api")
    app.include_router(items)

    @app.get("/late")
    async def late(tasks: BackgroundTasks):
        async def fail():
            raise LookupError

        tasks.add_task(fail)

    @app.websocket("/socket")
    async def socket(websocket: WebSocket):
        await websocket.accept()
        await websocket.send_text("hello")
        await websocket.close()

    parts = APIRouter()
    parts.mount("/mounts/{mount}", Starlette(routes=[Route("/orders/{number}", hello)]))
    parts.add_route("/plain/{word}", hello)
    app.include_router(parts, prefix="/parts/{part}")

    part = FastAPI()
    part.include_router(users, prefix="/part")
    part.include_router(parts)
    app.mount("/tenants/{tenant}", part)
    return app


TEMPLATES = [
    ("/items/{number}", "/items/7", 200),
    ("/api/users/{user}/bought/items/{number}", "/api/users/ann/bought/items/7", 200),
    ("/api/users/{user}/bought/items/{number}", "/api/users/ann/bought/items/x", 422),
    ("/tenants/{tenant}/part/users/{user}/bought/items/{number}", "/tenants/acme/part/users/ann/bought/items/7", 200),
    ("/parts/{part}/mounts/{mount}/orders/{number}", "/parts/a/mounts/b/orders/7", 200),
    ("/parts/{part}/mounts/{mount}/{path:path}", "/parts/a/mounts/b/nothing", 404),
    ("/parts/{part}/plain/{word}", "/parts/a/plain/b", 200),
    ("/tenants/{tenant}/plain/{word}", "/tenants/acme/plain/b", 200),
    ("/tenants/{tenant}/mounts/{mount}/orders/{number}", "/tenants/acme/mounts/b/orders/7", 200),
    ("/tenants/{tenant}/{path:path}", "/tenants/acme/nothing", 404),
    ("/docs", "/docs", 200),
    (None, "/nothing", 404),
]


def test_templates_of_fastapi(captured_records):
    """Routers in routers, with prefixes and parameters in them, also in an application that is mounted."""
    get(RecordRequests(make_fastapi()), *[path for _, path, _ in TEMPLATES])
    assert facts(captured_records, "route", "path", "status") == TEMPLATES


def test_added_as_a_middleware(captured_records):
    """By `add_middleware` it knows the same; below the server's prefix too."""
    for root_path in ("", "/at"):
        app = make_fastapi()
        app.add_middleware(RecordRequests)
        get(app, *[root_path + path for _, path, _ in TEMPLATES], root_path=root_path)
        seen = [(route, root_path + path, status) for route, path, status in TEMPLATES]
        assert facts(captured_records, "route", "path", "status") == seen
        captured_records.clear()


@pytest.mark.parametrize("inside", [False, True])
def test_errors(captured_records, inside):
    """What a view raises is known, outside of the framework's own answer and inside."""
    app = Starlette(routes=[Route("/broken", broken), Route("/stream", broken_stream)])
    if inside:
        app.add_middleware(RecordRequests)
    else:
        app = RecordRequests(app)
    get(app, "/broken", "/stream")
    assert facts(captured_records, "route", "status", "error") == [
        ("/broken", 500, "LookupError"),
        ("/stream", 200, "LookupError"),
    ]
    assert "secret" not in str(captured_records)


def test_errors_in_the_background(captured_records):
    """They come after the answer, so they are not of the request."""
    assert [answer.status_code for answer in get(RecordRequests(make_fastapi()), "/late")] == [200]
    assert facts(captured_records, "status", "error") == [(200, None)]


def test_streams(captured_records):
    """They arrive as without the middleware, and are one record."""
    (answer,) = get(RecordRequests(Starlette(routes=[Route("/", stream)])), "/")
    assert answer.content == b"ab"
    assert facts(captured_records, "status") == [(200,)]


class Backend(AuthenticationBackend):
    """Knows those who tell their name."""

    async def authenticate(self, connection):
        """Believe a header."""
        name = connection.headers.get("x-user")
        return (AuthCredentials(["authenticated"]), SimpleUser(name)) if name else None


def test_users(captured_records):
    """Of the framework's AuthenticationMiddleware; nobody where nobody is known."""
    app = Starlette(routes=[Route("/", hello)], middleware=[Middleware(AuthenticationMiddleware, backend=Backend())])
    get(RecordRequests(app), "/", headers={"x-user": "ann"})
    get(RecordRequests(app), "/")
    assert facts(captured_records, "user") == [("ann",), (None,)]


class OwnUser(BaseUser):
    """A user of an application, which tells no more than it must."""

    def __init__(self, identity=None):
        self._identity = identity

    @property
    def is_authenticated(self):
        """It is known."""
        return True

    @property
    def identity(self):
        """Return its number, or what Starlette has in place of one."""
        return super().identity if self._identity is None else self._identity


def test_users_of_other_kinds(captured_records, caplog):
    """The identity is told where there is no name; a user that tells nothing, or is no user, is nobody."""

    def app(user):
        async def knowing(scope, receive, send):
            scope["user"] = user
            await Starlette(routes=[Route("/", hello)])(scope, receive, send)

        return RecordRequests(knowing)

    for user in (OwnUser("ann"), OwnUser(7), OwnUser(), BaseUser(), {"name": "ann"}, SimpleUser("")):
        assert get(app(user), "/")[0].status_code == 200
    assert facts(captured_records, "user") == [("ann",), ("7",), (None,), (None,), (None,), (None,)]
    assert caplog.records == []


def test_lifespan_and_websockets(captured_records):
    """The application starts and stops as without the middleware, and websockets work."""
    seen = []

    @contextlib.asynccontextmanager
    async def lifespan(app):
        seen.append("started")
        yield
        seen.append("stopped")

    app = make_fastapi(lifespan=lifespan)
    words = ["lifespan.startup", "lifespan.shutdown"]
    assert talk(RecordRequests(app), {"type": "lifespan", "state": {}}, *words) == [
        f"{word}.complete" for word in words
    ]
    assert seen == ["started", "stopped"]
    scope = {"type": "websocket", "path": "/socket", "headers": [], "query_string": b""}
    assert talk(RecordRequests(app), scope, "websocket.connect") == [
        "websocket.accept",
        "websocket.send",
        "websocket.close",
    ]
    assert captured_records == []


def talk(app, scope, *words):
    """Say something to an application; return what kinds of messages it answers."""
    answers, words = [], iter(words)

    async def receive():
        return {"type": next(words)}

    async def send(message):
        answers.append(message["type"])

    asyncio.run(app(scope, receive, send))
    return answers
