"""Servers that somebody has already: `pytest --mongo-url URL --es-url URL`. Tests use them, and leave them running.

Everything in them that tests could have made is removed before each test: give servers that hold nothing of yours.
"""

from typing import Any
from urllib.parse import urlsplit

import pymongo
import pytest

from tests.servers.elasticsearch import ElasticServer
from tests.servers.mongo import MongoServer


class YourMongo(MongoServer):
    """A server at a URL, which cannot be killed, frozen or made to fail from here."""

    alive = True

    def __init__(self, url: str) -> None:
        self._url = url
        self.port = pymongo.uri_parser.parse_uri(url)["nodelist"][0][1]

    @property
    def url(self) -> str:
        """The URL that was given."""
        return self._url

    def client(self, **options: Any) -> "pymongo.MongoClient[dict[str, Any]]":
        """Return a client of its own; close it."""
        return pymongo.MongoClient(self._url, **options)

    def start(self) -> "YourMongo":
        """It runs already."""
        self.clean()
        return self

    def clean(self) -> None:
        """Remove every database but its own."""
        with self.client() as client:
            for name in client.list_database_names():
                if name not in ("admin", "config", "local"):
                    client.drop_database(name)

    def stop(self) -> None:
        """Leave it running."""

    def kill(self) -> None:
        """Skip the test."""
        pytest.skip("needs a server that it may kill")

    pause = resume = step_down = fail = unfail = kill  # type: ignore[assignment]


class YourElastic(ElasticServer):
    """A cluster at a URL, which cannot be killed or frozen from here. The URL may hold a user."""

    alive = True

    def __init__(self, url: str) -> None:
        from tests.servers.elasticsearch import installed_major

        place = urlsplit(url)
        self.port = place.port or 9200
        self._url = f"{place.scheme}://{place.hostname}:{self.port}"
        self._user = (place.username, place.password or "") if place.username else None
        self.major, self.security, self.certificates = installed_major(), self._user is not None, None

    @property
    def url(self) -> str:
        """The URL that was given, without its user."""
        return self._url

    def request(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
        """Send a request as the user of the URL."""
        return super().request(method, path, body, **{"user": self._user} | more)

    def start(self) -> "YourElastic":
        """It runs already."""
        self.clean()
        return self

    def stop(self) -> None:
        """Leave it running."""

    def kill(self) -> None:
        """Skip the test."""
        pytest.skip("needs a server that it may kill")

    def resume(self) -> None:
        """It was never paused."""

    pause = kill
