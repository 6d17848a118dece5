"""The way to a server: addresses, servers that are down or of another version, and what is logged."""

import logging
from typing import Any

import pytest

from pumpkit.errors import ConfigError, Unavailable
from tests.conftest import missing
from tests.servers.redis import free_port
from tests.sinks.es_world import EsWorld, numbers

pytestmark = pytest.mark.elasticsearch


@pytest.mark.parametrize(
    ("hosts", "told"),
    [
        ("htp://localhost:9200", "'htp://localhost:9200' must begin with http:// or https://"),
        ("localhost:9200", "'localhost:9200' must begin with http:// or https://"),
        ("http:/localhost:9200", "must begin with http:// or https://"),
        ("http://localhost:92000", "has a URL that cannot be read"),
        ("http://:9200", "names no host"),
        ("http://local host:9200", "names no host"),
        ("http://localhost:9200/?pretty", "must end with the host, its port, or a path"),
        ([], "names no host"),
        (["http://localhost:9200", "elastic"], "'elastic' must begin with"),
        (["http://a:b@localhost:1", "http://localhost:2"], "has other credentials in one URL"),
        ("htp://user:pa55word@localhost:9200", r"'htp://\*\*\*@localhost:9200' must begin"),
        ("user:pa55word@localhost:9200", r"'\*\*\*@localhost:9200' must begin"),
        ("http://user:pa55word@localhost:x", "has a URL that cannot be read"),
    ],
)
def test_a_url_with_a_typo(hosts: Any, told: str) -> None:
    """It is refused with the configuration, at its key, and no password is shown."""
    with pytest.raises(ConfigError, match=told) as caught:
        EsWorld().make(hosts=hosts)
    assert "meta.hosts: " in str(caught.value)
    assert "pa55word" not in str(caught.value)


@pytest.mark.parametrize(
    ("meta", "told"),
    [
        ({"ca-file": "ca.pem"}, "`ca-file` is for TLS"),
        ({"hosts": "https://localhost:1", "ca-fingerprint": "AB:CD"}, "64 hex digits"),
        ({"username": "u", "api-key": "k"}, "stands beside `username`"),
        ({"hosts": "https://localhost:1", "client-key": "key.pem"}, "needs `client-cert` beside it"),
        ({"max-bytes": 0}, "max-bytes"),
        ({"indx": "audit"}, "did you mean index"),
    ],
)
def test_settings_that_do_not_fit(meta: dict[str, Any], told: str) -> None:
    """They are refused with the configuration."""
    with pytest.raises(ConfigError, match=told):
        EsWorld().make(**meta)


def test_nobody_listens() -> None:
    """A server that is down is waited for."""
    world = EsWorld()
    port = free_port()
    with pytest.raises(Unavailable, match=rf"http://127.0.0.1:{port}: .*Connection refused"):
        world.open(hosts=f"http://user:pa55word@127.0.0.1:{port}")


def test_a_host_that_has_no_address() -> None:
    """A name that cannot be resolved is named; name servers fail at times, so it is waited for."""
    with pytest.raises(Unavailable, match=r"http://no-such-host.invalid:9200: .*no-such-host.invalid"):
        EsWorld().open(hosts="http://no-such-host.invalid:9200")


def test_no_such_ca_file() -> None:
    """A file that is missing is a matter for a person."""
    with pytest.raises(ConfigError, match=r"No such file.*nothing.pem"):
        EsWorld().open(hosts="https://127.0.0.1:1", **{"ca-file": "nothing.pem"})


def test_another_host_is_asked(es_world: EsWorld) -> None:
    """Where one address of a cluster does not answer, another is asked at once."""
    assert es_world.server is not None
    dead = f"http://127.0.0.1:{free_port()}"
    sink = es_world.open(hosts=f"{dead}, {es_world.server.url},{dead}/")
    for n in range(5):
        es_world.write(sink, numbers(n, 1), first=n)
    assert len(es_world.documents()) == 5


def test_a_cluster_that_is_sniffed(es_world: EsWorld) -> None:
    """`sniff` finds the nodes of a cluster when one does not answer."""
    assert es_world.server is not None
    sink = es_world.open(hosts=[f"http://127.0.0.1:{free_port()}", es_world.server.url], sniff=True)
    for n in range(5):
        es_world.write(sink, numbers(n, 1), first=n)
    assert len(es_world.documents()) == 5


def test_a_plain_server_that_is_asked_over_tls(es_world: EsWorld) -> None:
    """`https://` where no TLS is spoken is a matter for a person."""
    assert es_world.server is not None
    with pytest.raises(ConfigError, match=r"does not speak TLS .* write http://"):
        es_world.open(hosts=es_world.server.url.replace("http:", "https:"))


def test_the_client_is_newer_than_the_server() -> None:
    """Client 9 is refused by a server of version 8; the message says what to install."""
    from tests.servers.elasticsearch import ElasticServer, installed_major, missing_for

    if installed_major() < 9:
        pytest.skip("the client of version 8 speaks to both")
    lacking = missing_for(8)
    if lacking:
        missing(lacking, "python -m tests.servers.install gets it")
    server = ElasticServer(major=8)
    world = EsWorld(server)
    try:
        server.start()
        with pytest.raises(ConfigError, match=r"server is Elasticsearch 8.* pip install 'elasticsearch<9'"):
            world.open()
    finally:
        world.close()
        server.stop()


def test_nothing_is_logged_for_a_record(es_world: EsWorld, caplog: pytest.LogCaptureFixture) -> None:
    """The client's loggers tell nothing of requests, nor of hosts that are down: verdicts do."""
    caplog.set_level(logging.INFO)
    assert es_world.server is not None
    sink = es_world.open(hosts=[f"http://127.0.0.1:{free_port()}", es_world.server.url])
    for n in range(3):
        es_world.write(sink, numbers(n, 1), first=n)
    assert caplog.records == []
