"""Values as short text for people: sizes, ages, numbers; and foreign text made safe to show."""

import re
import time

_PASSWORD = re.compile(r"(\w+://[^:/@\s]*:)[^@/\s]+@")


def safe(text: str) -> str:
    """Return text that does nothing to a terminal and shows no password of a URL.

    Records, names and errors come from outside. What is not printable (control and format characters, lone
    surrogates, line separators) is written as its escape.
    """
    text = _PASSWORD.sub(r"\1***@", text)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def number(value: float) -> str:
    """Return a count with separators: `1,234,567`."""
    return f"{value:,.0f}"


def size(count: float) -> str:
    """Return a number of bytes: `512 B`, `4.0 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def span(seconds: float) -> str:
    """Return a duration: `3 s`, `2 min 5 s`, `4 h 10 min`, `9 d 3 h`. One that clocks made negative is `0 s`."""
    whole = max(0, int(seconds))
    for unit, lower, length, part in (("d", "h", 86_400, 3_600), ("h", "min", 3_600, 60), ("min", "s", 60, 1)):
        if whole >= length:
            rest = whole % length // part
            return f"{whole // length} {unit}" + (f" {rest} {lower}" if rest else "")
    return f"{whole} s"


def ago(unix_seconds: float) -> str:
    """Return how long ago a time was: `3 s ago`."""
    return f"{span(time.time() - unix_seconds)} ago"


def moment(unix_ms: int) -> str:
    """Return a time in UTC, to the second: `2025-01-31T12:00:00Z`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(unix_ms / 1000))


def unused(location: str) -> str:
    """Return what is said of a buffer that nobody has written to, the first thing to know when nothing arrives."""
    return f"no producer has ever written to this buffer: {location}"


def plural(count: int, word: str) -> str:
    """Return `1 record`, `2 records`."""
    return f"{number(count)} {word}" if count == 1 else f"{number(count)} {word}s"
