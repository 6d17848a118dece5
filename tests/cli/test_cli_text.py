"""Values as text: nothing that comes from outside acts on a terminal."""

import io
import subprocess
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from pumpkit.buffers import Buffer
from pumpkit.cli.output import Column, plain_table, pretty_table
from pumpkit.cli.text import ago, moment, number, plural, safe, size, span


@given(st.text(alphabet=st.characters(codec=None)))
def test_safe_is_printable(text: str) -> None:
    """Whatever comes in, what is shown is printable and can be encoded."""
    assert safe(text).isprintable()
    safe(text).encode()


@given(st.text(alphabet=st.characters(exclude_categories=["C", "Z"])))
def test_safe_keeps_what_is_harmless(text: str) -> None:
    """Printable text stays as it is, in any script."""
    assert safe(text) == text or "://" in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("one\ntwo\tthree\r", "one\\ntwo\\tthree\\r"),
        ("\u202eevil", "\\u202eevil"),
        ("\x9b1m", "\\x9b1m"),
        ("caf\udce9", "caf\\udce9"),
        ("mongodb://u:p%40ss@h:27017/db", "mongodb://u:***@h:27017/db"),
        ("rediss://:secret@h", "rediss://:***@h"),
        ("http://h:80/a@b", "http://h:80/a@b"),
    ],
)
def test_safe(text: str, shown: str) -> None:
    """Control characters, directions and lone surrogates are escaped; a URL's password is hidden."""
    assert safe(text) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1 << 30, "1.0 GiB"), (5 << 40, "5.0 TiB")]
)
def test_size(value: int, shown: str) -> None:
    """Bytes in the unit that keeps the number short."""
    assert size(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-3, "0 s"),
        (0.9, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (125, "2 min 5 s"),
        (7_500, "2 h 5 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_span(seconds: float, shown: str) -> None:
    """Durations in their two largest units; one that clocks made negative is none."""
    assert span(seconds) == shown


def test_times() -> None:
    """Times are in UTC; ages count from now."""
    assert moment(1_700_000_000_123) == "2023-11-14T22:13:20Z"
    assert ago(time.time() - 3_600) == "1 h ago"


def test_counts() -> None:
    """Numbers have separators, words their plural."""
    assert number(1_234_567) == "1,234,567"
    assert (plural(1, "record"), plural(2_000, "record")) == ("1 record", "2,000 records")


def test_plain_table() -> None:
    """A plain table is aligned, not cut, and has no trailing blanks."""
    columns = [Column("name"), Column("count", right=True), Column("why")]
    text = plain_table(columns, [["audit", "7", ""], ["x", "1,000", "because\nof " + "that" * 50]])
    assert text.splitlines() == [
        "name   count  why",
        "audit      7",
        "x      1,000  because\\nof " + "that" * 50,
    ]


@pytest.mark.parametrize(("columns", "roomy"), [(80, False), (120, True)])
def test_pretty_table(monkeypatch: pytest.MonkeyPatch, columns: int, roomy: bool) -> None:
    """On a terminal an id stays whole while text wraps, nothing is cut, and roomy columns need a wide one."""
    monkeypatch.setenv("COLUMNS", str(columns))
    id_ = "01a213fb1b2871a38d42ddfe76efc96c-1002"
    table = pretty_table(
        [Column("id", whole=True), Column("attempts", right=True, roomy=True), Column("reason")],
        [[id_, "5", "z" * 100 + "\x1b[2J"]],
    )
    printed = io.StringIO()
    Console(width=columns, file=printed).print(table)
    text = printed.getvalue()
    assert id_ in text
    assert ("attempts" in text) == roomy
    assert text.count("z") == 100
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= columns


def test_pipe_is_plain(program: Callable[..., "subprocess.CompletedProcess[str]"], buffer: Buffer, url: str) -> None:
    """What goes into a pipe has no colours, whatever the environment asks of terminals."""
    buffer.register("audit")
    result = program("status", "-b", url, env={"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1"})
    assert "audit" in result.stdout
    assert "\x1b" not in result.stdout
