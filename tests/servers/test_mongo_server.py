"""The stand-in for MongoDB does what the tests of the sink take for granted."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pymongo.errors import NotPrimaryError, OperationFailure, ServerSelectionTimeoutError

from tests.servers.fixtures import need_mongo
from tests.servers.mongo import READER, MongoServer
from tests.servers.redis import wait_until

STARTER = """
from tests.servers.mongo import MongoServer
server = MongoServer().start()
server.pause()
print(server.process.pid, server.folder, flush=True)
input()
"""


def test_what_it_acknowledged_survives_a_kill(new_mongo: Callable[..., MongoServer]) -> None:
    """After kill -9 and a restart every acknowledged document is there."""
    server = new_mongo()
    with server.client() as client:
        client.a.b.insert_many([{"_id": number} for number in range(1_000)])
        server.restart()
        assert client.a.b.count_documents({}) == 1_000


def test_failures_can_be_armed(mongo_server: MongoServer) -> None:
    """An armed failure is given as often as was asked for."""
    mongo_server.fail(["insert"], {"times": 1}, errorCode=10107)
    with mongo_server.client(retryWrites=False) as client:
        with pytest.raises(NotPrimaryError):
            client.a.b.insert_one({"_id": 1})
        client.a.b.insert_one({"_id": 1})


def test_users_have_rights(new_mongo: Callable[..., MongoServer]) -> None:
    """It asks for a user, and a reader may not write."""
    server = new_mongo(auth=True)
    with server.client(username=None, password=None) as client, pytest.raises(OperationFailure):
        client.a.b.insert_one({"_id": 1})
    with server.client(username=READER[0], password=READER[1]) as client, pytest.raises(OperationFailure) as caught:
        client.a.b.insert_one({"_id": 1})
    assert caught.value.code == 13


def test_it_speaks_only_tls(new_mongo: Callable[..., MongoServer]) -> None:
    """A client without TLS does not get through."""
    server = new_mongo(tls=True)
    with server.client() as client:
        assert client.admin.command("ping")["ok"] == 1
    with (
        server.client(tls=False, tlsCAFile=None, serverSelectionTimeoutMS=500) as client,
        pytest.raises(ServerSelectionTimeoutError),
    ):
        client.admin.command("ping")


def test_it_is_as_good_as_new(mongo_server: MongoServer) -> None:
    """After `clean` it has no data and no failure is armed, although the test killed it."""
    with mongo_server.client() as client:
        client.a.b.insert_one({"_id": 1})
        mongo_server.fail(["find"], "alwaysOn", errorCode=11600)
        mongo_server.kill()
        mongo_server.clean()
        assert client.a.b.count_documents({}) == 0
        mongo_server.fail(["find"], "alwaysOn", errorCode=11600)
        mongo_server.pause()
        mongo_server.clean()
        assert client.a.b.find_one() is None


def test_documents_expire_soon(new_mongo: Callable[..., MongoServer]) -> None:
    """With `quick_ttl` it looks each second for what has expired."""
    with new_mongo(quick_ttl=True).client() as client:
        client.a.b.create_index("at", expireAfterSeconds=0)
        client.a.b.insert_one({"at": datetime(2020, 1, 1, tzinfo=UTC)})
        wait_until(lambda: client.a.b.find_one() is None, "the document has expired")


def test_it_dies_with_its_tests() -> None:
    """Its process does not outlive the one that started it: even if that is killed, even if it was frozen."""
    need_mongo()
    command = [sys.executable, "-c", STARTER]
    here = Path(__file__).parents[2]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=here) as tests:
        assert tests.stdout is not None
        pid, folder = tests.stdout.readline().split()
        tests.kill()
    wait_until(lambda: not Path("/proc", pid, "exe").exists(), "the server has ended")
    shutil.rmtree(folder)
