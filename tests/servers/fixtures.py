"""Fixtures with real servers. Servers that cannot be started here skip the test, and fail it in CI.

Processes are shared by the tests of a session, and as good as new for each of them: a test may kill them, freeze them,
change their settings and add users. A test that also asks for `redis_kind` runs with each kind of server.
"""

import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import missing

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.certificates import Certificates
    from tests.servers.elasticsearch import ElasticServer
    from tests.servers.mongo import MongoServer
    from tests.servers.redis import RedisServer, Replicated
    from tests.servers.redis_cluster import Cluster
    from tests.servers.redis_sentinel import Sentinels
    from tests.servers.redis_tls import TlsRedisServer

#: The kinds, as in `tests.servers.redis.KINDS`; that module is imported only where a test needs a server.
KINDS = ("redis7", "valkey9", "redis6")


def program(kind: str | None = None) -> "Path":
    """Return the program of a kind of server: `$PUMPKIT_TEST_REDIS`, else the first that is here. Skips if none is."""
    from tests.servers.redis import KINDS, find

    wanted = kind or os.environ.get("PUMPKIT_TEST_REDIS")
    found = next(filter(None, map(find, [wanted] if wanted else KINDS)), None)
    if found is None and wanted == "redis6" and sys.version_info >= (3, 12):
        pytest.skip("Redis 6 comes from a wheel for Python 3.11 only")
    if found is None:
        missing(wanted or "a Redis server", f"it comes from {KINDS[wanted] if wanted else ' or '.join(KINDS.values())}")
    assert found is not None
    return found


#: How to get servers that are no packages of the system.
_INSTALL = "get it by `python -m tests.servers.install`, which `make test` does"


class Shared:
    """Servers that were started in this session, each once."""

    def __init__(self) -> None:
        self._started: dict[Any, Any] = {}

    def clean(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return what is started under `key`, as good as new."""
        if key in self._started:
            self._started[key].clean()
        else:
            self._started[key] = make().start()
        return self._started[key]

    def stop(self) -> None:
        """End all."""
        for servers in self._started.values():
            servers.stop()


@pytest.fixture(scope="session")
def shared_servers() -> Iterator[Shared]:
    """What the tests of this session share."""
    shared = Shared()
    yield shared
    shared.stop()


@pytest.fixture(params=KINDS)
def redis_kind(request: pytest.FixtureRequest) -> str:
    """Each kind of server in turn; the other fixtures then start this kind."""
    kind: str = request.param
    program(kind)
    return kind


def _program(request: pytest.FixtureRequest) -> "Path":
    return program(request.getfixturevalue("redis_kind") if "redis_kind" in request.fixturenames else None)


@pytest.fixture
def new_redis(request: pytest.FixtureRequest) -> Iterator[Callable[..., "RedisServer"]]:
    """Start a server of one's own: `new_redis("--appendonly", "yes")`."""
    from tests.servers.redis import RedisServer

    started: list[RedisServer] = []

    def start(*options: str) -> RedisServer:
        server = RedisServer(_program(request), *options).start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def redis_server(request: pytest.FixtureRequest, shared_servers: Shared) -> "RedisServer":
    """One server that keeps nothing on disk."""
    from tests.servers.redis import RedisServer

    found = _program(request)
    server: RedisServer = shared_servers.clean(found, lambda: RedisServer(found))
    return server


@pytest.fixture
def redis_replicated(request: pytest.FixtureRequest, shared_servers: Shared) -> "Replicated":
    """A master with a replica."""
    from tests.servers.redis import Replicated

    found = _program(request)
    servers: Replicated = shared_servers.clean(("replicated", found), lambda: Replicated(found))
    return servers


@pytest.fixture
def redis_sentinel(request: pytest.FixtureRequest, shared_servers: Shared) -> "Sentinels":
    """A master with a replica, and three sentinels."""
    from tests.servers.redis_sentinel import Sentinels

    found = _program(request)
    servers: Sentinels = shared_servers.clean(("sentinel", found), lambda: Sentinels(found))
    return servers


@pytest.fixture
def new_sentinels(request: pytest.FixtureRequest) -> Iterator[Callable[..., "Sentinels"]]:
    """Start sentinels of one's own: `new_sentinels(replicas=2, sentinels=1)`."""
    from tests.servers.redis_sentinel import Sentinels

    started: list[Sentinels] = []

    def start(*options: str, replicas: int = 1, sentinels: int = 3) -> Sentinels:
        servers = Sentinels(_program(request), *options, replicas=replicas, sentinels=sentinels)
        started.append(servers)
        return servers.start()

    yield start
    for servers in started:
        servers.stop()


@pytest.fixture
def redis_cluster(request: pytest.FixtureRequest, shared_servers: Shared) -> "Cluster":
    """A cluster of three masters."""
    from tests.servers.redis_cluster import Cluster

    found = _program(request)
    servers: Cluster = shared_servers.clean(("cluster", found), lambda: Cluster(found))
    return servers


@pytest.fixture
def new_cluster(request: pytest.FixtureRequest) -> Iterator[Callable[..., "Cluster"]]:
    """Start a cluster of one's own: `new_cluster(replicas=1)`."""
    from tests.servers.redis_cluster import Cluster

    started: list[Cluster] = []

    def start(*options: str, replicas: int = 0) -> Cluster:
        servers = Cluster(_program(request), *options, replicas=replicas)
        started.append(servers)
        return servers.start()

    yield start
    for servers in started:
        servers.stop()


@pytest.fixture(scope="session")
def certificates() -> Iterator["Certificates"]:
    """Certificates for servers that speak TLS and for their clients, good and bad ones."""
    import shutil

    from tests.servers.certificates import Certificates

    if shutil.which("openssl") is None:
        missing("openssl", "install it with your package manager")
    made = Certificates.made()
    yield made
    made.remove()


@pytest.fixture
def new_redis_tls(certificates: "Certificates") -> Iterator[Callable[..., "TlsRedisServer"]]:
    """Start a server that speaks only TLS: `new_redis_tls(certificate="expired", clients="yes")`."""
    from tests.servers.redis_tls import TlsRedisServer

    started: list[TlsRedisServer] = []

    def start(*options: str, certificate: str = "server", clients: str = "no") -> TlsRedisServer:
        server = TlsRedisServer(program("redis7"), certificates, *options, certificate=certificate, clients=clients)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def redis_tls(certificates: "Certificates", shared_servers: Shared) -> "TlsRedisServer":
    """A server that speaks only TLS, with a good certificate; it asks its clients for none."""
    from tests.servers.redis_tls import TlsRedisServer

    found = program("redis7")
    server: TlsRedisServer = shared_servers.clean("tls", lambda: TlsRedisServer(found, certificates))
    return server


# MongoDB's protocol ---------------------------------------------------------------------------------------------


def need_mongo() -> None:
    """Skip if there is no server that speaks MongoDB's protocol."""
    from tests.servers.mongo import find

    if find() is None:
        missing("a server that speaks MongoDB's protocol", _INSTALL)


@pytest.fixture
def new_mongo(request: pytest.FixtureRequest) -> Iterator[Callable[..., "MongoServer"]]:
    """Start a server of one's own: `new_mongo(auth=True, tls=True, quick_ttl=True)`."""
    from tests.servers.mongo import MongoServer

    need_mongo()
    started: list[MongoServer] = []

    def start(*options: str, tls: bool = False, **more: Any) -> MongoServer:
        certificates = request.getfixturevalue("certificates") if tls else None
        server = MongoServer(*options, certificates=certificates, **more)
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def mongo_server(request: pytest.FixtureRequest, shared_servers: Shared) -> "MongoServer":
    """One server, as good as new; that of `--mongo-url`, if there is one."""
    from tests.servers.mongo import MongoServer
    from tests.servers.yours import YourMongo

    url = request.config.getoption("--mongo-url")
    if url is None:
        need_mongo()
    server: MongoServer = shared_servers.clean("mongo", lambda: YourMongo(url) if url else MongoServer())
    return server


# Elasticsearch --------------------------------------------------------------------------------------------------


def need_elasticsearch() -> None:
    """Skip if there is no Elasticsearch for the installed client, or no Java for it."""
    from tests.servers.elasticsearch import installed_major, missing_for

    lacking = missing_for(installed_major())
    if lacking:
        missing(lacking, _INSTALL)


@pytest.fixture
def new_es(request: pytest.FixtureRequest) -> Iterator[Callable[..., "ElasticServer"]]:
    """Start a node of one's own: `new_es("thread_pool.write.size=1", security=True, tls=True)`."""
    from tests.servers.elasticsearch import ElasticServer

    need_elasticsearch()
    started: list[ElasticServer] = []

    def start(*settings: str, security: bool = False, tls: bool = False) -> ElasticServer:
        certificates = request.getfixturevalue("certificates") if tls else None
        server = ElasticServer(*settings, security=security or tls, certificates=certificates)
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def es_server(request: pytest.FixtureRequest, shared_servers: Shared) -> "ElasticServer":
    """One node, as good as new, of the version of the installed client; that of `--es-url`, if there is one."""
    from tests.servers.elasticsearch import ElasticServer
    from tests.servers.yours import YourElastic

    url = request.config.getoption("--es-url")
    if url is None:
        need_elasticsearch()
    server: ElasticServer = shared_servers.clean("elasticsearch", lambda: YourElastic(url) if url else ElasticServer())
    return server
