"""Servers that somebody starts by hand."""

import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pymongo
import pytest

from tests.servers import mongo
from tests.servers.fixtures import need_mongo


@contextlib.contextmanager
def by_hand(*words: str) -> Iterator["subprocess.Popen[str]"]:
    """Start what is asked for; whatever becomes of the test, it ends."""
    command = [sys.executable, "-m", "tests.servers", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as shell:
        try:
            yield shell
        finally:
            shell.kill()


def test_a_server_by_hand() -> None:
    """`python -m tests.servers mongo` prints the URL of a server, which is there until Ctrl-C."""
    need_mongo()
    with by_hand("mongo") as shell:
        assert shell.stdout is not None
        url = shell.stdout.readline().strip()
        with pymongo.MongoClient[dict[str, object]](url) as client:
            client.admin.command("ping")
        shell.send_signal(signal.SIGINT)
        assert shell.wait(60) == 0
        address = pymongo.uri_parser.parse_uri(url)["nodelist"][0]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)


@pytest.mark.parametrize("words", [(), ("postgres",), ("mongo", "security"), ("redis", "nine")])
def test_what_is_not_understood(words: tuple[str, ...]) -> None:
    """Words that mean nothing are answered with those that do."""
    command = [sys.executable, "-m", "tests.servers", *words]
    said = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert said.returncode == 1
    assert "python -m tests.servers" in said.stderr


def test_users_by_hand() -> None:
    """A server with users names them."""
    need_mongo()
    with by_hand("mongo", "auth", "tls") as shell:
        assert shell.stdout is not None
        said = [shell.stdout.readline() for _ in range(3)]
        shell.send_signal(signal.SIGTERM)
        assert shell.wait(60) == 0
    assert mongo.ROOT[1] in said[0]
    assert said[1].startswith("mongodb://127.0.0.1:")
    assert said[2].startswith("its authority: /")
