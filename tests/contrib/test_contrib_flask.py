"""Requests of Flask applications as records: rules as routes, errors that Flask answers itself, streams and files."""

import pytest

from pumpkit.contrib.wsgi import RecordRequests
from tests.conftest import missing

try:
    import flask
    from werkzeug.middleware.dispatcher import DispatcherMiddleware

    from pumpkit.contrib.flask import init_app
except ImportError:
    missing("Flask", "it is in the extra `dev`: pip install -e '.[dev]'")


def make_app():
    """Return a shop."""
    app = flask.Flask(__name__)

    @app.get("/users/<int:number>")
    def user(number):
        return {"number": number}

    @app.get("/broken")
    def broken():
        raise LookupError("secret")

    @app.get("/teapot")
    def teapot():
        flask.abort(418)

    @app.get("/stream")
    def stream():
        return flask.Response(part for part in ("a", "b"))

    @app.get("/file")
    def file():
        return flask.send_file(__file__, mimetype="text/plain")

    return app


@pytest.fixture
def app():
    """Return a shop whose requests are recorded."""
    app = make_app()
    init_app(app)
    return app


def facts(records, *names):
    """Return some fields of every record."""
    return [tuple(record.get(name) for name in names) for record in records]


def test_rules_are_routes(app, captured_records):
    """Also with a method that a rule does not allow, there is one record; without a rule there is no route."""
    client = app.test_client()
    for path in ("/users/7", "/users/8", "/users/x", "/nothing", "/teapot"):
        client.get(path, buffered=True)
    client.post("/users/7", buffered=True)
    client.options("/users/7", buffered=True)
    client.head("/users/7", buffered=True)
    assert facts(captured_records, "method", "route", "path", "status") == [
        ("GET", "/users/<int:number>", "/users/7", 200),
        ("GET", "/users/<int:number>", "/users/8", 200),
        ("GET", None, "/users/x", 404),
        ("GET", None, "/nothing", 404),
        ("GET", "/teapot", "/teapot", 418),
        ("POST", None, "/users/7", 405),
        ("OPTIONS", "/users/<int:number>", "/users/7", 200),
        ("HEAD", "/users/<int:number>", "/users/7", 200),
    ]


def test_errors_that_flask_answers(app, captured_records):
    """Their type is recorded, by `init_app` only, and not what Flask was told to answer otherwise."""
    bare = make_app()
    bare.wsgi_app = RecordRequests(bare.wsgi_app)
    handled = make_app()
    init_app(handled)
    handled.register_error_handler(LookupError, lambda error: ("gone", 410))
    for some in (app, bare, handled):
        some.test_client().get("/broken", buffered=True)
    assert facts(captured_records, "route", "status", "error") == [
        ("/broken", 500, "LookupError"),
        ("/broken", 500, None),
        ("/broken", 410, None),
    ]
    assert "secret" not in str(captured_records)


def test_errors_that_flask_passes_on(app, captured_records):
    """As in tests of an application."""
    app.testing = True
    with pytest.raises(LookupError):
        app.test_client().get("/broken")
    assert facts(captured_records, "status", "error") == [(500, "LookupError")]


def test_streams_and_files(app, captured_records):
    """They arrive as without the middleware."""
    client, bare = app.test_client(), make_app().test_client()
    for path in ("/stream", "/file", "/users/7"):
        with client.get(path) as answer, bare.get(path) as same:
            assert answer.data == same.data
            assert sorted(name for name, _ in answer.headers) == sorted(name for name, _ in same.headers)
    assert facts(captured_records, "route", "status") == [
        ("/stream", 200),
        ("/file", 200),
        ("/users/<int:number>", 200),
    ]


def test_the_users_of_an_application(captured_records):
    """A view tells who asks, by a key of the environ."""
    app = make_app()
    init_app(app, exclude=["/teapot"])

    @app.before_request
    def know():
        flask.request.environ["pumpkit.user"] = "ann"

    client = app.test_client()
    client.get("/users/7", buffered=True)
    client.get("/teapot", buffered=True)
    assert facts(captured_records, "path", "user") == [("/users/7", "ann")]


def test_applications_below_a_prefix(captured_records):
    """Of a dispatcher below the middleware, the prefix is part of the route; of the server's, of the path only."""
    both = RecordRequests(DispatcherMiddleware(make_app(), {"/shop": make_app()}))
    client = flask.testing.FlaskClient(make_app())
    client.application = both
    for path, base in (("/shop/users/7", ""), ("/users/7", ""), ("/shop/users/7", "/at")):
        environ = {"SCRIPT_NAME": base, "PATH_INFO": path}
        client.run_wsgi_app(flask.testing.EnvironBuilder(make_app(), path).get_environ() | environ, buffered=True)
    assert facts(captured_records, "route", "path") == [
        ("/shop/users/<int:number>", "/shop/users/7"),
        ("/users/<int:number>", "/users/7"),
        ("/shop/users/<int:number>", "/at/shop/users/7"),
    ]
