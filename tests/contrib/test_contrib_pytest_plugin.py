"""The fixture `captured_records` in real pytest runs over a sample application."""

import importlib.util
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import missing

SHOP = """
    import os, threading
    from pumpkit import Reporter, record

    audit = Reporter(source="audit", common={"service": "shop"})

    def order(article):
        record({"article": article})
        audit.record({"action": "order"})

    def order_in_threads(n):
        threads = [threading.Thread(target=order, args=(i,)) for i in range(n)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
"""

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Return a function that runs pytest over a file of tests beside `shop.py`, and returns what it printed."""
    (tmp_path / "shop.py").write_text(textwrap.dedent(SHOP))
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\naddopts = -p no:cacheprovider\n")

    def pytest_run(tests: str, *options: str, status: int = 0, start: tuple[str, ...] = ("-m", "pytest")) -> str:
        (tmp_path / "test_shop.py").write_text(textwrap.dedent(tests))
        environment = {**os.environ, "PUMPKIT_BUFFER": f"sqlite:///{tmp_path}/buffer.db", "PYTEST_ADDOPTS": ""}
        command = [sys.executable, *start, *options]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    yield pytest_run
    assert not (tmp_path / "buffer.db").exists()


def test_a_test_sees_its_records(run: Run) -> None:
    """Each test sees those of its own run, of every reporter and thread, with warnings as errors."""
    run(
        """
        import pumpkit, pytest, shop

        def test_an_order(captured_records):
            shop.order("chair")
            assert captured_records == [{"article": "chair"}, {"service": "shop", "action": "order"}]

        def test_threads(captured_records):
            assert captured_records == []
            shop.order_in_threads(3)
            assert sorted(one["article"] for one in captured_records if "article" in one) == [0, 1, 2]

        @pytest.fixture
        def app():
            shop.order("set-up")
            yield
            shop.order("tear-down")

        def test_fixtures_that_come_later_are_seen(captured_records, app):
            assert captured_records[0] == {"article": "set-up"}

        def test_inner_captures(captured_records):
            with pumpkit.captured() as records:
                shop.order("table")
            assert len(records) == 2 and captured_records == []
        """
    )


def test_web_applications_are_captured(run: Run) -> None:
    """Flask's and FastAPI's test clients run the application in this process, the latter in threads of its own."""
    for module in ("flask", "fastapi", "httpx"):
        if importlib.util.find_spec(module) is None:
            missing(module, "it is in the extra `dev`: pip install -e '.[dev]'")
    run(
        """
        import fastapi, fastapi.testclient, flask, pumpkit
        from pumpkit.contrib import asgi, wsgi

        shop = flask.Flask("shop")

        @shop.get("/orders/<int:number>")
        def order(number):
            pumpkit.record({"order": number})
            return "ok"

        shop.wsgi_app = wsgi.RecordRequests(shop.wsgi_app)
        api = fastapi.FastAPI()

        @api.get("/orders/{number}")
        def order_in_a_thread(number: int):
            pumpkit.record({"order": number})

        def test_flask(captured_records):
            shop.test_client().get("/orders/7").close()
            order, request = captured_records
            assert order == {"order": 7}
            assert (request["path"], request["status"]) == ("/orders/7", 200)

        def test_fastapi(captured_records):
            with fastapi.testclient.TestClient(asgi.RecordRequests(api)) as client:
                client.get("/orders/8")
            order, request = captured_records
            assert order == {"order": 8}
            assert (request["path"], request["status"]) == ("/orders/8", 200)
        """,
        "-W",
        "ignore:Using `httpx` with",  # Starlette's test client would rather have another
    )


def test_a_bad_record_is_an_error(run: Run) -> None:
    """The test passes, its end does not, and the report says which field of which record it was."""
    out = run(
        """
        import shop

        def test_bad(captured_records):
            shop.order(object())

        def test_expected(captured_records):
            shop.order(object())
            assert [one.cause for one in captured_records.rejected] == ["unpackable"]
            captured_records.rejected.clear()
        """,
        status=1,
    )
    assert "2 passed, 1 error" in out
    assert "ERROR at teardown of test_bad" in out
    assert "unpackable: field 'article' of type object: TypeError: object has no form on the wire" in out
    assert "captured" not in out.partition("ERROR at teardown")[2].partition("short test summary")[0]  # no traceback


def test_it_works_under_xdist(run: Run) -> None:
    """Each worker captures its own."""
    if importlib.util.find_spec("xdist") is None:
        missing("pytest-xdist", "it is in the extra `dev`: pip install -e '.[dev]'")
    run(
        """
        import pytest, shop

        @pytest.mark.parametrize("n", range(8))
        def test_orders(captured_records, n):
            shop.order(n)
            assert captured_records[0] == {"article": n}
        """,
        "-n2",
    )


def test_it_can_be_left_out(run: Run) -> None:
    """`-p no:pumpkit` leaves the plugin out."""
    out = run("def test_it(captured_records): pass", "-p", "no:pumpkit", status=1)
    assert "fixture 'captured_records' not found" in out


def test_it_can_be_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """By `-p pumpkit`: where pytest loads no plugins by itself, and where it does, which changes nothing."""
    run("def test_it(captured_records): pass", "-p", "pumpkit")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    run("def test_it(captured_records): pass", "-p", "pumpkit")


def test_a_program_may_import_pumpkit_first(run: Run) -> None:
    """And then start pytest, which likes to import its plugins itself. It only minds where a wheel is installed."""
    program = "import pumpkit.reporter, pytest, sys; sys.exit(pytest.main(sys.argv[1:]))"
    run("def test_it(captured_records): pass", start=("-c", program))


def test_the_plugin_costs_a_run_nothing(run: Run) -> None:
    """Runs that do not ask for the fixture load neither the reporter nor what it needs."""
    run(
        """
        import sys

        def test_nothing_is_loaded():
            assert "pumpkit.contrib.pytest_plugin" in sys.modules
            loaded = {name for name in sys.modules if name.startswith("pumpkit")}
            assert loaded == {"pumpkit", "pumpkit.contrib", "pumpkit.contrib.pytest_plugin"}
            assert "msgpack" not in sys.modules
        """
    )


def test_the_fixture_is_listed(run: Run) -> None:
    """`pytest --fixtures` tells of it."""
    out = run("", "--fixtures")
    assert "captured_records -- " in out
    assert "The records of this test, as a sink would get them" in out
