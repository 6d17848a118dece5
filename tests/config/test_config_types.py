"""Every type of setting: what it takes, what it refuses and with what words."""

import math
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from typing import Any, Literal, NewType

import attrs
import pytest

from pumpkit.config import ByteSize, ConfigInvalid, Meta, Seconds, Secret, Where
from pumpkit.config.interpolate import Filled


class Mode(Enum):
    FAST = "fast"
    SAFE = "safe"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Colour(StrEnum):
    RED = "red"


@attrs.frozen
class Inner:
    name: str
    size: int = 1


def read(kind: Any, value: Any) -> Any:
    """Return a value as the one setting of a class has it."""
    cls = attrs.make_class("Settings", {"it": attrs.field(type=kind)})
    return Meta({"it": value}, Where(), "meta", Path("/base")).into(cls).it


def refusal(kind: Any, value: Any) -> str:
    """Return what is said of a value that the type refuses."""
    with pytest.raises(ConfigInvalid) as caught:
        read(kind, value)
    return str(caught.value).replace("meta.it: ", "").replace("meta.it.", ".")


GOOD = [
    (bool, True, True),
    (bool, "true", True),
    (bool, "false", False),
    (int, 5, 5),
    (int, -5, -5),
    (int, "5", 5),
    (int, "-5", -5),
    (int, "010", 10),
    (int, 2**63 - 1, 2**63 - 1),
    (float, 0.5, 0.5),
    (float, 5, 5.0),
    (float, "0.5", 0.5),
    (float, "-1e3", -1000.0),
    (float, ".5", 0.5),
    (str, "x", "x"),
    (str, "", ""),
    (str, "10", "10"),
    (str, Filled("x", "${X}"), "x"),
    (bytes, "é", "é".encode()),
    (Path, "x/y", Path("/base/x/y")),
    (Path, "./x", Path("/base/x")),
    (Path, "/abs", Path("/abs")),
    (Secret, "pw", Secret("pw")),
    (Seconds, 10, 10.0),
    (Seconds, 0, 0.0),
    (Seconds, 0.2, 0.2),
    (Seconds, "10", 10.0),
    (Seconds, "0.2", 0.2),
    (Seconds, "200ms", 0.2),
    (Seconds, "10s", 10.0),
    (Seconds, "5m", 300.0),
    (Seconds, "1.5h", 5400.0),
    (ByteSize, 4096, 4096),
    (ByteSize, "4096", 4096),
    (ByteSize, "64KiB", 65536),
    (ByteSize, "4MiB", 4 << 20),
    (ByteSize, "1GiB", 1 << 30),
    (ByteSize, "2TiB", 2 << 40),
    (ByteSize, "2kB", 2000),
    (ByteSize, "2MB", 2_000_000),
    (ByteSize, "2GB", 2_000_000_000),
    (ByteSize, "2TB", 2_000_000_000_000),
    (ByteSize, "10B", 10),
    (Literal["a", 5], "a", "a"),
    (Literal["a", 5], 5, 5),
    (Mode, "fast", Mode.FAST),
    (Level, 2, Level.HIGH),
    (Level, "2", Level.HIGH),
    (Literal[Mode.FAST, Mode.SAFE], "safe", Mode.SAFE),
    (Literal[True, 1], 1, 1),
    (Literal[1, True], True, True),
    (Colour, "red", Colour.RED),
    (int | None, None, None),
    (int | None, "5", 5),
    (int | str, "5", "5"),
    (int | str, 5, 5),
    (Seconds | None, "5m", 300.0),
    (str | list[str], ["a"], ["a"]),
    (str | list[str], "a", "a"),
    (list[int], ["1", 2], [1, 2]),
    (list, ["1", None], ["1", None]),
    (dict[str, int], {"a": "1"}, {"a": 1}),
    (dict, {"a": [1]}, {"a": [1]}),
    (Inner, {"name": "x"}, Inner("x")),
    (list[Inner], [{"name": "x", "size": 2}], [Inner("x", 2)]),
    (dict[str, Inner], {"a": {"name": "x"}}, {"a": Inner("x")}),
    (Inner | None, None, None),
    (Any, {"a": [1, 0.5, None, True, "x"]}, {"a": [1, 0.5, None, True, "x"]}),
]


@pytest.mark.parametrize(("kind", "value", "becomes"), GOOD)
def test_a_type_takes(kind, value, becomes):
    """What fits is coerced to exactly the type that was asked for."""
    found = read(kind, value)
    assert found == becomes
    assert type(found) is type(becomes)


WHOLE, NUMBER, BOOL = "must be a whole number, not ", "must be a number, not ", "must be true or false, not "
DURATION = "must be a duration such as 10, 0.2, 200ms, 10s, 5m or 1h, at most a year, not "
SIZE = "must be a size such as 4096, 64KiB, 4MiB or 1GiB, not "
ANY = "must be text, a finite number of at most 64 bits, true, false, null, a list or a mapping, not "

BAD = [
    (bool, "yes", BOOL + '"yes"'),
    (bool, "True", BOOL + '"True"'),
    (bool, 1, BOOL + "1"),
    (bool, None, BOOL + "null"),
    (int, True, WHOLE + "true"),
    (int, 5.0, WHOLE + "5.0"),
    (int, "5.0", WHOLE + '"5.0"'),
    (int, "", WHOLE + '""'),
    (int, " 5", WHOLE + '" 5"'),
    (int, "٣", WHOLE + '"٣"'),
    (int, "1_000", WHOLE + '"1_000"'),
    (int, 2**63, WHOLE + "a number of more than 64 bits"),
    (int, "9" * 19, WHOLE + f'"{"9" * 19}"'),
    (int, None, WHOLE + "null"),
    (int, [], WHOLE + "a list"),
    (float, True, NUMBER + "true"),
    (float, math.nan, NUMBER + "nan"),
    (float, math.inf, NUMBER + "inf"),
    (float, "nan", NUMBER + '"nan"'),
    (float, "1e999", NUMBER + '"1e999"'),
    (float, 10**400, NUMBER + "a number of more than 64 bits"),
    (float, "1_0", NUMBER + '"1_0"'),
    (str, None, "must be text, not null"),
    (str, 5, 'must be text, not 5; quote it: "5"'),
    (str, True, 'must be text, not true; quote it: "true"'),
    (str, ["a"], "must be text, not a list"),
    (str, {}, "must be text, not a mapping"),
    (bytes, 5, 'must be text, not 5; quote it: "5"'),
    (bytes, "\ud800", 'must be text that UTF-8 can encode, not "\\ud800"'),
    (Path, "", 'must be a path, not ""'),
    (Path, "a\0b", 'must be a path, not "a\\u0000b"'),
    (Path, "~/x", 'must be a path, not "~/x"; `~` is not expanded here, write ${HOME}'),
    (Path, 5, 'must be text, not 5; quote it: "5"'),
    (Secret, 12345, "must be text; quote it, or fill it in with ${NAME} or ${file:PATH}"),
    (Secret, None, "must be text; quote it, or fill it in with ${NAME} or ${file:PATH}"),
    (Seconds, -1, DURATION + "-1"),
    (Seconds, "-1s", DURATION + '"-1s"'),
    (Seconds, "1d", DURATION + '"1d"'),
    (Seconds, "1 s", DURATION + '"1 s"'),
    (Seconds, True, DURATION + "true"),
    (Seconds, math.nan, DURATION + "nan"),
    (Seconds, "9999h", DURATION + '"9999h"'),
    (Seconds, None, DURATION + "null"),
    (ByteSize, -1, SIZE + "-1"),
    (ByteSize, 1.5, SIZE + "1.5"),
    (ByteSize, True, SIZE + "true"),
    (ByteSize, "1.5MiB", SIZE + '"1.5MiB"'),
    (ByteSize, "4mib", SIZE + '"4mib"'),
    (ByteSize, "9999999999TiB", SIZE + '"9999999999TiB"'),
    (Literal["a", "b", 5], "c", 'must be a, b or 5, not "c"'),
    (Literal[1], True, "must be 1, not true"),
    (Literal["a"], [], "must be a, not a list"),
    (Mode, "FAST", 'must be fast or safe, not "FAST"'),
    (Level, True, "must be 1 or 2, not true"),
    (Level, "02", 'must be 1 or 2, not "02"'),
    (Literal[True], "true", 'must be true, not "true"'),
    (Colour, "blue", 'must be red, not "blue"'),
    (int | None, "x", WHOLE + '"x"'),
    (int | bool, "x", WHOLE + '"x"; or must be true or false, not "x"'),
    (str | list[str], 5, 'must be text, not 5; quote it: "5"; or must be a list, not 5; write [5]'),
    (str | list[int], ["x"], ".0: " + WHOLE + '"x"'),
    (list[str], "a", 'must be a list, not "a"; write ["a"]'),
    (list[int], 5, "must be a list, not 5; write [5]"),
    (list[str], None, "must be a list, not null"),
    (list[str], {"a": 1}, "must be a list, not a mapping"),
    (dict[str, int], [1], "must be a mapping (lines of `key: value`), not a list"),
    (dict[str, int], {1: 1}, ".1: is a key, and keys are text; quote it"),
    (Inner, None, "must be a mapping (lines of `key: value`), not null"),
    (Inner, "x", 'must be a mapping (lines of `key: value`), not "x"'),
    (Any, math.inf, ANY + "inf"),
    (Any, {"a": [2**64]}, ".a.0: " + ANY + "a number of more than 64 bits"),
    (Any, object(), ANY + "a value of type object"),
    (int, Filled("hunter2", "${PW}"), WHOLE + '"${PW}"'),
    (list[str], Filled("hunter2", "${PW}"), 'must be a list, not "${PW}"; write ["${PW}"]'),
    (int, "x" * 70, WHOLE + f'"{"x" * 60}..."'),
    (int, 'a"b\nc', WHOLE + '"a\\"b\\nc"'),
]


@pytest.mark.parametrize(("kind", "value", "words"), BAD)
def test_a_type_refuses(kind, value, words):
    """What does not fit is refused, saying what the key takes and what it was given; nothing is guessed."""
    assert refusal(kind, value) == words


def test_containers_are_fresh():
    """What a class gets shares nothing with the parsed file."""
    value = {"a": [1]}
    found = read(Any, value)
    found["a"].append(2)
    assert value == {"a": [1]}


@pytest.mark.parametrize(
    "kind",
    [set[str], tuple[int, int], complex, dict[int, str], NewType("Other", str), object, type("Sub", (str,), {})],
)
def test_a_type_that_settings_cannot_have_is_the_plugins_fault(kind):
    """The author of the class is told, not the user, and which types there are."""
    with pytest.raises(TypeError, match=r"settings cannot have the type .*; they can be bool, int"):
        read(kind, {"a": 1} if kind == dict[int, str] else "x")


def test_a_secret_never_shows():
    """Neither in repr nor in text, alone or in a class; equal secrets are equal."""
    secret = read(Secret, Filled("hunter2", "${PW}"))
    assert "hunter2" not in f"{secret!r} {secret} {secret!s} {[secret]} {attrs.make_class('C', ['s'])(secret)}"
    assert secret.reveal() == "hunter2"
    assert secret == Secret("hunter2") != Secret("other")
    assert len({secret, Secret("hunter2")}) == 1
