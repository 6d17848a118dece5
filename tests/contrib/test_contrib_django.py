"""Requests of Django applications as records, under WSGI and ASGI: routes, errors, users, and no query for them."""

import asyncio

import pytest

from pumpkit.contrib import asgi, wsgi
from tests.conftest import missing

try:
    import django
    import httpx
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
    from django.core.wsgi import get_wsgi_application
    from django.http import FileResponse, Http404, HttpResponse, StreamingHttpResponse
    from django.urls import include, path, re_path
    from django.utils.functional import LazyObject
except ImportError:
    missing("Django", "it is in the extra `dev`: pip install -e '.[dev]'")


def hello(request, **parameters):
    """Answer with some text."""
    return HttpResponse("hello")


def broken(request):
    """Fail."""
    raise LookupError("secret")


def refuse(request, kind):
    """Answer by an exception."""
    raise {"missing": Http404, "denied": PermissionDenied, "odd": SuspiciousOperation, "bad": BadRequest}[kind]("x")


def stream(request):
    """Answer in parts."""

    async def parts():
        yield b"a"
        yield b"b"

    return StreamingHttpResponse(parts() if hasattr(request, "scope") else iter([b"a", b"b"]))


def file(request):
    """Answer with a file."""
    return FileResponse(open(__file__, "rb"))


def look(request):
    """Look at who asks."""
    return HttpResponse(request.user.get_username())


async def look_later(request):
    """Look at who asks, without a thread."""
    return HttpResponse((await request.auser()).get_username())


def deferred(request):
    """Look at a user whose name was not loaded."""
    users = request.user.__class__.objects
    request.user = users.only("id").get(id=request.user.id)
    return HttpResponse(str(request.user.id))


class OwnUser(LazyObject):
    """Finds the user in a way of its own, and so does not begin as others do."""

    def __init__(self):
        """Know nothing yet."""

    def _setup(self):
        raise AssertionError("nobody looks at it")


class NoName:
    """Has a name that is none."""

    USERNAME_FIELD = "name"

    def __init__(self):
        self.name = self

    def __str__(self):
        raise LookupError


def own(request, kind):
    """Answer a user of another kind."""
    request.user = {"lazy": OwnUser, "text": lambda: "ann", "no-name": NoName}[kind]()
    return HttpResponse("hello")


ORDERS = [path("orders/<int:number>/", hello)]


class Urls:
    """The configuration of URLs."""

    urlpatterns = (
        path("users/<int:pk>/", hello),
        path("shops/<slug:shop>/", include(ORDERS)),
        re_path(r"^old/(?P<year>[0-9]{4})$", hello),
        path("broken", broken),
        path("refuse/<slug:kind>", refuse),
        path("stream", stream),
        path("file", file),
        path("look", look),
        path("look-later", look_later),
        path("deferred", deferred),
        path("own/<slug:kind>", own),
        path("", hello),
    )


@pytest.fixture(scope="module", autouse=True)
def _set_up(tmp_path_factory):
    """Set Django up, with a database in which there is a user; close its connections at the end."""
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": tmp_path_factory.mktemp("django") / "shop.db"}
        },
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
        MIDDLEWARE=[
            "pumpkit.contrib.django.RequestFacts",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        ROOT_URLCONF=Urls,
        SECRET_KEY="x",
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        LOGGING_CONFIG=None,
    )
    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connections

    call_command("migrate", verbosity=0)
    User.objects.create_user("ann", password="x")
    yield
    connections.close_all()


@pytest.fixture(params=["wsgi", "asgi"])
def get(request):
    """Return a function that asks the application for paths, and returns the answers."""
    if request.param == "wsgi":
        app = wsgi.RecordRequests(get_wsgi_application())

        def ask(*paths, cookies=None):
            transport = httpx.WSGITransport(app, raise_app_exceptions=False)
            with httpx.Client(transport=transport, base_url="http://shop", cookies=cookies) as client:
                return [client.get(path) for path in paths]

        return ask

    app = asgi.RecordRequests(get_asgi_application())

    async def ask_all(paths, cookies):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop", cookies=cookies) as client:
            return [await client.get(path) for path in paths]

    return lambda *paths, cookies=None: asyncio.run(ask_all(paths, cookies))


@pytest.fixture
def cookies():
    """Return the cookies of a user who has logged in."""
    from django.contrib.auth.models import User
    from django.test import Client

    client = Client()
    client.force_login(User.objects.get())
    return {name: morsel.value for name, morsel in client.cookies.items()}


@pytest.fixture
def queries():
    """Return the texts of the queries, of all threads."""
    from django.db.backends.signals import connection_created

    texts = []

    def note(execute, sql, *rest):
        texts.append(sql)
        return execute(sql, *rest)

    def watch(connection, **_):
        connection.execute_wrappers.append(note)

    connection_created.connect(watch)
    from django.db import connections

    connections.close_all()
    yield texts
    connection_created.disconnect(watch)


def facts(records, *names):
    """Return some fields of every record."""
    return [tuple(record.get(name) for name in names) for record in records]


def test_routes(get, captured_records):
    """Of paths, of paths that are included, of regular expressions; without a route there is none."""
    get("/users/7/", "/shops/a-b/orders/7/", "/old/1999", "/", "/nothing")
    assert facts(captured_records, "route", "path", "status") == [
        ("/users/<int:pk>/", "/users/7/", 200),
        ("/shops/<slug:shop>/orders/<int:number>/", "/shops/a-b/orders/7/", 200),
        ("^old/(?P<year>[0-9]{4})$", "/old/1999", 200),
        ("/", "/", 200),
        (None, "/nothing", 404),
    ]


def test_errors(get, captured_records):
    """Their type is known, though Django answers them."""
    assert [answer.status_code for answer in get("/broken")] == [500]
    assert facts(captured_records, "route", "status", "error") == [("/broken", 500, "LookupError")]
    assert "secret" not in str(captured_records)


def test_exceptions_that_are_answers(get, captured_records):
    """They are no errors, as in other frameworks."""
    get("/refuse/missing", "/refuse/denied", "/refuse/odd", "/refuse/bad")
    assert facts(captured_records, "route", "status", "error") == [
        ("/refuse/<slug:kind>", status, None) for status in (404, 403, 400, 400)
    ]


def test_django_s_own_client(get, captured_records):
    """It goes past what is around the application; a client that asks the application does not."""
    from django.test import Client

    assert Client().get("/users/7/").status_code == 200
    assert captured_records == []
    get("/users/7/")
    assert len(captured_records) == 1


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume synchronous iterators:Warning")
def test_streams_and_files(get, captured_records):
    """They arrive whole."""
    with open(__file__, "rb") as content:
        assert [answer.content for answer in get("/stream", "/file")] == [b"ab", content.read()]
    assert facts(captured_records, "route", "status") == [("/stream", 200), ("/file", 200)]


def test_users_that_were_looked_at(get, captured_records, cookies):
    """The name is that of the user whom the application has asked for, in one way or the other."""
    get("/look", "/look-later", cookies=cookies)
    get("/look")
    assert facts(captured_records, "path", "user") == [("/look", "ann"), ("/look-later", "ann"), ("/look", None)]


def test_users_that_were_not(get, captured_records, cookies, queries):
    """For the record's sake nothing is fetched."""
    get("/", cookies=cookies)
    assert queries == []
    get("/deferred", cookies=cookies)
    assert len(queries) == 2
    get("/own/lazy", "/own/text", "/own/no-name")
    assert facts(captured_records, "path", "user", "status") == [
        ("/", None, 200),
        ("/deferred", None, 200),
        ("/own/lazy", None, 200),
        ("/own/text", None, 200),
        ("/own/no-name", None, 200),
    ]
