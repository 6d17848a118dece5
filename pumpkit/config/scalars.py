"""Reading single values strictly: what each type of setting takes, and what is said of anything else.

Plain cattrs would make True of the text "false", 'None' of null, True a number and an integer that many zero bytes.
"""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pumpkit.config.interpolate import Filled
from pumpkit.config.problems import Refused, join
from pumpkit.config.types import ByteSize, Seconds, Secret, parse_seconds, parse_size

T = TypeVar("T")

_WHOLE = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER = re.compile(r"[+-]?([0-9]{1,400}(\.[0-9]{0,400})?|\.[0-9]{1,400})([eE][+-]?[0-9]{1,4})?")

#: The longest duration, in seconds: a year. What waits must not overflow.
MAX_SECONDS = 366 * 24 * 3600

_SHOWN = 60  # characters of a value in a message


def show(value: Any) -> str:
    """Return a value for a message, short and on one line; one that was filled in shows as the file has it."""
    if isinstance(value, Filled):
        return show(value.source)
    if isinstance(value, str):
        cut = value if len(value) <= _SHOWN else value[:_SHOWN] + "..."
        return f'"{cut}"' if cut.isprintable() and '"' not in cut else json.dumps(cut)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int):
        return str(value) if _fits(value) else "a number of more than 64 bits"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else f"a value of type {type(value).__name__}"


def must_be(what: str, value: Any, hint: str = "") -> Refused:
    """Return the refusal of a value that is not what its key takes."""
    return Refused(("", f"must be {what}, not {show(value)}{hint}"))


def either(words: list[str]) -> str:
    """Return words as an enumeration: `a, b or c`."""
    return " or ".join((", ".join(words[:-1]), words[-1])) if words[1:] else words[0]


def _fits(value: int) -> bool:
    return -(1 << 63) <= value < 1 << 63


def boolean(value: Any) -> bool:
    """A bool, or the text true or false."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in ("true", "false"):
        return value == "true"
    raise must_be("true or false", value)


def whole(value: Any) -> int:
    """A 64-bit int, or one in decimal digits."""
    found = int(value) if isinstance(value, str) and _WHOLE.fullmatch(value) else value
    if isinstance(found, int) and not isinstance(found, bool) and _fits(found):
        return found
    raise must_be("a whole number", value)


def number(value: Any) -> float:
    """A finite float, an int, or either in decimal digits."""
    found = float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value
    if isinstance(found, int) and not isinstance(found, bool) and _fits(found):
        return float(found)
    if isinstance(found, float) and math.isfinite(found):
        return found
    raise must_be("a number", value)


def text(value: Any) -> str:
    """Text, and nothing that only looks like it."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int | float):
        raise must_be("text", value, f'; quote it: "{show(value)}"')
    raise must_be("text", value)


def octets(value: Any) -> bytes:
    """Text, as its UTF-8 bytes."""
    try:
        return text(value).encode()
    except UnicodeEncodeError:
        raise must_be("text that UTF-8 can encode", value) from None


def secret(value: Any) -> Secret:
    """Text that no message shows, this one neither."""
    if not isinstance(value, str):
        raise Refused(("", "must be text; quote it, or fill it in with ${NAME} or ${file:PATH}"))
    return Secret(str(value))


def path(value: Any, base: Path) -> Path:
    """A path; a relative one starts at `base`."""
    found = text(value)
    if not found or "\0" in found:
        raise must_be("a path", value)
    if found == "~" or found.startswith("~/"):
        raise must_be("a path", value, "; `~` is not expanded here, write ${HOME}")
    return base / found


def duration(value: Any) -> Seconds:
    """Seconds, as a number or as text with a unit."""
    try:
        seconds = parse_seconds(value) if isinstance(value, str) else number(value)
    except ValueError:
        seconds = -1.0
    if 0 <= seconds <= MAX_SECONDS:
        return Seconds(seconds)
    raise must_be("a duration such as 10, 0.2, 200ms, 10s, 5m or 1h, at most a year", value)


def size(value: Any) -> ByteSize:
    """Bytes, as a whole number or as text with a unit."""
    try:
        found = parse_size(value) if isinstance(value, str) else whole(value)
    except ValueError:
        found = -1
    if found >= 0 and _fits(found):
        return ByteSize(found)
    raise must_be("a size such as 4096, 64KiB, 4MiB or 1GiB", value)


def anything(value: Any) -> Any:
    """A value of any type that JSON has, in containers of its own."""
    if isinstance(value, dict):
        return mapping(value, anything)
    if isinstance(value, list):
        return sequence(value, anything)
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int) and _fits(value):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise must_be("text, a finite number of at most 64 bits, true, false, null, a list or a mapping", value)


def scalar(value: Any) -> str | int | float | bool | None:
    """A single value of any type."""
    if isinstance(value, dict | list):
        raise must_be("text, a number, true, false or null", value)
    found: str | int | float | bool | None = anything(value)
    return found


def mapping(value: Any, read: Callable[[Any], T]) -> dict[str, T]:
    """A mapping with text for keys, its values read in turn."""
    if not isinstance(value, dict):
        raise must_be("a mapping (lines of `key: value`)", value)
    found = {}
    findings = []
    for key, child in value.items():
        if not isinstance(key, str):
            findings.append((show(key), "is a key, and keys are text; quote it"))
            continue
        try:
            found[key] = read(child)
        except Refused as error:
            findings += error.under(join("", key))
    if findings:
        raise Refused(*findings)
    return found


def sequence(value: Any, read: Callable[[Any], T]) -> list[T]:
    """A list, its items read in turn."""
    if not isinstance(value, list):
        fix = "" if value is None or isinstance(value, dict) else f"; write [{show(value)}]"
        raise must_be("a list", value, fix)
    found = []
    findings = []
    for index, child in enumerate(value):
        try:
            found.append(read(child))
        except Refused as error:
            findings += error.under(str(index))
    if findings:
        raise Refused(*findings)
    return found
