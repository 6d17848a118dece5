"""`pumpkit buffer`: its state and its size cap."""

import json
from collections.abc import Callable

import pytest
from click.testing import Result

from pumpkit.buffers import Buffer

Run = Callable[..., Result]


def test_stats(cli: Run, url: str, buffer: Buffer, store: Callable[..., list[str]]) -> None:
    """What the buffer holds, who wrote it, and what was dropped, by cause."""
    [first] = store({"n": 1}, drops={"full": 3})
    store({"n": 2}, {"n": 3})
    text = cli("buffer", "stats", "-b", url).output
    assert "stored ever  3 records" in text
    assert "dropped      3 full" in text
    assert first.partition("-")[0] in text
    document = json.loads(cli("buffer", "stats", "-b", url, "--json").output)
    assert (document["stored"], document["drops"], len(document["producers"])) == (3, {"full": 3}, 2)
    assert [(pair["source"], pair["drops"]) for pair in document["drops_by_host"]] == [("tests", {"full": 3})]


def test_producers_are_limited(cli: Run, url: str, store: Callable[..., list[str]]) -> None:
    """--producers says how many are listed."""
    for n in range(4):
        store({"n": n})
    lines = cli("buffer", "stats", "-b", url, "--producers", "2").output.splitlines()
    assert sum(" tests " in line for line in lines) == 2
    assert "producers    4" in lines


def test_new_buffer(cli: Run, url: str, buffer: Buffer) -> None:
    """A buffer that nobody has written to says so."""
    location = buffer.stats().location
    assert f"no producer has ever written to this buffer: {location}" in cli("buffer", "stats", "-b", url).output


def test_default_buffer(cli: Run, url: str, buffer: Buffer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --buffer and a configuration it is $PUMPKIT_BUFFER."""
    monkeypatch.setenv("PUMPKIT_BUFFER", url)
    assert buffer.stats().buffer_id in cli("buffer", "stats").output


def test_limit(cli: Run, url: str, buffer: Buffer) -> None:
    """The size cap is shown, and set for everybody."""
    assert "at most 1.0 GiB" in cli("buffer", "limit", "-b", url).output
    assert "at most 64.0 MiB (67108864 bytes)" in cli("buffer", "limit", "64MiB", "-b", url).output
    assert buffer.stats().max_bytes == 64 << 20


@pytest.mark.parametrize("text", ["much", "-1", "1.5GiB", ""])
def test_bad_limit(cli: Run, url: str, buffer: Buffer, text: str) -> None:
    """What is no size exits with 2 and changes nothing."""
    before = buffer.stats().max_bytes
    assert cli("buffer", "limit", "-b", url, "--", text).exit_code == 2
    assert buffer.stats().max_bytes == before


def test_unknown_scheme(cli: Run) -> None:
    """A URL that nobody serves is a wrong configuration: 78, and the nearest scheme."""
    result = cli("buffer", "stats", "--buffer", "sqlit:///x.db")
    assert result.exit_code == 78
    assert "did you mean sqlite:?" in result.stderr
