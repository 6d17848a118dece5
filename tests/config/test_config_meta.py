"""A plugin's settings class: keys, validators, and every problem at once."""

from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest

from pumpkit import key
from pumpkit.config import ConfigInvalid, Meta, Secret, Where, describe
from pumpkit.config.interpolate import Filled

WHERE = Where("pumpkit.yaml", {"pumps.audit.meta": 10, "pumps.audit.meta.url": 11, "pumps.audit.meta.max-size": 12})


def at_most_max(self: Any, attribute: Any, value: int) -> None:
    """Refuse what is above the attribute beside it."""
    if value > self.max_size:
        raise ValueError(f"must be at most max-size ({self.max_size}), not {value}")


@attrs.define(eq=False)
class Sink:
    url: str
    max_size: int = key(100, about="The largest.", validator=attrs.validators.ge(1))
    min_size: int = attrs.field(default=1, validator=at_most_max)
    class_: str = "x"
    _token: Secret | None = None
    ordered: ClassVar[bool] = True
    made: list[str] = attrs.field(init=False, factory=list)


def into(cls: type, values: Any) -> Any:
    """Structure values as the meta of a pump."""
    return Meta(values, WHERE, "pumps.audit.meta", Path("/base")).into(cls)


def problems(cls: type, values: Any) -> list[str]:
    """Return what is wrong with values."""
    with pytest.raises(ConfigInvalid) as caught:
        into(cls, values)
    return [str(problem) for problem in caught.value.problems]


def test_keys_are_kebab_case_or_snake_case():
    """A class variable and an attribute that `__init__` does not take are no keys; underscores at the ends go."""
    for values in (
        {"url": "u", "max-size": 5, "class": "y", "token": "t"},
        {"url": "u", "max_size": 5, "class": "y", "token": "t"},
    ):
        sink = into(Sink, values)
        assert (sink.url, sink.max_size, sink.class_, sink._token.reveal()) == ("u", 5, "y", "t")
    assert problems(Sink, {"url": "u", "ordered": False, "made": []}) == [
        "pumpkit.yaml:10: pumps.audit.meta.made: unknown key; known here are: url, max-size, min-size, class, token",
        "pumpkit.yaml:10: pumps.audit.meta.ordered: unknown key; known here are: url, max-size, min-size, class, token",
    ]


def test_both_spellings_at_once_are_a_problem():
    """The second one is named, with the first."""
    assert problems(Sink, {"url": "u", "max-size": 5, "max_size": 5}) == [
        "pumpkit.yaml:10: pumps.audit.meta.max_size: stands here twice, also as max-size; keep one of them"
    ]


@attrs.define(eq=False)
class Renamed:
    url: str = key(about="Where.", aliases=("mongo_url",))
    gone_keys: ClassVar[dict[str, str]] = {"document_type": "there are no types any more; take it out"}


def test_a_key_may_have_aliases():
    """A setting goes by its aliases too, in both spellings, but not by two names at once; its line tells of them."""
    assert into(Renamed, {"mongo_url": "u"}).url == into(Renamed, {"mongo-url": "u"}).url == "u"
    (problem,) = problems(Renamed, {"url": "u", "mongo_url": "v"})
    assert problem.endswith("meta.mongo_url: stands here twice, also as url; keep one of them")
    (problem,) = problems(Renamed, {"mongo_url": 1})
    assert "pumps.audit.meta.mongo_url: must be" in problem
    assert [setting.about for setting in describe(Renamed)] == ["Where. Also called mongo_url."]


def test_a_key_that_is_gone_says_what_to_do():
    """A class tells of keys that it no longer has."""
    (problem,) = problems(Renamed, {"url": "u", "document_type": "x"})
    assert problem.endswith("meta.document_type: is gone: there are no types any more; take it out")


def test_every_problem_is_told_at_once_by_line_and_key_path():
    """A missing key has the line of its mapping; a path is spelled as the file spells it; the nearest name is named."""
    assert problems(Sink, {"max-size": "x", "ulr": 1, "token": 5, "min_size": None}) == [
        "pumpkit.yaml:10: pumps.audit.meta.min_size: must be a whole number, not null",
        "pumpkit.yaml:10: pumps.audit.meta.token: must be text; quote it, or fill it in with ${NAME} or ${file:PATH}",
        "pumpkit.yaml:10: pumps.audit.meta.ulr: unknown key; did you mean url?",
        "pumpkit.yaml:11: pumps.audit.meta.url: is missing; add it",
        'pumpkit.yaml:12: pumps.audit.meta.max-size: must be a whole number, not "x"',
    ]


def test_a_missing_key_says_what_it_is_for():
    """The sentence that the reference prints helps here too."""
    cls = attrs.make_class("S", {"csv_dir": key(about="The folder of the files.")})
    assert problems(cls, {}) == ["pumpkit.yaml:10: pumps.audit.meta.csv-dir: is missing: The folder of the files."]


def test_every_validator_is_asked():
    """attrs stops at the first that fails; here each speaks at its key, and sees the other attributes."""
    assert problems(Sink, {"url": "u", "max-size": 0, "min-size": 7}) == [
        "pumpkit.yaml:10: pumps.audit.meta.min-size: must be at most max-size (0), not 7",
        "pumpkit.yaml:12: pumps.audit.meta.max-size: must be >= 1: 0",
    ]
    assert problems(Sink, {"url": "u", "min-size": 101}) == [
        "pumpkit.yaml:10: pumps.audit.meta.min-size: must be at most max-size (100), not 101"
    ]


def test_a_validator_that_needs_a_refused_attribute_waits():
    """There is nothing to say of one that looks at an attribute with a problem of its own."""
    assert problems(Sink, {"url": "u", "max-size": "x", "min-size": 7}) == [
        'pumpkit.yaml:12: pumps.audit.meta.max-size: must be a whole number, not "x"'
    ]


def test_a_converter_of_the_class_is_its_own():
    """Its ValueError is a problem of the mapping."""

    def positive(value: int) -> int:
        if value < 0:
            raise ValueError("n must not be negative")
        return value

    cls = attrs.make_class("S", {"n": attrs.field(type=int, converter=positive, validator=attrs.validators.lt(5))})
    assert into(cls, {"n": "3"}).n == 3
    assert problems(cls, {"n": -1}) == ["pumpkit.yaml:10: pumps.audit.meta: n must not be negative"]
    assert problems(cls, {"n": 5}) == ["pumpkit.yaml:10: pumps.audit.meta: 'n' must be < 5: 5"]


def test_what_post_init_raises_is_a_problem_of_the_mapping():
    """An error without words shows its name."""

    @attrs.define
    class Pair:
        low: int
        high: int

        def __attrs_post_init__(self) -> None:
            if self.low > self.high:
                raise ValueError("low is above high; swap them")
            if self.low == self.high:
                raise KeyError

    assert problems(Pair, {"low": 2, "high": 1}) == ["pumpkit.yaml:10: pumps.audit.meta: low is above high; swap them"]
    assert problems(Pair, {"low": 1, "high": 1}) == ["pumpkit.yaml:10: pumps.audit.meta: KeyError"]
    nested = attrs.make_class("N", {"pairs": attrs.field(type=list[Pair])})
    assert problems(nested, {"pairs": [{"low": 0, "high": 1}, {"low": 2, "high": 1}]}) == [
        "pumpkit.yaml:10: pumps.audit.meta.pairs.1: low is above high; swap them"
    ]


def test_the_words_of_a_validator_do_not_show_what_was_filled_in():
    """Even attrs' own, which print the value: it may be a secret."""
    cls = attrs.make_class("S", {"host": attrs.field(type=str, validator=attrs.validators.in_(["a", "b"]))})
    assert problems(cls, {"host": Filled("hunter2", "${DB_HOST}")}) == [
        "pumpkit.yaml:10: pumps.audit.meta.host: must be in ['a', 'b'] (got '${DB_HOST}')"
    ]

    def no_spaces(self: object, attribute: object, value: str) -> None:
        if " " in value:
            raise ValueError(f"has the words {value.split()} of {value}, one too many")

    cls = attrs.make_class("S", {"host": attrs.field(type=str, validator=no_spaces)})
    assert problems(cls, {"host": Filled("hun ter2", "${DB_HOST}")}) == [
        "pumpkit.yaml:10: pumps.audit.meta.host: has the words ['***', '***'] of ${DB_HOST}, one too many"
    ]


def test_the_words_of_a_class_do_not_show_what_was_filled_in_below_it():
    """Not even in a list, or where the attribute beside it is at fault."""

    @attrs.define
    class Login:
        names: list[str]
        password: str

        def __attrs_post_init__(self) -> None:
            raise ValueError(f"{self.names} with {self.password} cannot log in")

    values = {"names": ["a", Filled("root9", "${ROOT}")], "password": Filled("hunter2", "${PW}")}
    assert problems(Login, values) == ["pumpkit.yaml:10: pumps.audit.meta: ['a', '${ROOT}'] with ${PW} cannot log in"]
    empty = {"names": [Filled("", "${ROOT}")], "password": "x"}
    assert problems(Login, empty) == ["pumpkit.yaml:10: pumps.audit.meta: [''] with x cannot log in"]


def test_other_errors_of_a_class_are_problems_with_their_name():
    """A fault of the class is told where it showed."""

    def broken(self: object, attribute: object, value: int) -> None:
        raise {1: KeyError("x"), 2: AttributeError("no y"), 3: TypeError("z")}[value]

    cls = attrs.make_class("S", {"n": attrs.field(type=int, validator=broken)})
    found = [problems(cls, {"n": n})[0].removeprefix("pumpkit.yaml:10: pumps.audit.meta.n: ") for n in (1, 2, 3)]
    assert found == ["KeyError: x", "AttributeError: no y", "z"]


def test_attributes_may_have_any_name():
    """None is special to the reader."""
    cls = attrs.make_class("S", ["advice", "not_yet", "later", "keys", "known"])
    assert problems(cls, {}) == [
        f"pumpkit.yaml:10: pumps.audit.meta.{name}: is missing; add it"
        for name in ("advice", "keys", "known", "later", "not-yet")
    ]


def test_an_exception_class_can_be_a_settings_class():
    """So can any other attrs class that is made in its own way."""

    @attrs.define
    class Odd(Exception):
        n: int = attrs.field(validator=attrs.validators.ge(1))
        twice: int = attrs.field(default=attrs.Factory(lambda self: self.n * 2, takes_self=True))

    assert into(Odd, {"n": 2}).twice == 4
    assert problems(Odd, {"n": "x"}) == ['pumpkit.yaml:10: pumps.audit.meta.n: must be a whole number, not "x"']


def test_a_default_that_takes_the_object_is_seen_by_validators():
    """So is every other default."""

    @attrs.define
    class Sized:
        low: int = attrs.field(validator=lambda self, _, value: _refuse_above(value, self.high))
        base: int = 5
        high: int = attrs.field(default=attrs.Factory(lambda self: self.base * 2, takes_self=True))

    assert into(Sized, {"low": 10}).high == 10
    assert problems(Sized, {"low": 11}) == ["pumpkit.yaml:10: pumps.audit.meta.low: 11 is above 10"]


def _refuse_above(value: int, limit: int) -> None:
    if value > limit:
        raise ValueError(f"{value} is above {limit}")


def test_a_class_can_hold_itself():
    """A type that names its own class is read to any depth the file has."""
    found = into(Tree, {"name": "a", "children": [{"name": "b"}]})
    assert found == Tree(name="a", children=[Tree(name="b")])


@attrs.define
class Tree:
    name: str
    children: "list[Tree]" = attrs.field(factory=list)


def test_what_is_no_settings_class_is_the_plugins_fault():
    """So is an annotation that cannot be read."""
    with pytest.raises(TypeError, match="is not an attrs class"):
        into(dict, {})
    with pytest.raises(TypeError, match="the annotations of S cannot be read: name 'Nowhere' is not defined"):
        into(attrs.make_class("S", {"x": attrs.field(type="Nowhere")}), {"x": 1})


def test_without_lines_the_path_and_the_file_still_show():
    """A plugin's test can make a Meta of values alone."""
    assert Meta({"url": "u"}).into(Sink).url == "u"
    with pytest.raises(ConfigInvalid, match=r"^meta\.url: is missing; add it$"):
        Meta().into(Sink)


def test_values_do_not_show_in_the_repr_of_meta():
    """They may hold secrets."""
    assert "hunter2" not in repr(Meta({"password": "hunter2"}))


def test_odd_keys_stay_on_one_line():
    """Line breaks and half surrogate pairs in a key are shown as escapes."""
    assert problems(Sink, {"url": "u", "a\nb\ud800\x1b": 1, "": 2}) == [
        'pumpkit.yaml:10: pumps.audit.meta."": unknown key; known here are: url, max-size, min-size, class, token',
        "pumpkit.yaml:10: pumps.audit.meta.a\\nb\\ud800\\x1b:"
        " unknown key; known here are: url, max-size, min-size, class, token",
    ]
