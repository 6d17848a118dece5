"""YAML as it is read: scalars, lines, and what is refused."""

import pytest

from pumpkit.config.document import MAX_DEPTH, MAX_SIZE, Unreadable, parse


def value(text: str) -> object:
    """Return what the value of a key stands for."""
    document = parse(f"key: {text}\n".encode())
    assert document.findings == []
    return document.values["key"]


def _beyond_unicode():
    try:
        chr(0xFFFFFFFF)
    except (OverflowError, ValueError) as error:
        return type(error).__name__


@pytest.mark.parametrize(
    ("text", "stands_for"),
    [
        ("true", True),
        ("True", True),
        ("FALSE", False),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("null", None),
        ("~", None),
        ("", None),
        ("Null", None),
        ("none", "none"),
        ("10", 10),
        ("-10", -10),
        ("+10", 10),
        ("010", 10),
        ("0o17", "0o17"),
        ("0x1F", "0x1F"),
        ("0b1", "0b1"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("190:20:30", "190:20:30"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e3", 1000.0),
        ("1.2.3", "1.2.3"),
        ("2024-01-01", "2024-01-01"),
        ("2024-01-01T10:00:00Z", "2024-01-01T10:00:00Z"),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("'10'", "10"),
        ('"true"', "true"),
        ("'~'", "~"),
        ('""', ""),
        ("=", "="),
        ("<<", "<<"),
        ("sqlite:///x.db", "sqlite:///x.db"),
        ("127.0.0.1:7070", "127.0.0.1:7070"),
        ("[1, a, true]", [1, "a", True]),
        ("{a: 1}", {"a": 1}),
    ],
)
def test_scalars_are_those_of_yaml_1_2_in_decimal(text, stands_for):
    """Only true and false are booleans; no octal, no sexagesimal; timestamps stay text; quoted text is text."""
    found = value(text)
    assert found == stands_for
    assert type(found) is type(stands_for)


def test_a_yaml_1_1_directive_changes_no_scalar():
    """`%YAML 1.1` does not bring back `yes` and octal numbers."""
    assert parse(b"%YAML 1.1\n---\na: yes\nb: 010\n").values == {"a": "yes", "b": 10}


def test_the_line_of_every_key_and_item_is_kept():
    """Key paths map to the line where the key, or the item of a list, stands; flow style too."""
    lines = parse(b"a: 1\n\n# comment\nb:\n  c-d:\n  - x\n  - e: {f: 1,\n      g: 2}\n").lines
    assert lines == {"a": 1, "b": 4, "b.c-d": 5, "b.c-d.0": 6, "b.c-d.1": 7, "b.c-d.1.e": 7} | {
        "b.c-d.1.e.f": 7,
        "b.c-d.1.e.g": 8,
    }


def test_windows_line_ends_and_a_byte_order_mark_are_read():
    """A file saved by a Windows editor reads as any other."""
    document = parse(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert (document.values, document.lines) == ({"a": 1, "b": 2}, {"a": 1, "b": 2})


def test_json_is_read():
    """JSON is YAML."""
    assert parse(b'{"a": [1, 2.5, true, null, "x"],\n"b": {}}').values == {"a": [1, 2.5, True, None, "x"], "b": {}}


def test_a_key_given_twice_is_found_with_both_lines():
    """The first one stays; what the second one holds is not read."""
    document = parse(b"a: 1\nb: {c: 1,\n  c: {d: [e]}}\na: [2]\nf: 3\n")
    assert document.values == {"a": 1, "b": {"c": 1}, "f": 3}
    assert document.findings == [
        ("b.c", "stands twice in this mapping, in lines 2 and 3; keep one"),
        ("a", "stands twice in this mapping, in lines 1 and 4; keep one"),
    ]


def test_escapes_are_read_as_json_writes_them():
    """Two escapes make a character beyond the basic plane; half of one is found, in a value and in a key."""
    document = parse(rb"""{"a": "\ud83d\ude00 \u00e9 \U0001F600", "b": "x\ud83d", "c\ude00": 1}""")
    assert document.values["a"] == "😀 é 😀"
    half = "has half a surrogate pair, which is no character; write the whole pair"
    assert dict(reversed(document.findings)) == {"b": half, "c\\ude00": half}


@pytest.mark.parametrize("key", ["200", "true", "null", "1.5"])
def test_a_key_that_is_not_text_is_found(key):
    """Keys are text, so that settings can travel as JSON."""
    assert parse(f"a:\n  {key}: 1\n".encode()).findings == [(f"a.{key}", "is a key, and keys are text; quote it")]
    assert parse(f"a:\n  '{key}': 1\n".encode()).findings == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (".inf", "must be a finite number; quote it if it is text"),
        ("-.INF", "must be a finite number; quote it if it is text"),
        (".nan", "must be a finite number; quote it if it is text"),
        ("1e999", "is a number too large; quote it if it is text"),
        ("9223372036854775808", "is a number of more than 64 bits; quote it if it is text"),
        ("9" * 5000, "is a number of more than 64 bits; quote it if it is text"),
    ],
)
def test_numbers_that_no_setting_can_have_are_found(text, what):
    """Infinity, not-a-number and integers beyond 64 bits are problems at their key."""
    assert parse(f"a:\n- {text}\n".encode()).findings == [("a.0", what)]


@pytest.mark.parametrize(
    ("data", "line", "what"),
    [
        (b"a: 1\nb: [1, 2\nc: 3\n", 3, "is not YAML: expected ',' or ']', but got ':'; while parsing a flow sequence"),
        (
            b"a: 1\n\tb: 2\n",
            2,
            "is not YAML: found character '\\t' that cannot start any token; while scanning for the next token",
        ),
        (b"a: 1\n  b: 2\n", 2, "is not YAML: mapping values are not allowed here"),
        (b"a: 'x\n", 2, "is not YAML: found unexpected end of stream; while scanning a quoted scalar"),
        # which error a number beyond Unicode raises depends on the version of Python
        (b'a: 1\nb: "\\UFFFFFFFF"\n', 2, f"is not YAML, at or below this line: {_beyond_unicode()}"),
        (b"a: &x 1\nb: *x\n", 2, "has the alias *x; aliases are not read, write the value out"),
        (b"a: 1\nb: !!python/object:os.system x\n", 2, "has a tag (`!...`); tags are not read, quote text instead"),
        (b"a: !env X\n", 1, "has a tag (`!...`); tags are not read, quote text instead"),
        (b"a: 1\n? [b]\n: 2\n", 2, "has a key that is a list, a mapping, an alias or tagged; keys are text"),
        (b"a: 1\n---\nb: 2\n", 2, "has a second document after `---`; a settings file is one"),
        (b"a: 1\nb: \xff\n", 2, "is not UTF-8 text; save it as UTF-8"),
        (b"\xff\xfea\x00:\x00", None, "is UTF-16; save it as UTF-8"),
        (b"a: 1\nb: x\0y\n", 2, "has the character U+0000, which YAML does not allow; escape it in double quotes"),
        (b"a: 1\nb: \x1b[31m\n", 2, "has the character U+001B, which YAML does not allow; escape it in double quotes"),
        (b"a: " + b"[" * 100, 1, f"nests deeper than {MAX_DEPTH} levels"),
        (b"a: " + b"x" * MAX_SIZE, None, f"is larger than {MAX_SIZE} bytes"),
    ],
    ids=lambda value: value[:20] if isinstance(value, bytes) else None,
)
def test_what_is_not_a_settings_file_is_refused_with_its_line(data, line, what):
    """Each refusal says what, where and what to do."""
    with pytest.raises(Unreadable) as caught:
        parse(data)
    assert (str(caught.value), caught.value.line) == (what, line)


def test_a_million_brackets_are_refused_at_once():
    """Deep nesting ends the reading before the rest is scanned."""
    with pytest.raises(Unreadable, match="nests deeper"):
        parse(b"[" * MAX_SIZE)


def test_a_merge_bomb_is_refused_at_its_first_alias():
    """Aliases multiply nothing, for they are not read."""
    bomb = b"a: &a [x, x]\n" + b"".join(b"%c: &%c [*%c, *%c]\n" % (c + 1, c + 1, c, c) for c in b"abcdefgh")
    with pytest.raises(Unreadable, match=r"alias \*a"):
        parse(bomb)


def test_a_syntax_error_does_not_quote_the_line():
    """The line may hold a secret."""
    with pytest.raises(Unreadable) as caught:
        parse(b"password: hunter2: hunter3\n")
    assert "hunter" not in str(caught.value)
