"""The way to a server: addresses, servers that are down or of another version, and what is logged."""

import logging
from typing import Any

import pytest

from pumpkit.errors import ConfigError, Unavailable
from tests.conftest import missing
from tests.servers.elasticsearch import ElasticServer, installed_major, missing_for
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


@pytest.mark.parametrize("mark", ["/", "#", "?", "[", "@/", "\u2100", ",", "/,", "/?,"])
@pytest.mark.parametrize(
    "start", ["http://elastic:S", "http://elastic:92", "http://S", "https:/elastic:S", "elastic:S"]
)
def test_a_password_that_is_not_encoded(start: str, mark: str) -> None:
    """No part of it is shown, wherever the URL is cut by what it holds; what to do is said."""
    with pytest.raises(ConfigError, match="user and password may have to be percent-encoded") as caught:
        EsWorld().make(hosts=f"{start}37{mark}8e@h:9200")
    shown = f"{caught.value!r} {caught.value}"
    assert "meta.hosts: " in shown
    assert "37" not in shown
    assert "8e" not in shown


@pytest.mark.parametrize(
    ("meta", "told"),
    [
        ({"ca-file": "ca.pem"}, "`ca-file` is for TLS"),
        ({"hosts": "https://localhost:1", "ca-fingerprint": "AB:CD"}, "64 hex digits"),
        ({"username": "u", "api-key": "k"}, "stands beside `username`"),
        ({"hosts": "https://localhost:1", "client-key": "key.pem"}, "needs `client-cert` beside it"),
        ({"api-key": "s3cret\n"}, "has a space, a line break"),
        ({"api-key": "s3cret ü"}, "has a space, a line break"),
        ({"max-bytes": 0}, "max-bytes"),
        ({"wait-for-active-shards": -1}, "must be 0 or more, or all"),
        ({"indx": "audit"}, "did you mean index"),
    ],
)
def test_settings_that_do_not_fit(meta: dict[str, Any], told: str) -> None:
    """They are refused with the configuration."""
    with pytest.raises(ConfigError, match=told) as caught:
        EsWorld().make(**meta)
    assert "s3cret" not in str(caught.value)


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


def test_a_server_of_another_version() -> None:
    """A server of version 8 refuses client 9, and the message says what to install; client 8 writes to version 9."""
    older = installed_major() == 8
    major = 9 if older else 8
    lacking = missing_for(major)
    if lacking:
        missing(lacking, "python -m tests.servers.install gets it")
    server = ElasticServer(major=major)
    world = EsWorld(server)
    try:
        server.start()
        if not older:
            with pytest.raises(ConfigError, match=r"server is Elasticsearch 8.* pip install 'elasticsearch<9'"):
                world.open()
            return
        sink = world.open()
        for _ in range(2):
            assert list(world.answer(sink, [*numbers(0, 9), {"n": "x"}])[0]) == [9]
        assert world.documents() == dict(enumerate(numbers(0, 9)))
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
