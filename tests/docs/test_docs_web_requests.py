"""The examples of the page on web requests record what the page says, in a real buffer."""

import pytest

from tests.conftest import missing
from tests.docs.conftest import blocks
from tests.programs import Program

try:
    import django  # noqa: F401
    import fastapi  # noqa: F401
    import flask  # noqa: F401
    import httpx  # noqa: F401
except ImportError:
    missing("Flask, Django, FastAPI or httpx", "they are in the extra `dev`: pip install -e '.[dev]'")

PAGE = "docs/how-to/record-web-requests.md"
CODE = [block.text for block in blocks() if (block.page, block.language) == (PAGE, "python")]

#: In the order of the page: what is asked for, and fields of its record.
EXPECTED = [
    ("/users/7", {"route": "/users/<int:number>", "path": "/users/7", "user": "ann"}),
    ("/users/7/", {"route": "/users/<int:number>/", "path": "/users/7/", "user": None}),
    ("/users/7", {"route": "/users/{number}", "path": "/users/7", "user": "ann"}),
    ("/users/7", {"route": "/users/{number}", "path": "/users/7", "user": "ann"}),
    ("/users/7", {"route": "/users/{number}", "path": None, "user": None, "tenant": "acme"}),
]

WSGI_CLIENT = """
from werkzeug.test import Client

client = Client(globals().get("application") or app)
for path in {paths}:
    assert client.get(path, buffered=True, headers={{"X-Forwarded-For": "secret"}}).status_code in (200, 404)
"""

ASGI_CLIENT = """
import asyncio
import httpx

async def ask():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
        for path in {paths}:
            answer = await client.get(path, headers={{"X-Forwarded-For": "secret"}})
            assert answer.status_code in (200, 404)

asyncio.run(ask())
"""


def test_every_example_is_here() -> None:
    """A new example on the page has its line in the table above."""
    assert len(CODE) == len(EXPECTED)


@pytest.mark.parametrize("number", range(len(EXPECTED)))
def test_an_example_records(number: int, program: Program) -> None:
    """One record a request, with the route and nothing of the query or of headers; none of an excluded path."""
    code, (asked, expected) = CODE[number], EXPECTED[number]
    client = ASGI_CLIENT if "asgi" in code else WSGI_CLIENT
    excluded = ["/healthz"] if "exclude" in code else []
    program.run(code + client.format(paths=[f"{asked}?word=secret", *excluded]))
    (record,) = program.records()
    assert {name: record.get(name) for name in expected} == expected
    assert (record["method"], record["status"], "error" in record) == ("GET", 200, False)
    assert 0 < record["duration"] < 60
    assert "secret" not in str(record)
