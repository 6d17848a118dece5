"""The stand-in for MongoDB does what the tests of the sink take for granted."""

from collections.abc import Callable

import pytest
from pymongo.errors import NotPrimaryError, OperationFailure, ServerSelectionTimeoutError

from tests.servers.mongo import READER, MongoServer


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
