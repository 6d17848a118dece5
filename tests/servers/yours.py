"""Servers that somebody has already: `pytest --mongo-url URL --es-url URL`. Tests use them, and leave them running.

A server has to hold nothing of anybody: tests remove what they made by removing all there is. They look first, once,
and fail on a server with data; a mark that they leave there until the end says that what is there is theirs.
"""

import contextlib
import json
import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import pymongo
import pytest
from pymongo.errors import OperationFailure

from tests.servers.elasticsearch import ElasticServer, installed_major
from tests.servers.mongo import MongoServer

#: The database, or the index, that says that all is of tests.
MARK = "pumpkit-tests"

_OWN = {"admin", "config", "local", MARK}


def _alone() -> None:
    """Fail if workers run tests side by side: they would remove each other's data."""
    if int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > 1:
        pytest.fail("a server of yours is one for all workers: run one of them (make test JOBS=1)")


def _empty(url: str, held: Sequence[str]) -> None:
    """Fail if a server holds anything."""
    if held:
        names = ", ".join(sorted(held)[:5])
        pytest.fail(f"{url} holds {names}: tests remove all there is; give them a server that holds nothing")


class YourMongo(MongoServer):
    """A server at a URL, which cannot be killed or frozen from here, and made to fail only if it has fail points."""

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
        """It runs already: look whether it may be used, and mark it."""
        _alone()
        with self.client() as client:
            names = client.list_database_names()
            if MARK not in names:
                _empty(f"the server at port {self.port}", [name for name in names if name not in _OWN])
            client[MARK]["mark"].replace_one({"_id": 1}, {}, upsert=True)
        self.clean()
        return self

    def clean(self) -> None:
        """Remove every database but its own, and disarm its fail point."""
        with contextlib.suppress(OperationFailure):
            self.unfail()
        with self.client() as client:
            for name in set(client.list_database_names()) - _OWN:
                client.drop_database(name)

    def stop(self) -> None:
        """Leave it running, with nothing in it."""
        self.clean()
        with self.client() as client:
            client.drop_database(MARK)

    def fail(self, commands: Sequence[str], mode: Any, **data: Any) -> None:
        """Arm its fail point, or skip the test if it has none."""
        try:
            super().fail(commands, mode, **data)
        except OperationFailure:
            pytest.skip("needs a server with fail points (mongod --setParameter enableTestCommands=1)")

    def unfail(self) -> None:
        """Disarm its fail point."""
        with self.client() as client:
            client.admin.command("configureFailPoint", "failCommand", mode="off")

    def kill(self) -> None:
        """Skip the test."""
        pytest.skip("needs a server that it may kill")

    pause = resume = kill

    def step_down(self, seconds: int) -> None:
        """Skip the test: a server that steps down leaves others of its replica set in charge, if there are any."""
        pytest.skip("needs a server that is the only one of its replica set")


class YourElastic(ElasticServer):
    """A cluster at a URL, which cannot be killed or frozen from here. The URL may hold a user."""

    alive = True
    security, certificates = True, None

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self.port = place.port or 9200
        self._url = f"{place.scheme}://{place.netloc.rpartition(':')[0] if place.port else place.netloc}:{self.port}"
        self._host = f"{place.scheme}://{place.hostname}:{self.port}"
        self._user = (place.username, place.password or "") if place.username else None
        self._kept: list[str] = []

    @property
    def url(self) -> str:
        """The URL that was given, with its port and its user."""
        return self._url

    @property
    def _address(self) -> str:
        return self._host

    def request(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
        """Send a request as the user of the URL."""
        return super().request(method, path, body, **{"user": self._user} | more)

    def start(self) -> "YourElastic":
        """It runs already: look whether it may be used, and mark it, with the templates and settings it came with."""
        _alone()
        status, answer = self.request("GET", "/")
        if status != 200:
            pytest.fail(f"{self._host} answers {status}: {answer}")
        self.major = int(answer["version"]["number"].partition(".")[0])
        if self.major < installed_major():
            pytest.fail(
                f"{self._host} is version {self.major}; it needs `pip install 'elasticsearch<{self.major + 1}'`"
            )
        status, mark = self.request("GET", f"/{MARK}/_doc/1")
        if status == 200:
            before = json.loads(mark["_source"]["before"])
        else:
            there = super().made()
            _empty(self._host, [path[1:] for path in there if path.count("/") == 1] + self.data_streams())
            before = {"made": there, "settings": self.cluster_settings()}
            self.request("PUT", f"/{MARK}/_doc/1?refresh=true", {"before": json.dumps(before)})
        self._kept = [*before["made"], f"/{MARK}"]
        self.settings_before = before["settings"]
        self.clean()
        return self

    def made(self) -> list[str]:
        """Return the paths of what tests have made."""
        return [path for path in super().made() if path not in self._kept]

    def _drop_data_streams(self, names: list[str]) -> None:
        for name in names:
            status, answer = self.request("DELETE", f"/_data_stream/{name}")
            assert status == 200, f"{name}: {answer}"

    def stop(self) -> None:
        """Leave it running, with nothing in it."""
        self.clean()
        self.request("DELETE", f"/{MARK}")

    def kill(self) -> None:
        """Skip the test."""
        pytest.skip("needs a server that it may kill")

    def resume(self) -> None:
        """It was never paused."""

    pause = kill
