"""URLs of embedded buffers."""

from pathlib import Path

import pytest

from pumpkit.buffers import open_buffer
from pumpkit.buffers.registry import default_url
from pumpkit.buffers.sqlite.url import Place, parse
from pumpkit.errors import BufferConfigError


def test_absolute_and_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four slashes name an absolute path, three one relative to the working directory, as in SQLAlchemy."""
    monkeypatch.chdir(tmp_path)
    assert parse("sqlite:////var/lib/app/b.db") == Place(Path("/var/lib/app/b.db"))
    assert parse("sqlite:///data/b.db") == Place(tmp_path / "data/b.db")
    assert parse("sqlite:///./b.db") == Place(tmp_path / "b.db")


def test_nothing_is_decoded() -> None:
    """Percent signs, spaces and hashes in a path are what they are."""
    assert parse("sqlite:////a b/100%25 #1.db").file == Path("/a b/100%25 #1.db")


@pytest.mark.parametrize("value", ["1", "true"])
def test_force_network(value: str) -> None:
    """The one option switches the refusal of network file systems off."""
    assert parse(f"sqlite:////b.db?force-network={value}") == Place(Path("/b.db"), force_network=True)
    assert parse("sqlite:////b.db?force-network=0") == Place(Path("/b.db"))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:", "sqlite:///FILE"),
        ("sqlite://", "sqlite:///FILE"),
        ("sqlite://b.db", "sqlite:////FILE"),
        ("sqlite:/b.db", "sqlite:////FILE"),
        ("sqlite:b.db", "sqlite:///FILE"),
        ("sqlite:///", "no file"),
        ("sqlite:////", "no file"),
        ("sqlite:////var/", "no file"),
        ("sqlite:///:memory:", "no file"),
        ("sqlite:///~/b.db", "not expanded"),
        ("sqlite:////a\0b", "NUL"),
        ("sqlite:////b.db?force-netwrok=1", "did you mean force-network"),
        ("sqlite:////b.db?timeout=3", "unknown option 'timeout'"),
        ("sqlite:////b.db?force-network=yes", "1 or 0, not 'yes'"),
        ("sqlite:////b.db?force-network", "1 or 0, not ''"),
    ],
)
def test_bad_urls(url: str, said: str) -> None:
    """A bad URL is refused with what is wrong and how to write it."""
    with pytest.raises(BufferConfigError) as refusal:
        open_buffer(url)
    assert said in str(refusal.value)


@pytest.mark.parametrize(("url", "said"), [("sqlit:///b.db", "did you mean sqlite:"), ("b.db", "no buffer serves")])
def test_unknown_schemes(url: str, said: str) -> None:
    """A scheme that nobody serves is refused with the nearest known one."""
    with pytest.raises(BufferConfigError, match=said):
        open_buffer(url)


def test_messages_name_the_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the URL is written, messages and stats name the absolute path."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Exception, match=f"no buffer at {tmp_path}/b.db"):
        open_buffer("sqlite:///b.db", create=False)
    buffer = open_buffer("sqlite:///b.db")
    assert buffer.stats().location == f"{tmp_path}/b.db"
    buffer.close()


def test_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a URL it is $PUMPKIT_BUFFER, else a file in the XDG state directory, which is made."""
    monkeypatch.setenv("PUMPKIT_BUFFER", "sqlite:////elsewhere/b.db")
    assert default_url() == "sqlite:////elsewhere/b.db"
    monkeypatch.delenv("PUMPKIT_BUFFER")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    buffer = open_buffer()
    assert buffer.stats().location == str(tmp_path / "state/pumpkit/buffer.db")
    buffer.close()
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_url() == f"sqlite:///{tmp_path}/.local/state/pumpkit/buffer.db"
