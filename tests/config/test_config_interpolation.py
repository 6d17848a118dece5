"""Filling in environment variables and files."""

import os
from pathlib import Path

import pytest

from pumpkit.config.interpolate import MAX_FILE, Filled, fill

ENVIRON = {"USER_NAME": "colin", "EMPTY": "", "PORT": "7070", "SNEAKY": "x}\npumps: ${USER_NAME}"}


def filled(value: object, folder: Path = Path()) -> object:
    """Return a value with everything filled in."""
    result, findings = fill(value, folder, ENVIRON)
    assert findings == []
    return result


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("${USER_NAME}", "colin"),
        ("a-${USER_NAME}-${PORT}", "a-colin-7070"),
        ("${EMPTY}", ""),
        ("${EMPTY:-default}", "default"),
        ("${MISSING:-default}", "default"),
        ("${MISSING:-}", ""),
        ("${MISSING:-a:-b}", "a:-b"),
        ("${USER_NAME:-default}", "colin"),
        ("$${USER_NAME}", "${USER_NAME}"),
        ("$$${USER_NAME}", "$${USER_NAME}"),
        ("$USER_NAME $ $$ {}", "$USER_NAME $ $$ {}"),
        ("${SNEAKY}", "x}\npumps: ${USER_NAME}"),
    ],
)
def test_references_are_filled_in_once(text, becomes):
    """Defaults hold for unset and empty variables; what was filled in is not looked at again; `$${` escapes."""
    assert filled(text) == becomes


def test_only_text_in_values_is_filled_in():
    """Keys and other values stay as they are; lists and mappings are walked."""
    value = {"${PORT}": [1, None, {"a": "${PORT}", "b": True}]}
    assert filled(value) == {"${PORT}": [1, None, {"a": "7070", "b": True}]}


def test_what_was_filled_in_remembers_how_the_file_has_it():
    """Messages show the source; text without a reference is plain text."""
    text = filled("p=${PORT}")
    assert isinstance(text, Filled)
    assert text.source == "p=${PORT}"
    assert not isinstance(filled("$${PORT}"), Filled)


@pytest.mark.parametrize(
    ("content", "becomes"),
    [(b"s3cret\n", "s3cret"), (b"s3cret\r\n", "s3cret"), (b"a\nb\n\n", "a\nb\n"), (b"", ""), ("é".encode(), "é")],
)
def test_a_file_is_filled_in_without_its_last_line_break(tmp_path, content, becomes):
    """The path is relative to the configuration's folder."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "password").write_bytes(content)
    assert filled("${file:secrets/password}", tmp_path) == becomes
    assert filled(f"${{file:{tmp_path}/secrets/password}}") == becomes


def test_what_cannot_be_filled_in_is_found_at_its_key(tmp_path):
    """Each finding says which variable or file, and what to do; the others are filled in all the same."""
    (tmp_path / "big").write_bytes(b"x" * (MAX_FILE + 1))
    (tmp_path / "binary").write_bytes(b"\xff")
    os.mkfifo(tmp_path / "pipe")
    value = {
        "a": ["${MISSING}"],
        "b": "${MISSING} ${OTHER} ${MISSING}",
        "c": "${file:none}",
        "d": "${file:big}",
        "e": "${file:binary}",
        "f": "${file:pipe}",
        "g": "${file:}",
        "h": "${1X}",
        "i": "${}",
        "j": "${PORT",
        "k": "${PORT}",
        "l": "${PORT:+x}",
        "m": "${file:a\0b}",
    }
    result, findings = fill(value, tmp_path, ENVIRON, "pumps")
    assert result["k"] == "7070"
    assert dict(findings) == {
        "pumps.a.0": "the environment variable MISSING is not set; set it, or write ${MISSING:-default}",
        "pumps.b": "the environment variable MISSING is not set; set it, or write ${MISSING:-default};"
        " the environment variable OTHER is not set; set it, or write ${OTHER:-default}",
        "pumps.c": f"${{file:none}}: there is no such file: {tmp_path}/none",
        "pumps.d": f"${{file:big}} is larger than {MAX_FILE} bytes: {tmp_path}/big",
        "pumps.e": f"${{file:binary}} is not UTF-8 text: {tmp_path}/binary",
        "pumps.f": f"${{file:pipe}}: there is no such file: {tmp_path}/pipe",
        "pumps.g": f"${{file:}}: there is no such file: {tmp_path}",
        "pumps.h": "${1X} is none of ${NAME}, ${NAME:-default} and ${file:PATH}",
        "pumps.i": "${} is none of ${NAME}, ${NAME:-default} and ${file:PATH}",
        "pumps.j": "has a `${` without its `}`; write `$${` for the characters themselves",
        "pumps.l": "${PORT:+x} is none of ${NAME}, ${NAME:-default} and ${file:PATH}",
        "pumps.m": f"${{file:a\0b}}: there is no such file: {tmp_path}/a\0b",
    }


def test_a_file_that_may_not_be_read_is_found(tmp_path, monkeypatch):
    """The system's reason is given."""
    file = tmp_path / "locked"
    file.write_text("x")
    monkeypatch.setattr(Path, "open", lambda *args: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    _, findings = fill("${file:locked}", tmp_path, ENVIRON, "a")
    assert findings == [("a", f"${{file:locked}} cannot be read: Permission denied: {file}")]
