"""URLs of buffers in Redis."""

from pathlib import Path

import pytest

from pumpkit.buffers import open_buffer
from pumpkit.buffers.redis.url import Login, Place, anchored, parse, with_shards
from pumpkit.buffers.registry import shown
from pumpkit.errors import BufferConfigError


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://h", Place("single", (("h", 6379),))),
        ("redis://h:1/3", Place("single", (("h", 1),), db=3)),
        ("redis://[::1]:7000/", Place("single", (("::1", 7000),))),
        ("rediss://h", Place("single", (("h", 6379),), tls=True)),
        ("redis://h?name=a:b%40&shards=4", Place("single", (("h", 6379),), name="a:b@", shards=4)),
        ("redis://h?replicas=2&client-name=x", Place("single", (("h", 6379),), replicas=2, client_name="x")),
        ("redis://h?connect_timeout=500ms", Place("single", (("h", 6379),), connect_timeout=0.5)),
        ("redis+sentinel://a,b:1/m", Place("sentinel", (("a", 26379), ("b", 1)), master="m")),
        ("redis+sentinel://a/m%20x/2?tls=true", Place("sentinel", (("a", 26379),), master="m x", db=2, tls=True)),
        ("redis+cluster://a,[::1]:2/0", Place("cluster", (("a", 6379), ("::1", 2)))),
        ("redis+unix:///run/r@x.sock?db=2", Place("unix", path="/run/r@x.sock", db=2)),
        ("unix:///a%20b", Place("unix", path="/a b")),
        ("rediss://h?verify-host=false", Place("single", (("h", 6379),), tls=True, verify_host=False)),
        ("rediss://h?verify-cert=false", Place("single", (("h", 6379),), tls=True, verify_cert=False)),
    ],
)
def test_places(url: str, place: Place) -> None:
    """Every scheme, with its defaults and options."""
    assert parse(url) == place


@pytest.mark.parametrize(
    ("url", "login"),
    [
        ("redis://u:p@h", ("u", "p")),
        ("redis://:p%40%2F%3A%23%3F@h", (None, "p@/:#?")),
        ("redis+unix://u:p@/run/r.sock", ("u", "p")),
        ("redis://h?password-env=SECRET", (None, "from the environment")),
        ("redis://u@h?password-env=SECRET", ("u", "from the environment")),
        ("redis://u:@h", ("u", "")),
        ("redis://:@h", (None, None)),
        ("redis://h", (None, None)),
    ],
)
def test_logins(url: str, login: tuple[str | None, str | None], monkeypatch: pytest.MonkeyPatch) -> None:
    """User and password stand before the host, percent-encoded, or the password is named."""
    monkeypatch.setenv("SECRET", "from the environment")
    assert parse(url).login.read() == login


def test_a_password_file_is_read_when_it_is_needed(tmp_path: Path) -> None:
    """Whenever a connection is made, without the line break at its end."""
    login = parse(f"redis://u@h?password-file={tmp_path}/p").login
    with pytest.raises(BufferConfigError, match=f"{tmp_path}/p, named for the password, cannot be read: No such file"):
        login.read()
    (tmp_path / "p").write_text("")
    with pytest.raises(BufferConfigError, match="is empty"):
        login.read()
    (tmp_path / "p").write_bytes(b"\xff")
    with pytest.raises(BufferConfigError, match="not UTF-8"):
        login.read()
    for password in ("one", "two "):
        (tmp_path / "p").write_text(password + "\n")
        assert login.read() == ("u", password)


def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable that should hold the password."""
    monkeypatch.delenv("SECRET", raising=False)
    with pytest.raises(BufferConfigError, match="SECRET, named for the password, is not set"):
        parse("redis://h?password-env=SECRET").login.read()


def test_sentinels_have_a_login_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The servers' is before the hosts, theirs among the options."""
    monkeypatch.setenv("SECRET", "theirs")
    place = parse("redis+sentinel://u:p@a/m?sentinel-username=v&sentinel-password-env=SECRET")
    assert (place.login.read(), place.sentinel_login.read()) == (("u", "p"), ("v", "theirs"))
    assert parse("redis+sentinel://a/m?sentinel-password=x").sentinel_login.read() == (None, "x")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis:h", "begins with none of redis://, rediss://"),
        ("http://h", "begins with none of redis://, rediss://"),
        ("redis://", "no host is named"),
        ("redis:///0", "no host is named"),
        ("redis://a,b", "write redis+sentinel:// or redis+cluster://"),
        ("redis://h:x", "that is no HOST:PORT"),
        ("redis://::1", "IPv6 address in brackets"),
        ("redis://h:0", "0 is no port"),
        ("redis://h:65536", "65536 is no port"),
        ("redis://h/x", "only the number of a database may follow"),
        ("redis://h/0/1", "only the number of a database may follow"),
        ("redis://h#1", "`#` means nothing here"),
        ("redis://h /0", "no spaces"),
        ("redis+sentinel://h", "no master is named"),
        ("redis+sentinel://h/", "no master is named"),
        ("redis+cluster://h/1", "has no database 1"),
        ("redis+unix://h/x", "write redis+unix:///PATH"),
        ("unix:///", "names no socket"),
        ("redis://h?nmae=x", "unknown option 'nmae'; did you mean name?"),
        ("redis://h?x=1", "unknown option 'x'; known: name, shards"),
        ("redis://h?socket_timeout=1", "unknown option 'socket-timeout'"),
        ("redis://h?name=a&name=b", "the option name is given twice"),
        ("redis://h?name=", "the option name has no value"),
        ("redis://h?name=a%7Bb", "without spaces and braces"),
        ("redis://h?name=a%20b", "without spaces and braces"),
        ("redis://h?shards=0", "shards must be from 1 to 64, not '0'"),
        ("redis://h?shards=65", "shards must be from 1 to 64"),
        ("redis://h?shards=-1", "shards must be from 1 to 64"),
        ("redis://h?replicas=0", "replicas must be from 1"),
        ("redis://h?connect-timeout=0", "connect-timeout must be a number of seconds"),
        ("redis://h?connect-timeout=5m", "connect-timeout must be a number of seconds"),
        ("redis://h?db=1", "write the number of the database after the host"),
        ("redis://h?tls=true", "write rediss://"),
        ("redis://h?ca-file=/x", "ca-file is for TLS; write rediss://"),
        ("redis+cluster://h?ca-file=/x", "ca-file is for TLS; add tls=true"),
        ("unix:///s?tls=true", "needs no TLS"),
        ("rediss://h?key-file=/x", "key-file needs cert-file"),
        ("rediss://h?verify-host=maybe", "verify-host must be true or false, not 'maybe'"),
        ("redis://h?sentinel-username=x", "only sentinels have it"),
        ("redis://u@h", "a user without a password"),
        ("redis://:p@h?password-file=/x", "the password is given more than once"),
        ("redis://h?password-file=/x&password-env=X", "the password is given more than once"),
        ("redis://h?client-name=a%20b", "client-name must be"),
        ("redis://:p%zz@h", "not followed by two hex digits"),
        ("redis://:p%ff@h", "not UTF-8"),
    ],
)
def test_bad_urls(url: str, said: str) -> None:
    """Each is refused with what is wrong and how to write it."""
    with pytest.raises(BufferConfigError) as refusal:
        parse(url)
    assert said in str(refusal.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://u:hunter2@h:x",
        "redis://u:hunter2@h?nmae=1",
        "redis://u:hunter2@h/x",
        "redis://u:hunter2:x@h",
        "redis://u:hunter2@x@h",
        "redis://u:hunter2/x@h",
        "redis://u:hunter2?x@h",
        "redis://u:hunter2#x@h",
        "redis://u:hunter2 x@h",
        "redis://u:hunter2%@h",
        "redis://u:hunter2@h?password=hunter2",
        "redis://h?password=hunter2",
        "redis://u:hunter2@h?sentinel-password=hunter2",
        "redis+unix://u:hunter2@h/x",
        "rediss://u:hunter2@h?shards=x",
        "nonsense://u:hunter2@h",
    ],
)
def test_no_message_shows_a_password(url: str) -> None:
    """Whatever is wrong with the URL, and wherever it is shown."""
    for refuse in (parse, open_buffer):
        with pytest.raises(BufferConfigError) as refusal:
            refuse(url)
        assert "hunter2" not in str(refusal.value)
    assert "hunter2" not in shown(url)


def test_places_show_no_password() -> None:
    """Neither in their repr nor in the location that is logged."""
    place = parse("redis+sentinel://u:hunter2@a,[::1]/m/1?name=n:m&sentinel-password=hunter2")
    assert "hunter2" not in repr(place)
    assert "hunter2" not in repr(Login("u", "hunter2"))
    assert place.shown == "redis+sentinel://a:26379,[::1]:26379/m/1?name=n:m"
    assert parse("rediss://u:hunter2@h/2").shown == "rediss://h:6379/2?name=pumpkit"
    assert parse("unix:///s?db=1").shown == "redis+unix:///s?db=1&name=pumpkit"


@pytest.mark.parametrize(
    ("url", "logged"),
    [
        ("redis://u:p@h/0", "redis://***@h/0"),
        ("redis://:p/a@b?x@h", "redis://***@h"),
        ("redis://:p?a@h?name=x@y", "redis://***@h?name=x@y"),
        ("redis://h?sentinel-password=p%40&name=a", "redis://h?sentinel-password=***&name=a"),
        ("redis://h?password-file=/run/p", "redis://h?password-file=/run/p"),
        ("redis+unix:///r@s.sock?db=0", "redis+unix:///r@s.sock?db=0"),
        ("redis+unix://u:p@/r.sock", "redis+unix://***@/r.sock"),
        ("sqlite:////a@b/c.db", "sqlite:////a@b/c.db"),
    ],
)
def test_logged_urls(url: str, logged: str) -> None:
    """User and password are left out, also where they are not percent-encoded; paths with an `@` stay."""
    assert shown(url) == logged


def test_files_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of an application start at its working directory, those of a configuration at its folder."""
    monkeypatch.chdir(tmp_path)
    assert parse("rediss://h?ca-file=a/ca.pem").ca_file == f"{tmp_path}/a/ca.pem"
    assert anchored("redis://h", Path("/etc")) == "redis://h"
    assert anchored("redis://h?name=a&password-file=p%3F", Path("/e t")) == "redis://h?name=a&password-file=/e%20t/p%3F"
    assert anchored("redis://h?password-file=/p", Path("/etc")) == "redis://h?password-file=/p"


def test_shards_are_written_once() -> None:
    """A number given elsewhere joins the URL, unless that says another one."""
    assert with_shards("redis://h", 3) == "redis://h?shards=3"
    assert with_shards("redis://h?name=x", 3) == "redis://h?name=x&shards=3"
    assert with_shards("redis://h?shards=3", 3) == "redis://h?shards=3"
    with pytest.raises(BufferConfigError, match="the URL says shards=2, and shards says 3"):
        with_shards("redis://h?shards=2", 3)
