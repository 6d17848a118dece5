"""Who may write: users, API keys and roles, over TLS, on a real server with security."""

import base64
import hashlib
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from pumpkit.errors import ConfigError, PartialWrite, Unavailable
from tests.conftest import missing
from tests.servers.certificates import Certificates
from tests.servers.elasticsearch import ROOT, ElasticServer, installed_major, missing_for
from tests.sinks.es_world import EsWorld, numbers

pytestmark = pytest.mark.elasticsearch


@pytest.fixture(scope="module")
def secure(certificates: Certificates) -> Iterator[ElasticServer]:
    """One node with users and TLS for all tests of this file."""
    lacking = missing_for(installed_major())
    if lacking:
        missing(lacking, "python -m tests.servers.install gets it")
    server = ElasticServer(security=True, certificates=certificates)
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def world(secure: ElasticServer) -> Iterator[EsWorld]:
    """The node, empty."""
    secure.clean()
    world = EsWorld(secure)
    yield world
    world.close()


def ca(world: EsWorld) -> dict[str, str]:
    """Return the settings that trust the node."""
    assert world.server is not None
    assert world.server.certificates is not None
    return {"ca-file": str(world.server.certificates.file("ca"))}


def user(world: EsWorld, name: str, cluster: list[str], *privileges: str, index: str = "audit*") -> dict[str, str]:
    """Make a user with privileges on indices; return the settings that log it in."""
    indices = [{"names": [index], "privileges": list(privileges)}]
    world.ask("PUT", f"/_security/role/{name}", {"cluster": cluster, "indices": indices})
    password = f"{name}-password-4713"
    world.ask("PUT", f"/_security/user/{name}", {"password": password, "roles": [name]})
    return {"username": name, "password": password} | ca(world)


def test_a_user_and_password(world: EsWorld) -> None:
    """Basic authentication, by settings or in the URL."""
    assert world.server is not None
    sink = world.open(username=ROOT[0], password=ROOT[1], **ca(world))
    world.write(sink, numbers(0, 3))
    url = world.server.url.replace("https://", f"https://{ROOT[0]}:{ROOT[1]}@")
    world.write(world.open(hosts=url, **ca(world)), numbers(3, 3), first=3)
    assert len(world.documents()) == 6


@pytest.mark.parametrize(
    "login",
    [{"username": "root", "password": "wr0ng-word"}, {}, {"api-key": base64.b64encode(b"a:wr0ng-word").decode()}],
)
def test_credentials_that_are_wrong(world: EsWorld, login: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    """A wrong password, none at all, or an unknown key is a matter for a person, and never shown."""
    with pytest.raises(ConfigError, match=r"401|security_exception: ") as caught:
        world.open(**login, **ca(world))
    shown = f"{caught.value!r} {caught.value.__cause__!r} {caplog.text}"
    for secret in ("wr0ng-word", *login.values()):
        assert secret == "root" or secret not in shown


def test_an_api_key(world: EsWorld) -> None:
    """A key in its encoded form, and as id and key; one that was taken back is a matter for a person."""
    made = world.ask("POST", "/_security/api_key", {"name": "pumpkit"})
    sink = world.open(**{"api-key": made["encoded"]}, **ca(world))
    world.write(sink, numbers(0, 3))
    other = world.open(auth_api_key_id=made["id"], auth_api_key=made["api_key"], **ca(world))
    world.write(other, numbers(3, 3), first=3)
    assert len(world.documents()) == 6
    world.ask("DELETE", "/_security/api_key", {"ids": [made["id"]]})
    with pytest.raises(ConfigError, match="security_exception") as caught:
        world.write(sink, numbers(0, 3))
    assert made["api_key"] not in str(caught.value)


def test_a_role_that_may_only_write(world: EsWorld) -> None:
    """`create_doc` and `auto_configure` on the index are enough without the template; not even the version is asked."""
    login = user(world, "writer", [], "create_doc", "auto_configure")
    sink = world.open(template="none", **login)
    world.write(sink, numbers(0, 3))
    world.write(sink, numbers(0, 3))
    assert len(world.documents()) == 3


def test_a_role_that_may_not_make_templates(world: EsWorld) -> None:
    """The default template needs `manage_index_templates`, and the message leads to the setting."""
    login = user(world, "plain", ["monitor"], "create_doc", "auto_configure")
    with pytest.raises(ConfigError, match=r"template pumpkit-audit .*see `template`.*security_exception"):
        world.open(**login)
    login = user(world, "plain", ["monitor", "manage_index_templates"], "create_doc", "auto_configure")
    world.write(world.open(**login), numbers(0, 3))


def test_no_right_on_the_index(world: EsWorld) -> None:
    """Records for an index that the role may write to are written; the others wait for a person."""
    login = user(world, "narrow", [], "create_doc", "auto_configure", index="audit-mine")
    sink = world.open(template="none", index="audit-{of}", **login)
    records: list[dict[str, Any]] = [{"of": "mine" if n % 2 else "theirs", "n": n} for n in range(6)]
    with pytest.raises(PartialWrite) as caught:
        world.write(sink, records)
    assert (caught.value.rejected, caught.value.retry) == ({}, [0, 2, 4])
    with pytest.raises(ConfigError, match=r"security_exception: .*unauthorized for user \[narrow\].*grant its role"):
        world.write(sink, records[::2])
    assert list(world.documents("audit-mine")) == [1, 3, 5]


# TLS -----------------------------------------------------------------------------------------------------------


def test_an_unknown_authority(world: EsWorld) -> None:
    """A certificate that nobody trusts is a matter for a person, with what to set."""
    assert world.server is not None
    assert world.server.certificates is not None
    stranger = {"ca-file": str(world.server.certificates.file("stranger"))}
    for trusted in ({}, stranger):
        with pytest.raises(ConfigError, match=r"its certificate is not trusted .* `ca-file`"):
            world.open(username=ROOT[0], password=ROOT[1], **trusted)


def test_a_fingerprint(world: EsWorld) -> None:
    """The fingerprint of the server's certificate is trusted in place of an authority; another one is not."""
    assert world.server is not None
    assert world.server.certificates is not None
    pem = world.server.certificates.file("server").read_text()
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    login = {"username": ROOT[0], "password": ROOT[1]}
    with_colons = ":".join(digest[at : at + 2] for at in range(0, 64, 2)).upper()
    for fingerprint in (digest, with_colons):
        world.write(world.open(**login, **{"ca-fingerprint": fingerprint}), numbers(0, 3))
    with pytest.raises(ConfigError, match="not trusted"):
        world.open(**login, **{"ca-fingerprint": "ab" * 32})


def test_no_verification(world: EsWorld) -> None:
    """`verify: false` and the original's `ssl_insecure_skip_verify` trust anybody, without a warning each time."""
    login: dict[str, Any] = {"username": ROOT[0], "password": ROOT[1]}
    world.write(world.open(verify=False, **login), numbers(0, 3))
    world.write(world.open(ssl_insecure_skip_verify=True, **login), numbers(0, 3))


def test_a_server_that_speaks_only_tls(world: EsWorld) -> None:
    """`http://` where TLS is spoken: the connection ends without a word, which the message explains."""
    assert world.server is not None
    with pytest.raises(Unavailable, match="is it https://"):
        world.open(hosts=world.server.url.replace("https:", "http:"))
